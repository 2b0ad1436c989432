// What is counted of each shape of query: SHOW QUERIES.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/quantiles.hpp"

namespace pgweir::pool {
class Pool;
}  // namespace pgweir::pool

namespace pgweir::proxy {

/// Value.
struct QueryFigures {
    std::uint64_t calls = 0;
    std::uint64_t replica_calls = 0;  // of them
    std::uint64_t timed = 0;          // of which the duration is known: not those that others were
                                      // sent behind, nor those under way
    std::uint64_t total_us = 0, max_us = 0;
    std::uint64_t rows = 0, bytes = 0;
    Quantiles durations;

    QueryFigures& operator+=(const QueryFigures& other);
};

/// Texts that are alike but for literals, parameters and comments (in their first 8 KiB), of one
/// pool, are one shape. Pure; one a worker, and bounded: beyond `shapes_max` the least used make
/// room. A query is noted when it is sent, by a look-up that allocates nothing when its shape is
/// known.
class QueryBook {
public:
    /// An entry; it may be gone by the time it is used, which is found out.
    struct Id {
        std::uint32_t place = 0;
        std::uint32_t number = 0;  // 0: none

        explicit operator bool() const { return number != 0; }
    };

    /// 0: nothing is counted.
    void set_max(std::size_t shapes_max);
    bool counts() const { return shapes_max_ > 0; }

    /// A call begins. Whatever has that number is of one shape: it is of a protocol::Statement or
    /// of router::RecentTexts, by which a shape is found sooner; 0: the text has none. Returns no
    /// entry for texts of more than text_max bytes.
    Id note(const pool::Pool& pool, std::string_view sql, std::uint64_t number, bool on_replica);
    Id note(Id id, bool on_replica);
    /// The entry of a text of which no call begins yet.
    Id find(const pool::Pool& pool, std::string_view sql);
    /// It is to be sent again, and noted then: it has not been.
    void take_back(Id id, bool on_replica);
    /// A call is answered.
    void ended(Id id, std::int64_t took_us, std::uint64_t rows, std::uint64_t bytes);

    /// As it may be shown; empty: the entry is gone.
    std::string_view text(Id id) const;

    struct Entry {
        const pool::Pool* pool = nullptr;
        std::string key{};   // skeleton
        std::string text{};  // to be shown
        std::uint64_t hash = 0;
        std::uint32_t number = 0;  // 0: the place is free
        QueryFigures figures{};
        double usage = 0;           // calls, those of long ago less
        std::uint64_t counted = 0;  // calls that are in `usage`
    };
    const std::vector<Entry>& entries() const { return entries_; }
    /// Forgets everything.
    void clear();

    static constexpr std::size_t text_max = 64 << 10;  // bytes

private:
    Id look_up(const pool::Pool& pool, std::string_view sql);
    Id insert(const pool::Pool& pool, std::string_view key, std::uint64_t hash, bool shown);
    Id count(Id id, bool on_replica);
    const Entry* at(Id id) const;
    Entry* at(Id id) { return const_cast<Entry*>(std::as_const(*this).at(id)); }
    void evict();
    void index(std::uint32_t place);

    /// Where the entry of a number is: most recent ones only.
    struct Known {
        std::uint64_t number = 0;
        const pool::Pool* pool = nullptr;
        Id id;
    };

    std::size_t shapes_max_ = 0;
    std::vector<Entry> entries_;
    std::vector<std::uint32_t> free_;   // places
    std::vector<std::uint32_t> index_;  // 1 + place, by hash; 0: free. A power of two of them
    std::vector<Known> known_;
    std::uint32_t numbers_ = 0;
    std::string room_, shown_;
};

}  // namespace pgweir::proxy

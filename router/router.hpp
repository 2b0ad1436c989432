// Judges statements: from its memory when a text of the same shape came before, else by parsing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "router/catalog.hpp"
#include "router/verdict.hpp"

namespace pgweir::router {

/// What a judgement depends on besides the text.
struct Conditions {
    /// Of the database the statement runs in; nullptr: whatever needs it goes to the primary.
    const Catalog* catalog{};
    /// The session's search_path as SHOW gives it; nullopt: the one that a session of `user` begins
    /// with, if the catalog tells. Where neither is known any schema may be meant.
    std::optional<std::string_view> search_path{};
    /// Who "$user" in search_path is; empty: not known.
    std::string_view user{};
    bool standard_strings = true;  // standard_conforming_strings
    bool unsafe_encoding = false;  // see is_unsafe_encoding()
    bool seeded = false;           // setseed() was called: random() is determined
    bool suspect = false;          // an `alters` was seen since the catalog was loaded
    std::int64_t now_us = 0;       // for the parse budget; monotonic
};

/// client_encoding in which ASCII bytes occur inside of characters: a text with bytes above 127 in
/// it is not what it seems.
bool is_unsafe_encoding(std::string_view client_encoding);

struct RouterLimits {
    std::size_t entries_max = 10'000;   // shapes remembered
    std::size_t bytes_max = 16U << 20;  // of their texts and what was found in them
    std::size_t texts_max = 1'000;      // likewise, of texts with literals that count
    std::size_t texts_bytes_max = 2U << 20;
    std::size_t parse_max = 64U << 10;       // bytes of a text that is parsed, literals not counted
    std::int64_t parse_us_second = 200'000;  // time for parsing in each second
};

struct RouterStats {
    std::uint64_t hits = 0, misses = 0, parses = 0, refused = 0 /* over a limit */;
    std::size_t entries = 0, bytes = 0;
};

/// One per worker. Resource: its memory is bounded by RouterLimits. No I/O, no clock of its own.
class Router {
public:
    explicit Router(RouterLimits limits = {});
    ~Router();
    Router(const Router&) = delete;
    Router& operator=(const Router&) = delete;

    /// Never null. The text may hold several statements: then it is a read only if all are.
    /// `number`: of RecentTexts, or of a protocol::Statement; 0: it has none. What came before
    /// under the same one is known sooner.
    std::shared_ptr<const Verdict> judge(std::string_view sql, const Conditions& conditions,
                                         std::uint64_t number = 0);

    /// A replica refused this text although it was judged a read (see refusal.hpp): from now on it
    /// and its like are for the primary.
    void learn_primary(std::string_view sql, const Conditions& conditions);

    const RouterStats& stats() const;

private:
    struct Memory;
    std::unique_ptr<Memory> memory_;
};

/// The verdict without any catalog, for showing: names that PostgreSQL's own lists do not mention
/// count as harmless.
Verdict presume(std::string_view sql);

}  // namespace pgweir::router

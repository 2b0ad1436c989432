// What is noted of the queries that a client sends.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "protocol/frame.hpp"
#include "protocol/statement.hpp"
#include "proxy/query_book.hpp"
#include "router/recent_texts.hpp"

namespace pgweir::proxy {

/// One step of translating a client's requests tells this what it sends. Value; for one pool's
/// client and its present server.
struct QueryNotes {
    QueryBook& book;
    const pool::Pool& pool;
    bool on_replica;
    QueryBook::Id last{};     // empty: nothing that is counted was sent
    std::string_view text{};  // of it, a slice of the input or of what is prepared
    bool bare = false;        // there is no comment in it

    /// A text, and its number as QueryBook has it.
    void query(std::string_view sql, std::uint64_t number = 0) {
        last = book.note(pool, sql, number, on_replica);
        text = sql;
        bare = (number & router::RecentTexts::number_bit) != 0;
    }
    void statement(const protocol::Statement& what) { query(what.query(), what.id()); }

    /// In session pooling servers know statements by the client's own names: what each stands for.
    using Names = std::unordered_map<std::string, QueryBook::Id>;
    using NamesPtr = std::unique_ptr<Names>;  // made with the first
    /// A Parse or a Bind that is passed on as it is.
    void passed(NamesPtr& names, const protocol::Frame& frame);
};

}  // namespace pgweir::proxy

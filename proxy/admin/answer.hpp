// What a console command comes to, and how that looks on the wire.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/error.hpp"
#include "protocol/replies.hpp"

namespace pgweir::proxy::admin {

enum class Type : std::uint8_t { text, int4, int8, numeric, bytea, float8 };

struct Column {
    std::string_view name;  // static
    Type type = Type::text;
};
using Columns = std::span<const Column>;

using Cell = std::optional<std::string>;  // nullopt: NULL
using Row = std::vector<Cell>;
using Rows = std::vector<Row>;

/// Value: made on one thread, told on another.
struct Answer {
    std::optional<protocol::Error> error;  // then nothing else counts
    std::string notice, detail;            // a NOTICE goes first, unless empty
    Rows rows;                             // for a command with columns
    std::string tag;
    /// The command is done only when …
    enum class When : std::uint8_t {
        now,
        servers_free,    // … no server of its database ("" = all) is left
        servers_closed,  // … none is left that is marked to be closed
        all_sent,        // … no connection has anything left to be sent
    } when = When::now;
    bool undo = false;  // who stops waiting for servers_free takes the PAUSE back
};

Answer failure(protocol::Error error);
Answer done(std::string tag);

/// As in Bind: none = all text, one for all columns, else one for each. 0 text, 1 binary.
using Formats = std::span<const std::uint16_t>;
/// Bind's list fits this many columns, and asks for nothing but text and binary.
bool formats_fit(Formats formats, std::size_t columns);

// Writers append one whole message.
void write_columns(std::string& out, Columns columns, Formats formats = {});
void write_row(std::string& out, Columns columns, const Row& row, Formats formats = {});

/// A value as PostgreSQL sends it in binary. A numeric is a whole number, not negative; a text that
/// is no number counts as 0.
std::string binary(Type type, const std::string& text);

}  // namespace pgweir::proxy::admin

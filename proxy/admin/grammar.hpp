// The console's language, which is PgBouncer's: `WORD [WORD] [;]` and `SET key = value [;]`, and
// `NODE ACT host:port [;]`.
#pragma once

#include <string>
#include <string_view>

#include "protocol/error.hpp"

namespace pgweir::proxy::admin {

/// One command, its words without their quotes. Value.
struct Command {
    std::string verb;        // lower case; SELECT is another word for "show"
    std::string argument;    // empty: none. SET has key and value instead
    std::string key, value;  // NODE: what to do with it, and its address. EXPLAIN: route, the SQL
};

/// What a text says, whether or not there is such a command. Words are [0-9a-z_]+ in any letter
/// case or in double quotes; a value may also be in single quotes; a quote in quotes is doubled.
///
/// Errors 08P01: the text has another form, or a word is too long (verb 15 bytes, argument and key
/// 63, value 255, quotes counted: PgBouncer's limits).
protocol::Result<Command> parse_command(std::string_view text);

/// 08P01 `invalid command 'TEXT', use SHOW HELP;`
protocol::Error invalid_command(std::string_view text);

/// 08P01, the console's only code but for a few.
protocol::Error refusal(std::string message);

}  // namespace pgweir::proxy::admin

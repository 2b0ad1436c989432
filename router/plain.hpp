// Statements that need no reading.
#pragma once

#include <string_view>

namespace pgweir::router {

/// BEGIN, COMMIT or the like, or a SELECT, INSERT, UPDATE or DELETE in which traces_of() would find
/// nothing, told from its bytes, whatever they are part of: nothing behind a semicolon, no & (of
/// U&), no word like INTO (but in INSERT INTO), pg_temp, pg_prepared_statements or pgweir, and
/// parentheses only where it is clear that they are not of a call, or of one that leaves nothing.
/// Many statements are so, and reading their tokens costs more than twice as much. False says
/// nothing.
bool is_plain(std::string_view sql);

}  // namespace pgweir::router

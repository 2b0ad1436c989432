// Statements that need no reading.
#pragma once

#include <string_view>

namespace pgweir::router {

/// A SELECT, INSERT, UPDATE or DELETE in which traces_of() would find nothing, told from its bytes,
/// whatever they are part of: no parenthesis, nothing behind a semicolon, no & (of U&), and no word
/// like INTO (but in INSERT INTO), pg_temp or pgweir. Many statements of the simple protocol are
/// so, and reading their tokens costs more than twice as much. False says nothing.
bool is_plain(std::string_view sql);

}  // namespace pgweir::router

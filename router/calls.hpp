// Telling calls of functions from everything else that is a name and a parenthesis.
#pragma once

#include <string_view>

#include "router/lexer.hpp"
#include "router/words.hpp"

namespace pgweir::router {

/// A name in front of a parenthesis, and where it stands. Borrowed from the text.
struct Called {
    std::string_view text;  // all of it
    Token name;
    Token qualifier;        // in front of the name's dot; `end` without one
    Token front;            // in front of the whole; `end` where the text begins
    bool in_index = false;  // in CREATE INDEX
};

/// Whether the name can be a function's where it stands. `what` is known of the name; nothing of
/// one with quotes or a schema. Says yes in doubt.
bool is_call(const Called& called, const Word& what);

}  // namespace pgweir::router

// What PostgreSQL itself means by a word: keywords, and functions of its own.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "router/lexer.hpp"
#include "router/traces.hpp"

namespace pgweir::router {

/// PostgreSQL's categories of keywords (appendix C of its manual), of versions 15 to 18 together.
enum class Keyword : std::uint8_t {
    none,
    unreserved,     // may name anything
    column_name,    // may name columns and types, but no functions
    function_name,  // may name functions and types, but no columns
    reserved,       // neither
};

/// What is known about a word. A value.
struct Word {
    Keyword keyword = Keyword::none;
    bool opens = false;   // stands in front of a parenthesis without being a function: KEY (
    bool names = false;   // what follows is named, not called: INTO name (
    bool begins = false;  // an expression may follow, so what follows may be called: SELECT name (
    bool own_function = false;  // of PostgreSQL's, with the traces below
    Traces traces = 0;          // what a call of it leaves
};

/// Looks a word up, ASCII case folded; a Word that says nothing for any other.
const Word& word_of(std::string_view word);

/// Is it a literal with EXECUTE in it?
bool has_execute(const Token& token);

/// Some words, separated by blanks, and what is true of all of them.
struct WordList {
    std::string_view words;
    Word what;
};

/// PostgreSQL's own functions.
std::span<const WordList> own_functions();

}  // namespace pgweir::router

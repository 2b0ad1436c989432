// What is told of a statement from its text alone.
#pragma once

#include <string_view>

#include "router/traces.hpp"

namespace pgweir::proxy {

/// A statement that PostgreSQL plans, whose text means the same whenever it is read.
inline constexpr router::Traces trait_shareable = 1u << 30;

/// The traces of a text under either setting of standard_conforming_strings.
router::Traces traces_in(std::string_view sql);
/// The same for a text of which it is known that it is not plain (router/plain).
router::Traces traces_of_no_plain(std::string_view sql);
/// The same and trait_shareable: what a StatementTable keeps of a text.
router::Traces traits_of(std::string_view sql);

/// In any case; more follows, and no letter of the same word.
bool starts_with_word(std::string_view sql, std::string_view word);

}  // namespace pgweir::proxy

// Comments that say where a statement goes.
#pragma once

#include <cstdint>
#include <string_view>

namespace pgweir::router {

enum class Hint : std::uint8_t { none, primary, replica };

/// What the text's first token says, if it is a comment that is a hint: `/* pgweir: primary */`,
/// `/* pgweir: replica */` or pgpool's `/*NO LOAD BALANCE*/`. Blanks around its words do not
/// matter, nor does upper case. A comment anywhere else is only a comment.
Hint hint_of(std::string_view sql);

}  // namespace pgweir::router

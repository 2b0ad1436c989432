// Names that others chose, made fit for what only takes UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace pgweir::proxy::http {

/// The text itself, with each byte that is in no valid character written as \xHH: so that
/// different names stay different.
std::string utf8(std::string_view text);

}  // namespace pgweir::proxy::http

// What somebody on the console has probably meant: hints beside PgBouncer's own messages.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace pgweir::proxy::admin {

/// `Did you mean "SHOW POOLS"?` for a text that is no command; "" when nothing is near.
std::string command_hint(std::string_view text);

/// The same for a name that is none of these.
std::string name_hint(std::string_view name, std::span<const std::string_view> names);

}  // namespace pgweir::proxy::admin

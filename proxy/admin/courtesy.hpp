// What drivers say on their own account when they connect or keep a connection alive: nothing that
// a console could do, so they are left content.
#pragma once

#include <string_view>

#include "proxy/admin/answer.hpp"

namespace pgweir::proxy::admin {

/// Value; static. With a column it is answered by one row of one value, otherwise by its tag.
struct Courtesy {
    std::string_view name;  // a setting, or a statement in lower case
    Column column{};
    std::string_view value{};
    std::string_view tag{};
};

/// A setting that drivers show and set. Letter case does not matter; nullptr when there is none.
const Courtesy* find_courtesy(std::string_view name);

/// A statement that is none of the console's: `BEGIN`, `SELECT 1`, `SET SESSION CHARACTERISTICS …`
/// and the like; nullptr for others.
const Courtesy* find_sentence(std::string_view text);

/// What SET is told of a setting that drivers set.
Answer set_ignored();

}  // namespace pgweir::proxy::admin

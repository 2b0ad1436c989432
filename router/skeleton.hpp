// A text without its literals: what texts of one shape have in common.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pgweir::router {

/// `sql` with every string as '', every number as 0, every parameter as $1, lists of these cut to
/// one, and without comments and the blanks and semicolons at its end. That is SQL again: texts of
/// one skeleton consist of the same tokens but for the values of constants, so the names they use
/// and the kinds of their statements are the same. Borrowed from `room`, which grows as needed.
///
/// nullopt when it met what it does not know for sure: a string begun in a way that depends on more
/// than a glance, U& with its UESCAPE, a backslash outside of E'…', what does not end. Takes
/// standard_conforming_strings to be on.
std::optional<std::string_view> skeleton_of(std::string_view sql, std::string& room);

/// The same, but in current_setting('…') and set_config('…', …) the name of the setting stays,
/// where it is written just so. Written otherwise it is '' here, too.
std::optional<std::string_view> setting_skeleton_of(std::string_view sql, std::string& room);

}  // namespace pgweir::router

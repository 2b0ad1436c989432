// Which known name an unknown one was probably meant to be.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace pgweir::config {

/// The candidate that `word` was probably meant to be, or "": few enough edits for its length.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

/// `, did you mean "X"?`, or "" when no candidate is near.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace pgweir::config

// The tables of settings as pages for people: docs/settings.md (settings_page(), in settings.hpp)
// and the manual page pgweir.toml(5).
#pragma once

#include <string>

#include "config/settings.hpp"

namespace pgweir::config {

/// The setting's value in `settings` as it is written in a native TOML.
std::string toml_text(const Settings& settings, const Setting& setting);

/// docs/man/pgweir.toml.5, in the language of man(7).
std::string settings_man();

}  // namespace pgweir::config

// The keys of the native TOML that are no PgBouncer setting: for docs/settings.md and for the names
// of environment variables.
#pragma once

#include <span>
#include <string_view>

namespace pgweir::config {

struct NativeKey {
    std::string_view path;    // X stands for the name of a cluster, database or user
    std::string_view preset;  // as it is written in TOML
    std::string_view help;
};

std::span<const NativeKey> native_keys();

}  // namespace pgweir::config

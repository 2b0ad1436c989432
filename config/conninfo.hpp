// The connection strings of [databases], [users] and [peers]: `key=value` pairs between blanks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "protocol/error.hpp"

namespace pgweir::config {

struct ConninfoPair {
    std::string key, value;

    friend bool operator==(const ConninfoPair&, const ConninfoPair&) = default;
};

/// Cuts a connection string into its pairs. A value may stand in single quotes, with '' for one
/// inside; without quotes it cannot be empty. Blanks around '=' do not matter.
/// Errors F0000: what is wrong and near which key.
protocol::Result<std::vector<ConninfoPair>> parse_conninfo(std::string_view text);

}  // namespace pgweir::config

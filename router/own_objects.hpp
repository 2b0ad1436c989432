// PostgreSQL's own functions and views that are not what their marks say.
#pragma once

#include <optional>
#include <string_view>

#include "router/catalog.hpp"

namespace pgweir::router {

/// What a call of this function of pg_catalog comes to; nullopt: as its mark says.
std::optional<Finding> own_function(std::string_view name);

/// Functions of well-known extensions that are marked stable and run SQL that they are given.
bool runs_given_sql(std::string_view name);

/// Is this view of PostgreSQL's over replicated tables only? Any other shows the node's state.
bool is_replicated_view(std::string_view name);

}  // namespace pgweir::router

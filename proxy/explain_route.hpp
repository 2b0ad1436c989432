// EXPLAIN ROUTE and `pgweir route`: where statements would go, in words.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "router/verdict.hpp"

namespace pgweir::proxy {

/// What stands behind EXPLAIN ROUTE; nullopt: the text is something else.
std::optional<std::string_view> explained(std::string_view sql);

/// "primary" or "replica"; "session", "transaction" or "pgweir" for what is no question of nodes.
std::string_view place_text(const router::Verdict& verdict);

/// What `judge` says of each statement of the text; of all of it where it cannot be cut.
using Judge = std::function<router::Verdict(std::string_view sql)>;
std::vector<router::Verdict> judge_each(std::string_view sql, const Judge& judge);

}  // namespace pgweir::proxy

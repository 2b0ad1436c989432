// The console's EXPLAIN ROUTE.
#pragma once

#include "proxy/admin/commands.hpp"

namespace pgweir::proxy::admin {

Columns explain_columns();

/// One row for each statement of the text: where it would go and why. By the parser alone, or,
/// where the name of a cluster's entry stands in front, by the catalog of that database. The main
/// thread.
void run_explain(Process& process, const Command& command, const Tell& tell);

}  // namespace pgweir::proxy::admin

// `pgweir route`: where statements would go, and why.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace pgweir::proxy {

/// One line for each statement of `sql`, "replica: read" or "primary: function_volatile (nextval)".
/// As far as the text and PostgreSQL's own functions tell: other names count as harmless.
void print_routes(const std::string& sql, std::ostream& out);

/// The same with the catalog of the database behind the entry `database` of this configuration,
/// read from the first of its servers that answers: as the entry's own user, else as the cluster's
/// [health] account. The program's exit code; `errors` has the reason when it is not 0.
int print_routes(const std::string& config_path, const std::string& database,
                 const std::string& sql, std::ostream& out, std::ostream& errors);

}  // namespace pgweir::proxy

#include <cstdio>
#include <filesystem>
#include <iostream>

#include "config/check.hpp"
#include "config/import.hpp"
#include "pool/tls_contexts.hpp"
#include "proxy/route.hpp"
#include "proxy/start.hpp"

namespace {

/// Certificates, keys and ciphers are as good as they look only when OpenSSL has taken them.
std::optional<pgweir::protocol::Error> try_tls(const pgweir::config::Config& config) {
    const auto made = pgweir::pool::make_tls_contexts(config);
    if (made.has_error()) return made.error();
    return std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
    using namespace pgweir::proxy;
    const Parsed parsed = parse_options({argv + 1, argv + argc});
    if (parsed.problem) {
        std::cerr << "pgweir: " << *parsed.problem << "\nTry 'pgweir --help'.\n";
        return 1;
    }
    switch (parsed.options.command) {
        case Command::version: std::cout << version_text() << "\n"; return 0;
        case Command::help: std::cout << help_text(); return 0;
        case Command::check:
            return pgweir::config::check(parsed.options.config, std::cout,
                                         pgweir::config::system_sources(), try_tls);
        case Command::import_file: {
            std::error_code gone;  // without a working directory names stay relative
            return pgweir::config::import_file(parsed.options.config, std::cout, std::cerr,
                                               pgweir::config::system_sources(),
                                               std::filesystem::current_path(gone).string());
        }
        case Command::route:
            if (!parsed.options.config.empty()) {
                return print_routes(parsed.options.config, parsed.options.database,
                                    parsed.options.sql, std::cout, std::cerr);
            }
            print_routes(parsed.options.sql, std::cout);
            return 0;
        case Command::run: return start(parsed.options);
    }
    return 1;
}

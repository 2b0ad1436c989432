#include <cstdio>
#include <iostream>

#include "config/load.hpp"
#include "proxy/start.hpp"

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
        case Command::check: {
            const auto loaded = pgweir::config::load(parsed.options.config);
            for (const auto& problem : loaded.problems)
                std::cout << pgweir::config::text(problem) << "\n";
            return loaded.config ? 0 : 1;
        }
        case Command::run: return start(parsed.options);
    }
    return 1;
}

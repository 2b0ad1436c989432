#include <cstdio>
#include <iostream>

#include "config/check.hpp"
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
        case Command::check: return pgweir::config::check(parsed.options.config, std::cout);
        case Command::run: return start(parsed.options);
    }
    return 1;
}

// A configuration file from anywhere: it loads or its problems are told.
#include <cassert>

#include "config/load.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* raw, std::size_t size) {
    const char* const data = reinterpret_cast<const char*>(raw);
    const std::string text(data, size);
    for (const char* const name : {"fuzz.ini", "fuzz.toml"}) {
        pgweir::config::Sources sources = pgweir::config::system_sources();
        sources.read =
            [&](const std::string& path) -> pgweir::protocol::Result<std::optional<std::string>> {
            if (path == name) return std::optional<std::string>(text);
            return std::optional<std::string>();
        };
        const auto loaded = pgweir::config::load(name, sources);
        assert((loaded.config == nullptr) == !loaded.problems.empty());
    }
    return 0;
}

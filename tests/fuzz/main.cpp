// One program for every target, so that one link makes them all:
// fuzz TARGET [libFuzzer's arguments]
#include <algorithm>
#include <cstdint>
#include <iostream>

#include "tests/fuzz/targets.hpp"

namespace {

const pgweir::fuzz::Target* chosen = nullptr;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
    const std::string_view name = *argc > 1 ? (*argv)[1] : "";
    const auto& all = pgweir::fuzz::targets;
    const auto found = std::ranges::find(all, name, &pgweir::fuzz::Target::name);
    if (found == all.end()) {
        std::cerr << "usage: fuzz TARGET [argument of libFuzzer…]; the targets:";
        for (const auto& target : all) std::cerr << ' ' << target.name;
        std::cerr << '\n';
        std::exit(2);
    }
    chosen = &*found;
    (*argv)[1] = (*argv)[0];
    ++*argv;
    --*argc;
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* raw, std::size_t size) {
    chosen->run({reinterpret_cast<const char*>(raw), size});
    return 0;
}

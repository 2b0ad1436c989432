// simulation [--from SEED] [--seeds N] [--seed SEED] [--trace] [--twice]: runs as many seeds, from
// 1 or SEED on, or one. Where something does not hold it says what, and the seed, and exits with 1.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>

#include <sched.h>

#include "tests/simulation/world.hpp"

namespace {

std::uint64_t running = 0;  // the seed

/// An assertion of the program's, or a sanitizer's.
void aborted(int number) {
    std::cout << "seed " << running << ": the program was ended by signal " << number
              << "\nreplay it with: simulation --seed " << running << " --trace" << std::endl;
    std::_Exit(1);
}

/// Its threads take turns: on one processor none has to wake another.
void stay_on_one_processor() {
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    sched_setaffinity(0, sizeof here, &here);  // where that is forbidden, it takes longer
}

std::uint64_t run(std::uint64_t seed, bool traced) {
    running = seed;
    try {
        pgweir::simulation::World world(seed, traced);
        world.run();
        return world.digest();
    } catch (const std::exception& error) {
        std::cout << "seed " << seed << ": " << error.what() << std::endl;
        std::_Exit(1);
    }
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t from = 1, seeds = 1000;
    bool traced = false, twice = false;
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        const auto number = [&] {
            return i + 1 < argc ? std::strtoull(argv[++i], nullptr, 10) : 0;
        };
        if (word == "--from")
            from = number();
        else if (word == "--seeds")
            seeds = number();
        else if (word == "--seed")
            from = number(), seeds = 1;
        else if (word == "--trace")
            traced = true;
        else if (word == "--twice")
            twice = true;
        else
            return std::cerr << "what is " << word << "?\n", 2;
    }
    for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL})
        std::signal(number, aborted);
    stay_on_one_processor();
    const auto began = std::chrono::steady_clock::now();
    for (std::uint64_t seed = from; seed < from + seeds; ++seed) {
        const std::uint64_t digest = run(seed, traced);
        if (twice && run(seed, false) != digest) {
            std::cout << "seed " << seed << " is not the same twice\n";
            return 1;
        }
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::cout << seeds << " seeds hold, from " << from << " on, in " << took.count() << " s\n";
}

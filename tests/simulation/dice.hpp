// Numbers from a seed, the same everywhere.
#pragma once

#include <array>
#include <cstdint>

namespace pgweir::simulation {

/// splitmix64. Value.
class Dice {
public:
    explicit Dice(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    /// From 0 to end - 1.
    std::int64_t below(std::int64_t end) {
        return static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(end));
    }
    std::int64_t between(std::int64_t from, std::int64_t to) { return from + below(to - from + 1); }
    bool one_in(std::int64_t n) { return below(n) == 0; }
    template <class Items>
    auto& pick(Items& items) {
        return items[static_cast<std::size_t>(below(static_cast<std::int64_t>(items.size())))];
    }

private:
    std::uint64_t state_;
};

}  // namespace pgweir::simulation

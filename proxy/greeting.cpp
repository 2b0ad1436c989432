#include "proxy/greeting.hpp"

#include <algorithm>
#include <cstdint>

namespace pgweir::proxy {

protocol::Vars own_among(const protocol::Vars& vars, const pool::Pool::Welcome& fresh,
                         protocol::VarTable& table) {
    protocol::Vars own = table.empty();
    for (const auto& variable : vars->entries()) {
        const bool same =
            fresh && std::find(fresh->begin(), fresh->end(), variable) != fresh->end();
        if (!same) own = table.with(own, variable.first, variable.second);
    }
    return own;
}

std::string Greetings::key(const pool::Pool& pool, const protocol::VarSet::Entries& asked) {
    constexpr char between = '\0';  // is in no start-up parameter
    const auto address = reinterpret_cast<std::uintptr_t>(&pool);
    const void* const bytes = &address;
    std::string key(static_cast<const char*>(bytes), sizeof address);
    for (const auto& [name, value] : asked) (key.append(name) += between).append(value) += between;
    return key;
}

const Greeting* Greetings::find(const pool::Pool& pool,
                                const protocol::VarSet::Entries& asked) const {
    const auto found = known_.find(key(pool, asked));
    if (found == known_.end()) return nullptr;
    const Greeting& greeting = found->second;
    const bool holds = greeting.epoch == pool.epoch() && greeting.welcome == pool.welcome();
    return holds ? &greeting : nullptr;
}

const Greeting& Greetings::keep(const pool::Pool& pool, const protocol::VarSet::Entries& asked,
                                Greeting greeting) {
    constexpr std::size_t known_max = 500;
    if (known_.size() >= known_max) known_.clear();
    return known_.insert_or_assign(key(pool, asked), std::move(greeting)).first->second;
}

}  // namespace pgweir::proxy

// What clients are told at log-in, kept for the next one that asks for the same.
#pragma once

#include <string>
#include <unordered_map>

#include "pool/pool.hpp"

namespace pgweir::proxy {

/// What comes of a client's start-up parameters in a pool whose servers are shared. Value.
struct Greeting {
    protocol::Vars vars;     // the client's
    protocol::Vars own;      // of these what new servers do not have
    std::string parameters;  // ParameterStatus messages
    // What it was made of. It holds while the pool's are the same.
    pool::Pool::Welcome welcome{};
    std::uint32_t epoch = 0;
};

/// Those variables that servers do not have when they are new.
protocol::Vars own_among(const protocol::Vars& vars, const pool::Pool::Welcome& fresh,
                         protocol::VarTable& table);

/// One a shard; emptied when there is a new configuration. Value.
class Greetings {
public:
    /// By what the client has asked for, in its words. nullptr: it has to be made (anew).
    const Greeting* find(const pool::Pool& pool, const protocol::VarSet::Entries& asked) const;
    /// Until the next call that changes anything.
    const Greeting& keep(const pool::Pool& pool, const protocol::VarSet::Entries& asked,
                         Greeting greeting);
    void clear() { known_.clear(); }

private:
    static std::string key(const pool::Pool& pool, const protocol::VarSet::Entries& asked);

    std::unordered_map<std::string, Greeting> known_;
};

}  // namespace pgweir::proxy

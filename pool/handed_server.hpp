// What a process tells its successor of a server connection whose holder it hands over.
#pragma once

#include <cstdint>
#include <string>

#include "pool/net/address.hpp"
#include "protocol/vars.hpp"

namespace pgweir::pool {

/// A server between transactions that stays with the client who has it. Value; secret.
struct HandedServer {
    net::Address address;
    std::string host;  // whose address that is, as the configuration has it
    std::int64_t connected_us = 0;
    std::uint32_t backend_pid = 0;
    std::string cancel_key;
    bool close_needed = false;       // once its holder is done with it
    bool holders_sequences = false;  // currval() and lastval() tell of what the holder did
    /// What it was started with, what it has, and what it had when it was new.
    protocol::VarSet::Entries startup, vars, fresh_vars;
};

}  // namespace pgweir::pool

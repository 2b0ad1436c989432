// What a process tells its successor of a client whose connection it hands over.
#pragma once

#include <string>
#include <vector>

#include "pool/net/address.hpp"
#include "pool/server_login.hpp"
#include "protocol/vars.hpp"
#include "proxy/cancel_keys.hpp"

namespace pgweir::proxy {

/// A client between transactions that holds no server. Value.
struct HandedClient {
    std::string user, database;
    net::Address address;
    std::int64_t connected_us = 0;  // on the machine's monotonic clock, which both read
    CancelKey cancel_key;
    bool long_cancel_key = false;
    /// What its pool logs in with, in case it learnt that from a client.
    pool::ServerCredentials credentials;
    /// What a RESET gives back, what of that new servers do not have, and what it has.
    protocol::VarSet::Entries startup, own, vars;

    struct Statement {
        std::string name;  // empty: the unnamed one
        std::string query;
        std::string types;    // as protocol::Statement::types()
        bool current = true;  // it means what it would mean if it were prepared now
    };
    std::vector<Statement> statements;
};

std::string encode(const HandedClient& client);
/// Errors   08P01 when the bytes are none that encode() makes.
protocol::Result<HandedClient> decode_handed_client(protocol::Bytes bytes);

}  // namespace pgweir::proxy

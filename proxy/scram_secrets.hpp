// SCRAM verifiers of users, made from what the password file says.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "pool/worker.hpp"
#include "protocol/cleanse.hpp"
#include "protocol/scram.hpp"

namespace pgweir::proxy {

/// Deriving a verifier from a plain password costs milliseconds: it is done once a user, off the
/// loop. Thread-safe.
class ScramSecrets {
public:
    ScramSecrets();

    /// What to check a client's proof against. For a user without a usable secret it is made up,
    /// the same each time, so that the conversation looks like any other.
    net::Task<protocol::ScramVerifier> verifier(pool::Worker& worker, std::string user,
                                                protocol::Secret secret);

private:
    struct Derived {
        std::string of_secret;  // a hash that only this process could make
        int iterations;
        protocol::ScramVerifier verifier;
    };

    std::string process_secret_;
    std::mutex mutex_;
    std::map<std::string, Derived> derived_;  // by user
};

}  // namespace pgweir::proxy

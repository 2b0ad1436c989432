// The keys that clients were given for cancelling: whose is this one?
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <unordered_map>

namespace pgweir::proxy {

/// Where a client is.
struct ClientPlace {
    unsigned shard;
    std::uint32_t client;
};

/// Thread-safe. A key is what BackendKeyData carries: pid in the upper half, secret in the lower.
class CancelKeys {
public:
    /// A new key from the system's random numbers, for this client until it is taken back. Not 0.
    /// `pid` is its upper half; 0: random as well.
    std::uint64_t give(ClientPlace place, std::uint32_t pid = 0);
    void take_back(std::uint64_t key);
    std::optional<ClientPlace> find(std::uint64_t key) const;

private:
    mutable std::mutex mutex_;
    std::unordered_map<std::uint64_t, ClientPlace> places_;
};

}  // namespace pgweir::proxy

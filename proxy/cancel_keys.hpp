// The keys that clients were given for cancelling: whose is this one?
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

namespace pgweir::proxy {

/// Where a client is.
struct ClientPlace {
    unsigned shard;
    std::uint32_t client;
};

/// What BackendKeyData carries and a cancel request brings back. Value; secret.
struct CancelKey {
    std::uint32_t pid;
    std::string secret;
};

/// Thread-safe.
class CancelKeys {
public:
    /// How long the secret is: all that protocol 3.0 has room for, and what 3.2 is for.
    static constexpr std::size_t short_size = 4, long_size = 32;  // bytes

    /// The pid and the beginning of the secret, which no two clients share. Not 0.
    using Id = std::uint64_t;
    static Id id_of(std::uint32_t pid, std::string_view secret);

    /// The number of this process among those that share a port; 0: there are none. Keys that are
    /// given say it, so that others know where to send them (see peer_key).
    void set_peer(int id) { peer_.store(id, std::memory_order_relaxed); }
    int peer() const { return peer_.load(std::memory_order_relaxed); }

    /// A new key from the system's random numbers, for this client until it is taken back. `pid`
    /// 0: random as well, as it always is where there are peers.
    CancelKey give(ClientPlace place, std::uint32_t pid, std::size_t secret_size);
    void take_back(Id id);
    /// The same, and what was given out; and how another process takes that over. False: somebody
    /// has such a key already.
    std::optional<CancelKey> take_out(Id id);
    bool take_in(ClientPlace place, const CancelKey& key);
    std::optional<ClientPlace> find(std::uint32_t pid, std::string_view secret) const;

private:
    struct Entry {
        ClientPlace place;
        std::string secret;
    };

    std::optional<ClientPlace> find_exactly(std::uint32_t pid, std::string_view secret) const;

    std::atomic<int> peer_ = 0;
    mutable std::mutex mutex_;
    std::unordered_map<Id, Entry> entries_;
};

}  // namespace pgweir::proxy

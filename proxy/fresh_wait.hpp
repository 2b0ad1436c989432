// Reads that wait a moment for a replica to show what they must see.
#pragma once

#include <cstdint>
#include <vector>

#include "pool/net/loop.hpp"

namespace pgweir::proxy {

struct Shard;

/// Resource; one a worker. Clients go by their ids, so that one may end while it waits.
class FreshWait final : private net::Timer {
public:
    explicit FreshWait(Shard& shard);

    /// The client looks again whenever there is a new topology, and at that time at the latest.
    void add(std::uint32_t client, std::int64_t until_us);
    /// There is a new topology.
    void look_again();

private:
    struct Entry {
        std::uint32_t client;
        std::int64_t until_us;
    };

    void expired() override;
    void wake(const std::vector<Entry>& entries);
    void set_timer();

    Shard& shard_;
    std::vector<Entry> waiting_;
};

}  // namespace pgweir::proxy

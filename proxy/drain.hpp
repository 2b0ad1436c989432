// Nothing of ours runs at a cluster's nodes any more, and clients wait.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "pool/net/task.hpp"

namespace pgweir::pool {
class Pool;
}

namespace pgweir::proxy {

class ClusterWatch;

/// Why something could not be done; empty: it was.
using Trouble = std::optional<std::string>;

/// Resource; of its cluster's watch, on the main thread. From its beginning to its end the primary
/// gets nothing new.
class Drain {
public:
    explicit Drain(ClusterWatch& watch);
    ~Drain();
    Drain(const Drain&) = delete;
    Drain& operator=(const Drain&) = delete;

    /// Waits until what was under way is over, for so long at most; who keeps a server between
    /// transactions loses it then.
    net::Task<Trouble> run(std::int64_t limit_us);
    /// The same of reads at replicas: none begins any more, and what has not ended by then is lost.
    net::Task<Trouble> run_reads(std::int64_t limit_us);
    /// When it was over; monotonic.
    std::int64_t over_us() const { return over_us_; }

private:
    using Pools = std::set<const pool::Pool*>;

    Pools pools(bool of_replicas) const;
    net::Task<int> count_busy(Pools pools);
    net::Task<int> wait(Pools pools, std::int64_t limit_us);
    net::Task<bool> take_back(Pools pools);

    ClusterWatch& watch_;
    net::Loop& loop_;
    std::int64_t over_us_ = 0;
};

}  // namespace pgweir::proxy

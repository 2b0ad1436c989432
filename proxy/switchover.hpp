// NODE SWITCHOVER: another node becomes the primary, and clients wait for a moment.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "config/cluster.hpp"
#include "pool/net/task.hpp"
#include "proxy/hooks.hpp"
#include "proxy/monitor.hpp"

namespace pgweir::pool {
class Pool;
}

namespace pgweir::proxy {

class ClusterWatch;

/// One switchover. Resource; of its cluster's watch, on the main thread.
///
/// The primary gets nothing new; when what is under way there has ended and the target has replayed
/// all of it, the target is promoted, by the operator's command or by pg_promote(). What comes then
/// is what comes of every promotion. If it fails before, the old primary serves again.
class Switchover {
public:
    /// `done` is called once, not from within; also when this is destroyed before its end.
    Switchover(ClusterWatch& watch, config::Endpoint target, Monitor::Done done);
    ~Switchover();
    Switchover(const Switchover&) = delete;
    Switchover& operator=(const Switchover&) = delete;

    void start();
    bool running() const { return story_.running(); }

private:
    using Trouble = std::optional<std::string>;  // why it cannot be; empty: it can

    net::Task<void> run();
    net::Task<Trouble> carry_out();
    net::Task<Trouble> drain();
    net::Task<int> count_busy();
    net::Task<bool> take_back();
    net::Task<Trouble> wait_for_replay();
    net::Task<Trouble> promote();
    net::Task<Trouble> run_command();
    net::Task<Trouble> wait_for_promotion();
    std::int64_t left_us() const;
    void finish(const Trouble& trouble);

    ClusterWatch& watch_;
    net::Loop& loop_;
    const config::Endpoint target_;
    config::Endpoint old_;
    Monitor::Done done_;
    std::int64_t began_us_ = 0, drained_us_ = 0;
    std::set<const pool::Pool*> pools_;  // whose clients wait
    Hooks command_;
    net::Story story_;
};

}  // namespace pgweir::proxy

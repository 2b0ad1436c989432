// NODE SWITCHOVER: another node becomes the primary, and clients wait for a moment.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "config/cluster.hpp"
#include "pool/net/task.hpp"
#include "proxy/drain.hpp"
#include "proxy/hooks.hpp"
#include "proxy/monitor.hpp"
#include "proxy/patroni_switchover.hpp"

namespace pgweir::proxy {

class ClusterWatch;

/// One switchover. Resource; of its cluster's watch, on the main thread.
///
/// The primary gets nothing new; when what is under way there has ended and the target has replayed
/// all of it, the target is promoted, by the operator's command, by Patroni or by pg_promote().
/// What comes then is what comes of every promotion. If it fails before, the old primary serves
/// again.
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
    net::Task<void> run();
    net::Task<Trouble> carry_out();
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
    Hooks command_;
    std::unique_ptr<PatroniSwitchover> patroni_;  // nullptr: it is not Patroni's business
    net::Story story_;
};

}  // namespace pgweir::proxy

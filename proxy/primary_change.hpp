// Another node becomes the primary because the operator says so, and clients wait for a moment.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/cluster.hpp"
#include "pool/backend.hpp"
#include "pool/net/task.hpp"
#include "proxy/drain.hpp"
#include "proxy/monitor.hpp"

namespace pgweir::proxy {

/// What an order to a cluster is refused with, or fails with, as things are.
inline constexpr protocol::Sqlstate not_in_state{"55000"};

class ClusterWatch;

/// What a switchover and an upgrade have in common. Resource; of its cluster's watch, on the main
/// thread.
///
/// Whoever derives from it calls end() in its destructor: what is under way uses its members.
class PrimaryChange {
public:
    virtual ~PrimaryChange();
    PrimaryChange(const PrimaryChange&) = delete;
    PrimaryChange& operator=(const PrimaryChange&) = delete;

    void start();
    bool running() const { return story_.running(); }
    /// "switchover"
    const std::string& what() const { return what_; }

protected:
    /// `done` is called once, not from within; also when this is destroyed before its end.
    PrimaryChange(ClusterWatch& watch, std::string what, config::Endpoint target,
                  Monitor::Done done);

    virtual net::Task<Trouble> carry_out() = 0;
    void end();

    ClusterWatch& watch() const { return watch_; }
    net::Loop& loop() const { return loop_; }
    const config::Endpoint& target() const { return target_; }
    /// The primary when it began.
    const config::Endpoint& old() const { return old_; }
    /// Of failover.switchover_timeout.
    std::int64_t left_us() const;
    /// What a node says to this, asked by the account that probes; nullopt: nothing in time. An
    /// empty `dbname` is the one that is probed.
    net::Task<std::optional<pool::Backend::OwnAnswer>> ask(config::Endpoint at, std::string dbname,
                                                           std::string sql);
    /// A moment, after which there may be news of the nodes.
    net::Sleep look_again() const;

private:
    net::Task<void> run();
    void finish(const Trouble& trouble);

    ClusterWatch& watch_;
    net::Loop& loop_;
    const std::string what_;
    const config::Endpoint target_;
    config::Endpoint old_;
    Monitor::Done done_;
    std::int64_t began_us_ = 0;
    net::Story story_;
};

}  // namespace pgweir::proxy

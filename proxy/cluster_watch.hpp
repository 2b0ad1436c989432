// One cluster under watch: its state machine, its probers, its timer and its fence.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "health/cluster.hpp"
#include "pool/net/task.hpp"
#include "proxy/fence_keeper.hpp"
#include "proxy/fence_peers.hpp"
#include "proxy/monitor.hpp"
#include "proxy/node_names.hpp"
#include "proxy/patroni_watch.hpp"
#include "proxy/prober.hpp"

namespace pgweir::proxy {

class PrimaryChange;

/// Resource; of the monitor, on the main thread. What the state machine says is carried out once at
/// the end of a turn of the loop, however much has come in.
class ClusterWatch final : private Prober::Listener, private net::Timer, private net::Deferred {
public:
    ClusterWatch(Monitor& monitor, Process& process, const config::Config& config,
                 const config::Cluster& cluster);
    ~ClusterWatch() override;

    void apply(const config::Config& config, const config::Cluster& wanted);
    /// That node, or all where it has no name, is asked at once.
    void poke(const config::Endpoint& at);
    bool order(Monitor::Order order, const config::Endpoint& at);
    const health::TopologyPtr& topology() const { return topology_; }
    health::Fence fence() const { return state_.fence(); }
    void switch_over(const config::Endpoint& at, Monitor::Done done);
    void upgrade(const config::Endpoint& at, Monitor::Done done);

    // For a change of primaries.
    const config::Cluster& config() const { return state_.config(); }
    Process& process() const { return process_; }
    /// The primary gets nothing new from here on, or again.
    void hold_writes(bool held);
    /// Replicas get nothing new, or again.
    void hold_reads(bool held);
    void tell(const config::Endpoint& at, std::string text);
    /// Every node is asked at once.
    void ask_all();
    /// The cluster is that node's from here on. False: it cannot be.
    bool adopt(const config::Endpoint& at);

private:
    void answered(const config::Endpoint& at, const health::Answer& answer,
                  std::int64_t sent_us) override;
    void failed(const config::Endpoint& at, const health::Failure& failure) override;
    void expired() override;
    /// The end of the turn: publishes, asks, and sees to the next time.
    void run() override;
    void soon();
    std::int64_t now_us() const { return net::monotonic_us(); }
    void ask_patroni(const config::Cluster& cluster);
    void make_probers(const config::Cluster& cluster);
    void drop_probers(const config::Cluster& cluster);
    config::Cluster looked_up(const config::Cluster& cluster);
    void nodes_changed();
    health::Fence read_kept(const config::Config& config, const config::Cluster& cluster);
    FenceKeeper::Heard fence_heard();
    void ask_peers(const config::Cluster& cluster);
    std::string why_not_begin() const;
    std::string why_not_switch_over(const config::Endpoint& at) const;

    Monitor& monitor_;
    Process& process_;
    config::Tls tls_;
    NodeNames names_;
    FenceKeeper fence_;
    health::Cluster state_;
    std::vector<std::unique_ptr<Prober>> probers_;
    std::unique_ptr<PatroniWatch> patroni_;  // nullptr: Patroni is not asked
    std::unique_ptr<FencePeers> peers_;      // nullptr: nobody else is
    health::TopologyPtr topology_;
    std::unique_ptr<PrimaryChange> change_;  // the last one
};

}  // namespace pgweir::proxy

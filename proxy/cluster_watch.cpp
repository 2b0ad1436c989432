#include "proxy/cluster_watch.hpp"

#include <algorithm>

#include "pool/net/log.hpp"
#include "proxy/process.hpp"
#include "proxy/state_file.hpp"
#include "proxy/switchover.hpp"
#include "proxy/upgrade.hpp"

namespace pgweir::proxy {

namespace {

/// What a prober is made from: another one is needed when it changes.
bool same_probes(const config::Health& a, const config::Health& b) {
    return a.user == b.user && a.password == b.password && a.dbname == b.dbname &&
           a.timeout == b.timeout;
}

}  // namespace

ClusterWatch::ClusterWatch(Monitor& monitor, Process& process, const config::Config& config,
                           const config::Cluster& cluster)
    : net::Timer(process.main().worker.loop),
      monitor_(monitor),
      process_(process),
      tls_(config.settings.server_tls),
      names_(process.main().worker, [this] { nodes_changed(); }),
      fence_(process.main().worker.loop, monitor.files_, cluster.name, fence_heard()),
      state_(looked_up(cluster), read_kept(config, cluster), net::monotonic_us()) {
    make_probers(state_.config());
    ask_patroni(cluster);
    ask_peers(cluster);
    soon();
}

ClusterWatch::~ClusterWatch() = default;

void ClusterWatch::ask_patroni(const config::Cluster& cluster) {
    patroni_.reset();
    if (cluster.health.patroni.empty()) return;
    patroni_ = std::make_unique<PatroniWatch>(process_.main().worker, cluster,
                                              [this](const std::optional<health::Leader>& leader) {
                                                  state_.leader_said(leader, now_us());
                                                  soon();
                                              });
}

health::Fence ClusterWatch::read_kept(const config::Config& config,
                                      const config::Cluster& cluster) {
    fence_.set_file(state_file_of(config, cluster), cluster.health.interval.count());
    return fence_.read();
}

FenceKeeper::Heard ClusterWatch::fence_heard() {
    return {.kept =
                [this](const health::Fence& fence, const health::Fence& known) {
                    state_.kept(fence, known, now_us());
                    soon();
                },
            .others =
                [this](const health::Fence& fence) {
                    state_.heard_elsewhere(fence, now_us());
                    soon();
                }};
}

void ClusterWatch::ask_peers(const config::Cluster& cluster) {
    peers_.reset();
    state_.await_others(!cluster.failover.peers.empty(), now_us());
    if (cluster.failover.peers.empty()) return;
    FencePeers::Heard heard{.fence =
                                [this](const health::Fence& fence) {
                                    state_.heard_elsewhere(fence, now_us());
                                    soon();
                                },
                            .all =
                                [this] {
                                    state_.await_others(false, now_us());
                                    soon();
                                }};
    peers_ = std::make_unique<FencePeers>(process_.main().worker, cluster, std::move(heard));
}

/// With the nodes that its names stand for, as far as that is known.
config::Cluster ClusterWatch::looked_up(const config::Cluster& cluster) {
    names_.watch(cluster.nodes);
    config::Cluster found = cluster;
    found.nodes = names_.nodes();
    return found;
}

/// Those of nodes that there are no more.
void ClusterWatch::drop_probers(const config::Cluster& cluster) {
    std::erase_if(probers_, [&](const auto& prober) {
        return std::ranges::find(cluster.nodes, prober->node(), &config::Node::at) ==
               cluster.nodes.end();
    });
}

/// Names stand for others than before.
void ClusterWatch::nodes_changed() {
    config::Cluster next = state_.config();
    next.nodes = names_.nodes();
    if (next.nodes == state_.config().nodes) return;
    std::string list;
    for (const config::Node& one : next.nodes)
        list += (list.empty() ? "" : ", ") + health::name_of(one.at);
    net::log::print(net::log::Level::log, {}, "cluster {}: its nodes are {}", next.name, list);
    drop_probers(next);
    state_.configure(next, now_us());
    make_probers(next);
    soon();
}

void ClusterWatch::make_probers(const config::Cluster& cluster) {
    Prober::Listener& self = *this;
    for (const config::Node& wanted : cluster.nodes) {
        const bool known = std::ranges::any_of(
            probers_, [&](const auto& prober) { return prober->node() == wanted.at; });
        if (known) continue;
        probers_.push_back(std::make_unique<Prober>(self, process_.registry(),
                                                    process_.main().worker, cluster, wanted.at));
    }
}

void ClusterWatch::apply(const config::Config& config, const config::Cluster& wanted) {
    const config::Cluster cluster = looked_up(wanted);
    const bool same =
        same_probes(cluster.health, state_.config().health) && config.settings.server_tls == tls_;
    if (!same) probers_.clear();
    drop_probers(cluster);
    tls_ = config.settings.server_tls;
    fence_.set_file(state_file_of(config, cluster), cluster.health.interval.count());
    if (!(cluster.health == state_.config().health)) ask_patroni(cluster);
    const config::Failover& before = state_.config().failover;
    if (cluster.failover.peers != before.peers ||
        cluster.failover.peers_ca_file != before.peers_ca_file) {
        ask_peers(cluster);
    }
    state_.configure(cluster, now_us());
    if (!same) {
        for (const config::Node& one : cluster.nodes) state_.let_go(one.at, now_us());
    }
    make_probers(cluster);
    soon();
}

void ClusterWatch::poke(const config::Endpoint& at) {
    if (at.host.empty()) {
        state_.poke_all(now_us());
    } else {
        state_.poke(at, now_us());
    }
    soon();
}

bool ClusterWatch::order(Monitor::Order order, const config::Endpoint& at) {
    bool known = false;
    switch (order) {
        case Monitor::Order::drain: known = state_.drain(at, now_us()); break;
        case Monitor::Order::resume: known = state_.resume(at, now_us()); break;
        case Monitor::Order::detach: known = state_.detach(at, now_us()); break;
    }
    if (known) run();
    return known;
}

/// Why neither a switchover nor an upgrade can begin; empty: it can.
std::string ClusterWatch::why_not_begin() const {
    if (change_ && change_->running()) return change_->what() + " is under way";
    if (!topology_ || !topology_->takes_requests()) return "there is no primary that answers";
    return {};
}

std::string ClusterWatch::why_not_switch_over(const config::Endpoint& at) const {
    if (std::string reason = why_not_begin(); !reason.empty()) return reason;
    const std::string name = health::name_of(at);
    const auto place = topology_->find(at);
    if (!place) return "no such node: " + name;
    const health::NodeView& view = topology_->nodes[*place];
    if (*place == *topology_->primary) return name + " is the primary already";
    if (view.node.role == config::NodeRole::replica)
        return name + " has role \"replica\" in the configuration";
    if (view.role != health::Role::replica || !view.up || view.suspect || view.detached ||
        !view.streaming || view.timeline != topology_->epoch.timeline) {
        return name + " is not a replica that follows the primary" +
               (view.reason.empty() ? "" : ": " + view.reason);
    }
    return {};
}

void ClusterWatch::switch_over(const config::Endpoint& at, Monitor::Done done) {
    if (std::string reason = why_not_switch_over(at); !reason.empty()) {
        return done(protocol::Error{not_in_state, protocol::Origin::proxy, std::move(reason)});
    }
    change_ = std::make_unique<Switchover>(*this, at, std::move(done));
    change_->start();
}

void ClusterWatch::upgrade(const config::Endpoint& at, Monitor::Done done) {
    std::string reason = why_not_begin();
    if (reason.empty()) reason = state_.why_not_adopt(at);
    if (reason.empty() && fence_.file().empty())
        reason = "a restart would not know of it: failover.state_file is not set";
    if (!reason.empty()) {
        return done(protocol::Error{not_in_state, protocol::Origin::proxy, std::move(reason)});
    }
    change_ = std::make_unique<Upgrade>(*this, at, std::move(done));
    change_->start();
}

bool ClusterWatch::adopt(const config::Endpoint& at) {
    if (!state_.why_not_adopt(at).empty()) return false;
    state_.adopt(at, now_us());
    run();
    return true;
}

void ClusterWatch::hold_writes(bool held) {
    state_.hold_writes(held, now_us());
    run();
}

void ClusterWatch::hold_reads(bool held) {
    state_.hold_reads(held, now_us());
    run();
}

void ClusterWatch::tell(const config::Endpoint& at, std::string text) {
    state_.operator_said(at, std::move(text), now_us());
}

void ClusterWatch::ask_all() {
    state_.poke_all(now_us());
    soon();
}

void ClusterWatch::answered(const config::Endpoint& at, const health::Answer& answer,
                            std::int64_t sent_us) {
    state_.answered(at, answer, sent_us, now_us());
    soon();
}

void ClusterWatch::failed(const config::Endpoint& at, const health::Failure& failure) {
    state_.failed(at, failure, now_us());
    soon();
}

void ClusterWatch::expired() {
    state_.tick(now_us());
    soon();
}

void ClusterWatch::soon() { process_.main().worker.loop.defer(*this); }

void ClusterWatch::run() {
    fence_.keep(state_.fence());
    for (health::Event& event : state_.take_events())
        monitor_.happened(std::move(event), state_.config().failover.hook);
    if (auto topology = state_.take_topology()) {
        topology_ = topology;
        process_.topology_changed(std::move(topology));
    }
    names_.trouble(!topology_ || !topology_->primary);
    const std::int64_t now = now_us();
    std::int64_t next = state_.next_us(now);
    for (const auto& prober : probers_) {
        const std::int64_t due = state_.due_us(prober->node());
        if (due > now) {
            next = std::min(next, due);
            continue;
        }
        state_.began(prober->node(), now);
        prober->ask();  // what comes of it at once is seen to in the next turn
    }
    next = std::min(next, state_.next_us(now));
    constexpr std::int64_t rest_us = 1'000;
    constexpr std::int64_t far_us = 60'000'000;
    expire_in(std::clamp(next - now, rest_us, far_us));
}

}  // namespace pgweir::proxy

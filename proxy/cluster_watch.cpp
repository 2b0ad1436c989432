#include "proxy/cluster_watch.hpp"

#include <algorithm>

#include "pool/net/log.hpp"
#include "proxy/process.hpp"
#include "proxy/state_file.hpp"
#include "proxy/switchover.hpp"

namespace pgweir::proxy {

using net::log::Level;

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
      state_file_(state_file_of(config, cluster)),
      tls_(config.settings.server_tls),
      state_(cluster, read_kept(config, cluster), net::monotonic_us()),
      written_(state_.fence()) {
    make_probers(cluster);
    ask_patroni(cluster);
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

/// Nothing to be kept is as good as kept.
health::Fence ClusterWatch::read_kept(const config::Config&, const config::Cluster& cluster) {
    if (state_file_.empty()) {
        net::log::print(Level::log, {},
                        "cluster {}: no state file, the highest timeline is not kept over restarts "
                        "(failover.state_file)",
                        cluster.name);
        return {};
    }
    auto kept = read_state_file(state_file_, cluster.name);
    if (kept.has_value()) return *kept;
    net::log::print(Level::error, {},
                    "cluster {}: {}; going on without, a former primary may be taken for the "
                    "present one until the present one is seen",
                    cluster.name, kept.error().message);
    return {};
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

void ClusterWatch::apply(const config::Config& config, const config::Cluster& cluster) {
    const bool same =
        same_probes(cluster.health, state_.config().health) && config.settings.server_tls == tls_;
    std::erase_if(probers_, [&](const auto& prober) {
        return !same || std::ranges::find(cluster.nodes, prober->node(), &config::Node::at) ==
                            cluster.nodes.end();
    });
    tls_ = config.settings.server_tls;
    const std::string file = state_file_of(config, cluster);
    if (file != state_file_) {
        state_file_ = file;
        written_ = {};
    }
    if (!(cluster.health == state_.config().health)) ask_patroni(cluster);
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

void ClusterWatch::switch_over(const config::Endpoint& at, Monitor::Done done) {
    constexpr protocol::Sqlstate not_in_state{"55000"};
    const auto refuse = [&](std::string reason) {
        done(protocol::Error{not_in_state, protocol::Origin::proxy, std::move(reason)});
    };
    const std::string name = health::name_of(at);
    if (switchover_ && switchover_->running()) return refuse("a switchover is under way");
    if (!topology_ || !topology_->primary || topology_->primary_suspect)
        return refuse("there is no primary that answers");
    const auto place = topology_->find(at);
    if (!place) return refuse("no such node: " + name);
    const health::NodeView& view = topology_->nodes[*place];
    if (*place == *topology_->primary) return refuse(name + " is the primary already");
    if (view.node.role == config::NodeRole::replica)
        return refuse(name + " has role \"replica\" in the configuration");
    if (view.role != health::Role::replica || !view.up || view.suspect || view.detached ||
        !view.streaming || view.timeline != topology_->epoch.timeline) {
        return refuse(name + " is not a replica that follows the primary" +
                      (view.reason.empty() ? "" : ": " + view.reason));
    }
    switchover_ = std::make_unique<Switchover>(*this, at, std::move(done));
    switchover_->start();
}

void ClusterWatch::hold_writes(bool held) {
    state_.hold_writes(held, now_us());
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
    keep_fence();
    for (health::Event& event : state_.take_events())
        monitor_.happened(std::move(event), state_.config().failover.hook);
    if (auto topology = state_.take_topology()) {
        topology_ = topology;
        process_.topology_changed(std::move(topology));
    }
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

// ---------------------------------------------------------------- the state file

void ClusterWatch::keep_fence() {
    const health::Fence fence = state_.fence();
    if (fence == written_ || writing_.running()) return;
    if (state_file_.empty()) {
        written_ = fence;
        state_.kept(fence, {}, now_us());
        return;
    }
    writing_.start(process_.main().worker.loop, write_fence(fence));
}

net::Task<void> ClusterWatch::write_fence(health::Fence fence) {
    using Written = protocol::Result<health::Fence>;
    auto work = [path = state_file_, cluster = state_.config().name, fence] {
        return write_state_file(path, cluster, fence);
    };
    net::Loop& loop = process_.main().worker.loop;
    const Written written = co_await monitor_.files_.run<Written>(loop, std::move(work));
    if (written.has_error() && !write_failed_) {
        net::log::print(Level::error, {},
                        "cluster {}: {}; going on, but a restart may not know the highest timeline",
                        state_.config().name, written.error().message);
    }
    write_failed_ = written.has_error();
    written_ = fence;
    state_.kept(fence, written.has_error() ? health::Fence() : *written, now_us());
    soon();
}

}  // namespace pgweir::proxy

#include "proxy/monitor.hpp"

#include "pool/net/log.hpp"
#include "proxy/cluster_watch.hpp"
#include "proxy/primary_change.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

using net::log::Level;

namespace {

constexpr std::size_t events_max = 100;

Level level_of(health::Event::Kind kind) {
    using Kind = health::Event::Kind;
    switch (kind) {
        case Kind::node_up:
        case Kind::primary_back:
        case Kind::primary_changed:
        case Kind::operator_act: return Level::log;
        case Kind::node_down:
        case Kind::primary_lost: return Level::warning;
        default: return Level::error;
    }
}

std::vector<std::string> variables_of(const health::Event& event) {
    return {fmt::format("PGWEIR_EVENT={}", word_for(event.kind)), "PGWEIR_CLUSTER=" + event.cluster,
            "PGWEIR_NODE=" + event.node, fmt::format("PGWEIR_TIMELINE={}", event.timeline),
            "PGWEIR_TEXT=" + event.text};
}

}  // namespace

Monitor::Monitor(Process& process) : process_(process), hooks_(process.main().worker.loop) {}

Monitor::~Monitor() {
    watches_.clear();
    files_.stop();
}

void Monitor::apply(const config::ConfigPtr& config) {
    std::erase_if(watches_, [&](const auto& watch) { return !config->cluster(watch.first); });
    for (const auto& [name, cluster] : config->clusters) {
        const auto found = watches_.find(name);
        if (found != watches_.end()) {
            found->second->apply(*config, cluster);
        } else {
            watches_.emplace(name,
                             std::make_unique<ClusterWatch>(*this, process_, *config, cluster));
        }
    }
}

void Monitor::poke(const std::string& cluster, const config::Endpoint& node) {
    {
        const std::lock_guard lock(mutex_);
        const bool first = pokes_.empty();
        pokes_.insert({cluster, {node.host, node.port}});
        if (!first) return;
    }
    process_.main().worker.loop.post([this] { poked(); });
}

void Monitor::poked() {
    decltype(pokes_) pokes;
    {
        const std::lock_guard lock(mutex_);
        pokes.swap(pokes_);
    }
    for (const auto& [cluster, node] : pokes) {
        const auto found = watches_.find(cluster);
        if (found != watches_.end()) found->second->poke({node.first, node.second});
    }
}

bool Monitor::order(Order order, const config::Endpoint& node) {
    bool known = false;
    for (const auto& [name, watch] : watches_) known |= watch->order(order, node);
    return known;
}

ClusterWatch* Monitor::watch_of(const config::Endpoint& node, const Done& done) const {
    for (const auto& [name, watch] : watches_) {
        if (watch->topology() && watch->topology()->find(node)) return watch.get();
    }
    done(protocol::Error{not_in_state, protocol::Origin::proxy,
                         "no such node: " + health::name_of(node)});
    return nullptr;
}

void Monitor::switch_over(const config::Endpoint& node, Done done) {
    if (ClusterWatch* const watch = watch_of(node, done)) watch->switch_over(node, std::move(done));
}

void Monitor::upgrade(const config::Endpoint& node, Done done) {
    if (ClusterWatch* const watch = watch_of(node, done)) watch->upgrade(node, std::move(done));
}

std::optional<std::string> Monitor::fence_at(const std::string& path) const {
    for (const auto& [name, watch] : watches_) {
        if (fence_path(name) == path) return health::format_fence(watch->fence(), name);
    }
    return std::nullopt;
}

std::vector<health::TopologyPtr> Monitor::topologies() const {
    std::vector<health::TopologyPtr> all;
    for (const auto& [name, watch] : watches_) {
        if (watch->topology()) all.push_back(watch->topology());
    }
    return all;
}

void Monitor::happened(health::Event event, const std::string& hook) {
    net::log::print(level_of(event.kind), {}, "cluster {}: {}: {}{}{}", event.cluster,
                    word_for(event.kind), event.node, event.node.empty() ? "" : " ", event.text);
    if (!hook.empty()) hooks_.run(hook, variables_of(event));
    EventCounts& counts = event_counts_[event.cluster];
    std::uint64_t& count = counts.by_kind[static_cast<std::size_t>(event.kind)];
    if (event.kind == health::Event::Kind::primary_changed && count > 0) ++counts.failovers;
    ++count;
    events_.push_back(std::move(event));
    if (events_.size() > events_max) events_.pop_front();
}

}  // namespace pgweir::proxy

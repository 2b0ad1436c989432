// Watching the nodes of every cluster: asks them, and publishes what health/cluster makes of it.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "health/event.hpp"
#include "health/topology.hpp"
#include "pool/net/offload.hpp"
#include "protocol/error.hpp"
#include "proxy/hooks.hpp"

namespace pgweir::proxy {

class ClusterWatch;
class Process;

/// Resource; one a process. Everything but poke() is for the main thread.
class Monitor {
public:
    explicit Monitor(Process& process);
    ~Monitor();
    Monitor(const Monitor&) = delete;
    Monitor& operator=(const Monitor&) = delete;

    /// Watches the clusters of this configuration, from the start or after a reload.
    void apply(const config::ConfigPtr& config);

    /// Something went wrong at a node, a server connection broke say: it is asked at once. Any
    /// thread; many calls make one probe.
    void poke(const std::string& cluster, const config::Endpoint& node);

    /// Where the nodes of this cluster are in the log is asked at once. Any thread.
    void want_sample(const std::string& cluster) { poke(cluster, {.host = {}, .port = 0}); }

    enum class Order : std::uint8_t { drain, resume, detach };
    /// Of every cluster that has this node. False: none has.
    bool order(Order order, const config::Endpoint& node);

    /// Hears how a switchover ended, on the main thread; empty: well.
    using Done = std::function<void(std::optional<protocol::Error> error)>;
    /// Makes this node the primary of its cluster, and no client notices. `done` is called once,
    /// perhaps at once, unless the process ends before.
    void switch_over(const config::Endpoint& node, Done done);
    /// The same for a node of another cluster that logical replication has brought up to date.
    void upgrade(const config::Endpoint& node, Done done);

    /// The fence of the cluster whose fence_path() that is, as text; nullopt: there is none.
    std::optional<std::string> fence_at(const std::string& path) const;
    /// The newest of each cluster, by name.
    std::vector<health::TopologyPtr> topologies() const;
    /// How often each kind of event has happened to a cluster since the process began, and how
    /// often another node became the primary after the first one.
    struct EventCounts {
        std::array<std::uint64_t, health::Event::kinds> by_kind{};
        std::uint64_t failovers = 0;
    };
    const std::map<std::string, EventCounts>& event_counts() const { return event_counts_; }
    /// The last events, oldest first.
    const std::deque<health::Event>& events() const { return events_; }

private:
    friend class ClusterWatch;

    void poked();
    /// Whose cluster has this node; nullptr: none has, and `done` has been told.
    ClusterWatch* watch_of(const config::Endpoint& node, const Done& done) const;
    /// `hook`: what the operator wants to be run then; empty: nothing.
    void happened(health::Event event, const std::string& hook);

    Process& process_;
    Hooks hooks_;
    net::Offload files_{1};  // for the state files: names are looked up elsewhere, and may hang
    std::map<std::string, std::unique_ptr<ClusterWatch>, std::less<>> watches_;
    std::deque<health::Event> events_;
    std::map<std::string, EventCounts> event_counts_;  // by cluster
    std::mutex mutex_;                                 // guards what follows
    std::set<std::pair<std::string, std::pair<std::string, int>>>
        pokes_;  // cluster, host ("": all), port
};

}  // namespace pgweir::proxy

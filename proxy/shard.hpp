// One worker with its clients.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "health/topology.hpp"
#include "pool/stats.hpp"
#include "pool/worker.hpp"
#include "proxy/cancel_keys.hpp"
#include "proxy/catalogs.hpp"
#include "proxy/fresh_wait.hpp"
#include "proxy/greeting.hpp"
#include "proxy/known_cluster.hpp"
#include "proxy/memory_watch.hpp"
#include "proxy/query_book.hpp"
#include "proxy/route_reason.hpp"
#include "router/recent_texts.hpp"
#include "router/router.hpp"

namespace pgweir::pool {
class Pool;
class Registry;
}  // namespace pgweir::pool

namespace pgweir::proxy {

class Client;
class Hub;
class Process;

/// A client that has gone to the next process, for whom a hub here still listens.
struct Departed {
    CancelKey key;  // by which it is known there
    Hub* hub;
    std::int64_t since_us;
};

/// Resource; everything in it belongs to its worker's thread.
struct Shard {
    Shard(unsigned index, pool::Shared& shared, config::ConfigPtr config, Process& owner);
    ~Shard();

    /// A client that keeps a server of this pool unused since its log-in gives it up; or all.
    void reclaim(const pool::Pool& pool, bool all);

    /// A client of this connection, which has not begun. The caller has counted it in `load`.
    Client& add_client(int fd, const net::Address& address);

    /// A connection has not proved yet who it is. When there are too many of those, the one of this
    /// shard that has taken longest is closed if that is long, so that nobody is kept out by who
    /// never comes to an end, and this one otherwise. Returns  whether this one may go on.
    bool begin_login(Client& client);
    /// It has, or is gone.
    void end_login(std::uint32_t id);

    /// Every client there is now; what it does may end clients, its own and others.
    void for_each_client(const std::function<void(Client&)>& visit);

    /// Also of one that is not in the configuration (any more). The place stays.
    KnownCluster& cluster(const std::string& name);

    void take_topology(health::TopologyPtr topology);

    /// A read could not go to a replica because nobody knows yet what that shows: the nodes of the
    /// cluster are asked at once, but not more often than every `gap_us` from here.
    void want_sample(const std::string& cluster, std::int64_t gap_us);

    /// The pool for reads of this node, of the same entry and user as `primary`.
    pool::Pool& read_pool(pool::Pool& primary, const config::Endpoint& node);

    /// What is known here of that database; it is read when that is asked for the first time. The
    /// place stays.
    KnownCatalog& catalog(const CatalogKey& key);

    pool::Worker worker;
    Process& process;
    std::map<CatalogKey, KnownCatalog> catalogs;
    QueryBook queries;
    Greetings greetings;
    router::RecentTexts texts;
    std::map<std::string, RouteCounts> routes;  // by entry; the places stay
    router::Router router;
    FreshWait fresh_wait;
    std::int64_t sample_wanted_us = 0;
    /// By the primary's pool: those of its nodes.
    std::unordered_map<const pool::Pool*, std::vector<std::pair<config::Endpoint, pool::Pool*>>>
        read_pools;
    std::map<std::string, KnownCluster, std::less<>> clusters;
    std::unordered_map<std::uint32_t, std::unique_ptr<Client>> clients;
    std::unordered_map<std::uint32_t, Departed> departed;  // by the ids that they had
    std::set<std::uint32_t> unasked;                       // ids of those clients
    std::set<std::uint32_t> logins;           // ids, oldest first, of who has not proved anything
    pool::PoolStats console_stats;            // the console counts as a database of its own
    pool::ErrorCounts errors;                 // told to clients that are no pool's
    std::int64_t next_walk_us = 0;            // when the clients' time limits are looked at again
    std::int64_t next_look_us = 0;            // when the servers' addresses are
    std::atomic<std::int64_t> ticked_us = 0;  // when its chores were last done
    HeldMemory held_memory;
    std::atomic<int> load = 0;  // connections: where the next client goes is decided by it
};

}  // namespace pgweir::proxy

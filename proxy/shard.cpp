#include "proxy/shard.hpp"

#include <algorithm>
#include <vector>

#include "proxy/client.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

Shard::Shard(unsigned index, pool::Shared& shared, config::ConfigPtr config, Process& owner)
    : worker(index, shared, std::move(config)),
      process(owner),
      fresh_wait(*this) {
    queries.set_max(static_cast<std::size_t>(worker.config->native.query_shapes));
}

Shard::~Shard() = default;

Client& Shard::add_client(int fd, const net::Address& address) {
    const std::uint32_t id = worker.shared.next_id.fetch_add(1, std::memory_order_relaxed);
    return *clients.emplace(id, std::make_unique<Client>(*this, id, fd, address)).first->second;
}

void Shard::take_topology(health::TopologyPtr topology) {
    // What goes by the old one is on its way before the new one is known here.
    worker.loop.submit_batch();
    const bool serves_all = topology->takes_requests() && !topology->writes_held;
    KnownCluster& known = cluster(topology->cluster);
    known.take(std::move(topology));
    fresh_wait.look_again();
    // Who asked before that was noticed waits in the primary's queue.
    if (!serves_all) for_each_client([](Client& client) { client.look_for_replica(); });
}

KnownCluster& Shard::cluster(const std::string& name) {
    return clusters.try_emplace(name, name, worker.index, worker.config).first->second;
}

void Shard::want_sample(const std::string& cluster, std::int64_t gap_us) {
    const std::int64_t now_us = worker.loop.now_us();
    if (now_us - sample_wanted_us < gap_us) return;
    sample_wanted_us = now_us;
    process.monitor().want_sample(cluster);
}

pool::Pool& Shard::read_pool(pool::Pool& primary, const config::Endpoint& node) {
    auto& known = read_pools[&primary];
    for (const auto& [at, pool] : known) {
        if (at == node) return *pool;
    }
    pool::Pool& made = process.registry().read_pool(*worker.config, primary, node);
    known.emplace_back(node, &made);
    return made;
}

KnownCatalog& Shard::catalog(const CatalogKey& key) {
    KnownCatalog& place = catalogs[key];
    if (!place.changes) place.changes = process.catalogs().want(key);
    return place;
}

bool Shard::begin_login(Client& client) {
    constexpr int few = 100;
    constexpr std::int64_t patience_us = 1'000'000;
    const protocol::Error crowded{protocol::sqlstate::too_many_connections, protocol::Origin::proxy,
                                  "too many connections are logging in"};
    logins.insert(client.id());
    const int most = std::max(few, worker.config->settings.max_client_conn);
    if (process.logins.fetch_add(1, std::memory_order_relaxed) < most) return true;
    Client& oldest = *clients.at(*logins.begin());
    const bool gives_way = oldest.connected_us() + patience_us < worker.loop.now_us();
    (gives_way ? oldest : client).close(crowded);
    return gives_way;
}

void Shard::end_login(std::uint32_t id) {
    if (logins.erase(id) > 0) process.logins.fetch_sub(1, std::memory_order_relaxed);
}

/// By id, so that it does not matter when those that end leave the table.
void Shard::for_each_client(const std::function<void(Client&)>& visit) {
    std::vector<std::uint32_t> ids;
    ids.reserve(clients.size());
    for (const auto& [id, client] : clients) ids.push_back(id);
    for (const std::uint32_t id : ids) {
        if (const auto found = clients.find(id); found != clients.end()) visit(*found->second);
    }
}

void Shard::reclaim(const pool::Pool& pool, bool all) {
    const std::set<std::uint32_t> ids = unasked;
    for (const std::uint32_t id : ids) {
        const auto found = clients.find(id);
        if (found == clients.end()) continue;
        if (found->second->pool() == &pool && found->second->give_up() && !all) return;
    }
}

}  // namespace pgweir::proxy

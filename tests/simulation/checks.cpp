// What has to hold in a World: while bytes go out, at every moment of rest, and at the end.
#include <algorithm>

#include "tests/simulation/backend.hpp"
#include "tests/simulation/world.hpp"

namespace pgweir::simulation {

void World::connecting(const WirePtr& wire, const std::string& address) {
    Node* const node = cluster_->find(address);
    if (!node) return violation("connects to " + address);
    node->connected(wire);
}

/// No write goes to a node that the sending worker knows not to be the primary any more.
void World::sending(const Wire& wire, std::string_view bytes) {
    const Node* const node = wire.peer.empty() ? nullptr : cluster_->find(wire.peer);
    if (!node || !clustered_ || !node->primary) return;
    const bool writes = bytes.find("insert into") != std::string_view::npos ||
                        bytes.find("commit") != std::string_view::npos;
    if (!writes) return;
    const auto& shards = process_->shards();
    const health::Topology* const topology =
        shards[kernel_.running_loop()]->cluster("main").topology();
    if (!topology) return;
    std::uint32_t known = topology->epoch.timeline;
    for (const health::NodeView& view : topology->nodes) known = std::max(known, view.timeline);
    if (known > node->timeline)
        violation(fmt::format("a write goes to {}, which is on timeline {}, and {} is known",
                              wire.peer, node->timeline, known));
}

void World::step() {
    if (!cluster_->unknown.empty()) violation("PostgreSQL was asked: " + cluster_->unknown);
}

void World::quiet() {
    if (process_ && !ending_) check_pools();
}

std::string World::pools_text() const {
    std::string text;
    for (pool::Pool* const pool : process_->registry().pools()) {
        const auto counts = pool->counts(kernel_.now_us());
        text += fmt::format("; pool {}@{}: {} waiting, {} opening, {} idle, {} in use{}{}",
                            pool->database(), pool->node(), counts.waiting, counts.opening,
                            counts.idle, counts.in_use, pool->paused() ? ", paused" : "",
                            pool->held() ? ", held" : "");
    }
    for (const auto& shard : process_->shards()) {
        for (const auto& [id, server] : shard->worker.servers) {
            if (server->apart()) continue;
            std::string owed;
            server->backend().pipeline().for_each([&](const protocol::Outstanding& one) {
                owed += fmt::format(" {}/{}", static_cast<int>(one.request),
                                    static_cast<int>(one.reply));
            });
            text += fmt::format("; server {} of {} on worker {}: {}{}{}, status {}", id,
                                server->node_text(), shard->worker.index,
                                pool::state_text(server->state()), server->peer() ? ", held" : "",
                                server->backend().settled() ? "" : ", owes replies",
                                static_cast<char>(server->backend().tx()));
            text += fmt::format(", owed{}, {} bytes unsent, {} not read", owed,
                                server->unsent_bytes(), kernel_.unread(server->fd()));
        }
    }
    for (const auto& shard : process_->shards()) {
        for (const auto& [id, client] : shard->clients) {
            text += fmt::format(
                "; connection {} on worker {}: state {}, {} bytes kept, {} unsent, {} not read", id,
                shard->worker.index, static_cast<int>(client->state()), client->kept_bytes(),
                client->unsent_bytes(), kernel_.unread(client->fd()));
        }
    }
    for (const auto& node : cluster_->nodes) {
        for (const auto& backend : node->backends()) {
            if (backend->is_app()) text += "; " + node->address + " " + backend->text();
        }
    }
    return text;
}

void World::check_pools() {
    for (pool::Pool* const pool : process_->registry().pools()) {
        check_pool(*pool);
        check_pause(*pool);
    }
    for (const auto& shard : process_->shards()) {
        for (const auto& [id, server] : shard->worker.servers) {
            if (server->state() == pool::ServerState::idle && !server->apart())
                check_shelved(*server);
        }
    }
}

/// A server on the shelf has nothing that its next client would meet and pgweir does not know of.
void World::check_shelved(const pool::Server& server) {
    Shelved& last = shelved_[server.id()];
    if (!last.session) {
        const Node* const node = cluster_->find(server.address().text());
        last.session = node ? node->find(server.backend_pid()) : nullptr;
    }
    const Backend* const session = last.session;
    if (!session || !session->alive()) return;  // it has died, and nobody has noticed yet
    if (const std::string left = session->leftovers(); !left.empty())
        violation(fmt::format("a server on the shelf has {}", left));
    const Variables& variables = session->variables();
    if (last.known == server.vars() && last.changes == variables.changes()) return;
    last.known = server.vars();
    last.changes = variables.changes();
    for (const auto& [name, preset] : Variables::presets()) {
        const std::string* const known = server.vars()->find(name);
        const std::string there = variables.get(name);
        const bool differs = known ? *known != there : variables.session().contains(name);
        if (differs)
            violation(fmt::format("a server on the shelf has {} = \"{}\", and is believed to have "
                                  "{}",
                                  name, there, known ? '"' + *known + '"' : "none"));
    }
}

/// A paused pool lends nothing.
void World::check_pause(pool::Pool& pool) {
    if (!pool.paused()) {
        lent_at_pause_.erase(&pool);
        return;
    }
    std::set<std::uint32_t> lent;
    for (const auto& shard : process_->shards()) {
        for (const auto& [id, server] : shard->worker.servers) {
            if (&server->pool() == &pool && server->peer() && !server->apart()) lent.insert(id);
        }
    }
    const auto [before, fresh] = lent_at_pause_.try_emplace(&pool, lent);
    if (!fresh && !std::ranges::includes(before->second, lent))
        violation(fmt::format("pool {}@{} is paused and has lent a server", pool.database(),
                              pool.node()));
    before->second = std::move(lent);
}

/// The books of a pool, against the connections there are.
void World::check_pool(pool::Pool& pool) const {
    const pool::Pool::Counts counts = pool.counts(kernel_.now_us());
    int opening = 0, idle = 0, lent = 0;
    for (const auto& shard : process_->shards()) {
        for (const auto& [id, server] : shard->worker.servers) {
            if (&server->pool() != &pool || server->apart()) continue;
            if (server->state() == pool::ServerState::login)
                ++opening;
            else if (server->state() == pool::ServerState::idle)
                ++idle;
            else
                ++lent;
        }
    }
    if (counts.opening != opening || counts.idle != idle || counts.in_use != lent)
        violation(fmt::format("the books of pool {}@{} say {} opening, {} idle, {} in use; there "
                              "are {}, {} and {}",
                              pool.database(), pool.node(), counts.opening, counts.idle,
                              counts.in_use, opening, idle, lent));
    if (counts.waiting > 0 && counts.idle > 0 && !pool.paused() && !pool.held())
        violation(fmt::format("{} wait in pool {}@{} while {} servers are idle{}", counts.waiting,
                              pool.database(), pool.node(), counts.idle, pools_text()));
    const auto& limits = pool.settings(process_->main().worker).limits;
    const int opened_max = std::max(6, limits.size) + limits.reserve_size;
    if (counts.total > opened_max)
        violation(fmt::format("pool {} has {} servers", pool.database(), counts.total));
}

/// When all clients have gone: what they were told of their writes, and what is in the log.
void World::check_accounts() const {
    const Node& primary = *std::ranges::find_if(cluster_->nodes, [&](const auto& node) {
                               return node.get() == &cluster_->primary();
                           })->get();
    for (const auto& [write, fate] : fates_) {
        const std::size_t count = primary.count(write);
        if (count > 1) violation(fmt::format("{} was carried out {} times", write, count));
        if (fate == Fate::done && count == 0) violation(write + " was acknowledged and is lost");
        if (fate == Fate::failed && count > 0)
            violation(write + " is there, and its client was told that it had failed");
    }
    if (process_->clients() != 0)
        violation(fmt::format("{} clients are left", process_->clients()));
    for (pool::Pool* const pool : process_->registry().pools()) {
        const auto counts = pool->counts(kernel_.now_us());
        if (counts.waiting > 0 || counts.in_use > 0)
            violation(
                fmt::format("nobody is there, and in pool {} {} wait and {} servers are lent{}",
                            pool->database(), counts.waiting, counts.in_use, pools_text()));
    }
}

}  // namespace pgweir::simulation

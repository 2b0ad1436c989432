// A pool of a cluster follows its node: what becomes of servers and waiters when that changes.
#include "pool/aim.hpp"

#include <algorithm>

#include "pool/net/log.hpp"
#include "pool/pool.hpp"
#include "pool/registry.hpp"

namespace pgweir::pool {

namespace {

/// Closes those of the worker's servers that are meant. The end of one may be that of another.
template <typename Meant>
void close_servers(Worker& worker, const protocol::Error& error, Meant meant) {
    std::vector<std::uint32_t> ids;
    for (const auto& [id, server] : worker.servers) {
        if (meant(*server)) ids.push_back(id);
    }
    for (const std::uint32_t id : ids) {
        const auto found = worker.servers.find(id);
        if (found != worker.servers.end()) found->second->close(error);
    }
}

/// What its node says may be of use, or not.
bool is_doubtful(const Aim& aim) { return !aim.at || !aim.trusted; }

}  // namespace

void Pool::aim(const Aim& aim) {
    bool moved, held, was_held, doubted, was_doubted;
    {
        const std::lock_guard lock(mutex_);
        if (aim == aim_) return;
        doubted = is_doubtful(aim);
        was_doubted = is_doubtful(aim_);
        held = doubted || aim.draining;
        was_held = ledger_.held();
        // While there is no primary, the last one's servers may prove to be of use, unless another
        // has its place. What one node of several does not answer is asked elsewhere.
        const bool stays = key_.node.empty() && !aim.at && !(last_at_ && aim.replaced == last_at_);
        moved = !stays && (aim.at != last_at_ || aim.incarnation != incarnation_);
        aim_ = aim;
        if (moved) last_at_ = aim.at, incarnation_ = aim.incarnation;
        if (moved || held != was_held) failures_ = 0, retry_at_us_ = 0;
        if (held && !was_held) held_since_us_ = net::monotonic_us();
        ledger_.hold(held);
    }
    if (moved) epoch_.fetch_add(1, std::memory_order_release);
    for (Worker* const worker : registry_.workers()) {
        worker->loop.post([this, worker, moved, turned = doubted != was_doubted, doubted, held,
                           live = registry_.loops_live] {
            if (Registry::ended(live)) return;  // and so may have this pool
            if (moved) {
                sever_obsolete(*worker);
            } else if (turned && key_.node.empty()) {
                doubt_servers(*worker, doubted);
            }
            if (!held) return serve_waiting(*worker);
            if (key_.node.empty()) return;
            // What is under way at a node that may hang is asked elsewhere; who is idle may stay.
            close_servers(*worker, node_lost(), [this](const Server& server) {
                return &server.pool() == this && server.peer();
            });
            refuse(*worker, worker->loop.now_us(), no_node(0));
        });
    }
}

/// The node they go to is not the one they were opened for, or has forgotten them: what is under
/// way there is lost, and nothing more is to be heard of it.
void Pool::sever_obsolete(Worker& worker) {
    close_servers(worker, node_lost(), [this](const Server& server) {
        return &server.pool() == this && server.epoch != epoch();
    });
}

/// A server that changes its worker may miss doubt_servers() at both.
void Pool::arrived(Server& server) {
    if (key_.node.empty() && settings(server.worker()).of_cluster()) {
        const std::lock_guard lock(mutex_);
        server.doubt(is_doubtful(aim_));
    }
    shelve(server);
}

void Pool::doubt_servers(Worker& worker, bool doubted) {
    for (const auto& [id, server] : worker.servers) {
        const bool logged_in = server->state() != ServerState::login;
        if (&server->pool() == this && logged_in && !server->apart()) server->doubt(doubted);
    }
}

/// Those who wait get what is idle, and for the others servers are opened.
void Pool::serve_waiting(Worker& worker) {
    while (true) {
        Ledger::Match match;
        std::uint32_t id = 0;
        unsigned from = 0;
        {
            const std::lock_guard lock(mutex_);
            match = ledger_.match(worker.index);
            if (match.server) id = static_cast<Server*>(match.server)->id();
            if (match.server) from = match.server->worker;
        }
        if (!match.server) break;
        if (!match.waiter) {
            fetch(from, id, worker.index);
            continue;
        }
        static_cast<Server*>(match.server)->set_state(ServerState::idle);
        static_cast<Peer*>(match.waiter)->granted(static_cast<Server&>(*match.server));
    }
    open_wanted(worker);
}

int Pool::busy(const std::set<const Pool*>& pools, const Worker& worker) {
    return static_cast<int>(std::ranges::count_if(worker.servers, [&](const auto& entry) {
        const Server& server = *entry.second;
        const bool meant = server.peer() && !server.apart() && pools.contains(&server.pool());
        const bool resting = server.backend().settled() && !server.busy_with_own() &&
                             server.backend().tx() == protocol::TxStatus::idle;
        return meant && !resting;
    }));
}

void Pool::take_back(const std::set<const Pool*>& pools, Worker& worker) {
    close_servers(worker, node_lost(), [&pools](const Server& server) {
        return server.peer() && !server.apart() && pools.contains(&server.pool());
    });
}

bool Pool::held() const {
    const std::lock_guard lock(mutex_);
    return ledger_.held();
}

/// Those for whom there has been no node for too long: who waits for a server, and, when the node
/// is down, who has one of its servers and waits for an answer or for being heard.
void Pool::refuse_held(Worker& worker) {
    std::int64_t since_us;
    bool down;
    {
        const std::lock_guard lock(mutex_);
        if (!ledger_.held()) return;
        since_us = held_since_us_;
        down = !aim_.at;
    }
    const std::int64_t hold_us = settings(worker).hold_us;
    const std::int64_t before_us = worker.loop.now_us() - hold_us;
    if (since_us > before_us) return;
    refuse(worker, before_us, no_node(hold_us));
    if (!down) return;
    close_servers(worker, node_silent(hold_us), [this, before_us](const Server& server) {
        return &server.pool() == this && server.doubted_since_us() != 0 &&
               server.doubted_since_us() <= before_us && server.awaited();
    });
}

protocol::Error Pool::node_lost() {
    return {protocol::sqlstate::connection_failure, protocol::Origin::server,
            "the server has been replaced"};
}

protocol::Error Pool::node_silent(std::int64_t waited_us) {
    return {protocol::sqlstate::connection_failure, protocol::Origin::server,
            fmt::format("the server has not been heard of for {} ms", waited_us / 1000)};
}

protocol::Error Pool::no_node(std::int64_t waited_us) {
    return {protocol::sqlstate::cannot_connect_now, protocol::Origin::proxy,
            fmt::format("no server of the cluster can take this request: waited {} ms",
                        waited_us / 1000)};
}

}  // namespace pgweir::pool

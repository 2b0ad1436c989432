// Connections that are one client's own: on no shelf, but within the limits.
#include <memory>

#include "pool/pool.hpp"
#include "pool/registry.hpp"

namespace pgweir::pool {

std::uint32_t Pool::open_apart(Worker& worker, Peer& peer) {
    const std::uint32_t id = worker.shared.next_id.fetch_add(1, std::memory_order_relaxed);
    auto server = std::make_unique<Server>(worker, *this, id, peer.startup());
    Server& fresh = *server;
    worker.servers.emplace(id, std::move(server));
    fresh.keep_apart(peer);
    fresh.open();
    return id;
}

bool Pool::count_apart(Worker& here) {
    const config::PoolLimits& limits = settings(here).limits;
    bool room;
    {
        const std::lock_guard lock(mutex_);
        room = ledger_.begin_apart();
    }
    if (room && database_totals_.servers.acquire(limits.max_db_connections)) {
        if (user_totals_.servers.acquire(limits.max_user_connections)) return true;
        database_totals_.servers.release();
    }
    if (room) {
        const std::lock_guard lock(mutex_);
        ledger_.end_apart();
    }
    if (!evict(here) && room) registry_.make_room(*this, here);
    return false;
}

void Pool::uncount_apart(Worker& here) {
    database_totals_.servers.release();
    user_totals_.servers.release();
    {
        const std::lock_guard lock(mutex_);
        ledger_.end_apart();
    }
    open_wanted(here);
    registry_.room_made(here);
}

}  // namespace pgweir::pool

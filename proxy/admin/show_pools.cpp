// SHOW POOLS, DATABASES, USERS, PEERS, PEER_POOLS, LISTS.
#include <algorithm>

#include <fmt/format.h>

#include "config/units.hpp"
#include "proxy/admin/show.hpp"

namespace pgweir::proxy::admin {

namespace {

constexpr Type int4 = Type::int4;

constexpr Column pools_columns[] = {
    {"database"},
    {"user"},
    {"cl_active", int4},
    {"cl_waiting", int4},
    {"cl_active_cancel_req", int4},
    {"cl_waiting_cancel_req", int4},
    {"sv_active", int4},
    {"sv_active_cancel", int4},
    {"sv_being_canceled", int4},
    {"sv_idle", int4},
    {"sv_used", int4},
    {"sv_tested", int4},
    {"sv_login", int4},
    {"maxwait", int4},
    {"maxwait_us", int4},
    {"pool_mode"},
    {"load_balance_hosts"},
};

constexpr Column databases_columns[] = {
    {"name"},
    {"host"},
    {"port", int4},
    {"database"},
    {"force_user"},
    {"pool_size", int4},
    {"min_pool_size", int4},
    {"reserve_pool_size", int4},
    {"server_lifetime", int4},
    {"pool_mode"},
    {"load_balance_hosts"},
    {"max_connections", int4},
    {"current_connections", int4},
    {"max_client_connections", int4},
    {"current_client_connections", int4},
    {"paused", int4},
    {"disabled", int4},
};

constexpr Column users_columns[] = {
    {"name"},
    {"pool_size"},
    {"reserve_pool_size"},
    {"pool_mode"},
    {"max_user_connections", int4},
    {"current_connections", int4},
    {"max_user_client_connections", int4},
    {"current_client_connections", int4},
};

constexpr Column peers_columns[] = {
    {"peer_id", int4},
    {"host"},
    {"port", int4},
    {"pool_size", int4},
};

constexpr Column peer_pools_columns[] = {
    {"peer_id", int4},
    {"cl_active_cancel_req", int4},
    {"cl_waiting_cancel_req", int4},
    {"sv_active_cancel", int4},
    {"sv_login", int4},
};

constexpr Column lists_columns[] = {
    {"list"},
    {"items", int4},
};

template <class Word>
Cell word(const std::optional<Word>& value) {
    return value ? text(config::word_for(*value)) : std::nullopt;
}

std::int64_t seconds(config::Duration time) {
    return std::chrono::duration_cast<std::chrono::seconds>(time).count();
}

Rows pools_rows(const Snapshot& snapshot) {
    Rows rows;
    for (const PoolState& pool : snapshot.pools) {
        const std::int64_t wait_us = std::max<std::int64_t>(pool.oldest_wait_us, 0);
        const PoolCounts& counts = pool.counts;
        rows.push_back({
            pool.database,
            pool.user,
            number(counts.cl_active),
            number(counts.cl_waiting),
            number(counts.cl_active_cancel_req),
            number(counts.cl_waiting_cancel_req),
            number(counts.sv_active),
            number(counts.sv_active_cancel),
            number(counts.sv_being_canceled),
            number(counts.sv_idle),
            number(counts.sv_used),
            number(counts.sv_tested),
            number(counts.sv_login),
            number(wait_us / 1'000'000),
            number(wait_us % 1'000'000),
            text(config::word_for(pool.mode)),
            word(pool.load_balance_hosts),
        });
    }
    return rows;
}

Rows databases_rows(const Snapshot& snapshot) {
    Rows rows;
    for (const DatabaseState& database : snapshot.databases) {
        const config::Database& entry = database.entry;
        const config::PoolLimits limits = config::limits_of(*snapshot.config, entry, nullptr);
        const bool several = entry.hosts.size() > 1;
        rows.push_back({
            entry.name,
            entry.hosts.empty() ? Cell() : fmt::format("{}", fmt::join(entry.hosts, ",")),
            number(entry.port),
            entry.dbname.empty() ? entry.name : entry.dbname,
            entry.user,
            number(limits.size),
            number(limits.min_size),
            number(limits.reserve_size),
            number(seconds(limits.server_lifetime)),
            word(entry.pool_mode),
            several ? text(config::word_for(entry.load_balance_hosts)) : Cell(),
            number(limits.max_db_connections),
            number(database.servers),
            number(limits.max_db_client_connections),
            number(database.clients),
            number(database.paused ? 1 : 0),
            number(database.disabled ? 1 : 0),
        });
    }
    return rows;
}

/// A number in text, as PgBouncer pads it; blank when it is not set.
Cell padded(const std::optional<int>& size) {
    return size ? fmt::format("{:9}", *size) : std::string();
}

Rows users_rows(const Snapshot& snapshot) {
    static const config::User nobody;
    const config::Settings& settings = snapshot.config->settings;
    const auto limit = [](const std::optional<int>& own, int global) {
        return number(own.value_or(0) > 0 ? *own : global);
    };
    Rows rows;
    for (const UserState& user : snapshot.users) {
        const config::User* const known = snapshot.config->user(user.name);
        const config::User& entry = known ? *known : nobody;
        rows.push_back({
            user.name,
            padded(entry.pool_size),
            padded(entry.reserve_pool_size),
            word(entry.pool_mode),
            limit(entry.max_user_connections, settings.max_user_connections),
            number(user.servers),
            limit(entry.max_user_client_connections, settings.max_user_client_connections),
            number(user.clients),
        });
    }
    return rows;
}

Rows peers_rows(const Snapshot& snapshot) {
    Rows rows;
    for (const auto& [id, peer] : snapshot.config->peers) {
        const int size = peer.pool_size.value_or(snapshot.config->settings.default_pool_size);
        rows.push_back({number(id), peer.host, number(peer.port), number(size)});
    }
    return rows;
}

Rows peer_pools_rows(const Snapshot& snapshot) {
    Rows rows;
    for (const auto& [id, load] : snapshot.peers) {
        rows.push_back({number(id), number(load.active), number(load.waiting), number(load.active),
                        number(load.connecting)});
    }
    return rows;
}

/// Nothing is kept in advance here, so nothing is ever free.
Rows lists_rows(const Snapshot& snapshot) {
    const auto size = [](const auto& list) { return number(list.size()); };
    return {
        {"databases", size(snapshot.databases)},
        {"users", size(snapshot.users)},
        {"peers", size(snapshot.config->peers)},
        {"pools", size(snapshot.pools)},
        {"peer_pools", size(snapshot.peers)},
        {"free_clients", "0"},
        {"used_clients", number(snapshot.clients)},
        {"login_clients", number(snapshot.clients_logging_in)},
        {"free_servers", "0"},
        {"used_servers", number(snapshot.servers)},
        {"dns_names", size(snapshot.hosts)},
        {"dns_zones", size(snapshot.zones)},
        {"dns_queries", number(snapshot.lookups.hosts + snapshot.lookups.zones)},
        {"dns_pending", number(snapshot.lookups.zones)},
    };
}

constexpr unsigned counted = Snapshot::pools_part;

constexpr Show shows[] = {
    {"pools", Access::stats, counted, pools_columns, pools_rows},
    {"databases", Access::stats, counted | Snapshot::databases_part, databases_columns,
     databases_rows},
    {"users", Access::stats, Snapshot::users_part, users_columns, users_rows},
    {"peers", Access::stats, Snapshot::nothing, peers_columns, peers_rows},
    {"peer_pools", Access::stats, Snapshot::peers_part, peer_pools_columns, peer_pools_rows},
    {"lists", Access::stats,
     counted | Snapshot::databases_part | Snapshot::users_part | Snapshot::hosts_part |
         Snapshot::peers_part,
     lists_columns, lists_rows},
};

}  // namespace

std::span<const Show> pool_shows() { return shows; }

}  // namespace pgweir::proxy::admin

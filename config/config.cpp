#include "config/config.hpp"

#include <algorithm>

namespace pgweir::config {

namespace {

template <class Entry>
const Entry* find(const std::map<std::string, Entry, std::less<>>& entries, std::string_view name) {
    const auto found = entries.find(name);
    return found == entries.end() ? nullptr : &found->second;
}

/// The first of the two that was written, else the global value.
template <class Value>
Value inner(const std::optional<Value>& first, const std::optional<Value>& second, Value global) {
    if (first) return *first;
    return second.value_or(global);
}

/// A cap or a time limit: as in PgBouncer, 0 in an entry means "as the next outer one".
template <class Value>
Value positive(const std::optional<Value>& own, Value outer) {
    return own && *own > Value{} ? *own : outer;
}

/// The time limits of clients, which PgBouncer knows per user and the native TOML per database too.
void set_client_timeouts(PoolLimits& limits, const Settings& global, const Database& database,
                         const User& user) {
    limits.query_timeout =
        positive(user.query_timeout, positive(database.query_timeout, global.query_timeout));
    limits.transaction_timeout =
        positive(user.transaction_timeout,
                 positive(database.transaction_timeout, global.transaction_timeout));
    limits.idle_transaction_timeout =
        positive(user.idle_transaction_timeout,
                 positive(database.idle_transaction_timeout, global.idle_transaction_timeout));
    limits.client_idle_timeout =
        positive(user.client_idle_timeout,
                 positive(database.client_idle_timeout, global.client_idle_timeout));
}

void set_caps(PoolLimits& limits, const Settings& global, const Database& database,
              const User& user) {
    limits.max_db_connections = positive(database.max_db_connections, global.max_db_connections);
    limits.max_user_connections = positive(user.max_user_connections, global.max_user_connections);
    limits.max_db_client_connections =
        positive(database.max_db_client_connections, global.max_db_client_connections);
    limits.max_user_client_connections =
        positive(user.max_user_client_connections, global.max_user_client_connections);
}

}  // namespace

const Database* Config::database(std::string_view name) const { return find(databases, name); }
std::optional<Database> Config::entry_for(std::string_view name) const {
    const Database* const own = name == "*" ? nullptr : database(name);
    if (own) return *own;
    const Database* const fallback = database("*");
    if (!fallback) return std::nullopt;
    Database entry = *fallback;
    entry.name = name;
    if (entry.dbname.empty() || entry.dbname == "*") entry.dbname = name;
    entry.auto_database = true;
    return entry;
}

const User* Config::user(std::string_view name) const { return find(users, name); }
const Credential* Config::credential(std::string_view name) const { return find(userlist, name); }
const Cluster* Config::cluster(std::string_view name) const { return find(clusters, name); }

PoolLimits limits_of(const Config& config, const Database& database, const User* user) {
    static const User nobody;
    const User& own = user ? *user : nobody;
    const Settings& global = config.settings;
    PoolLimits limits;
    limits.mode = inner(own.pool_mode, database.pool_mode, global.pool_mode);
    limits.size = inner(own.pool_size, database.pool_size, global.default_pool_size);
    limits.min_size = database.min_pool_size.value_or(global.min_pool_size);
    limits.reserve_size =
        inner(own.reserve_pool_size, database.reserve_pool_size, global.reserve_pool_size);
    limits.reserve_timeout = database.reserve_pool_timeout.value_or(global.reserve_pool_timeout);
    limits.query_wait_timeout =
        inner(own.query_wait_timeout, database.query_wait_timeout, global.query_wait_timeout);
    limits.server_lifetime = positive(database.server_lifetime, global.server_lifetime);
    limits.server_idle_timeout = database.server_idle_timeout.value_or(global.server_idle_timeout);
    limits.session_state =
        inner(own.session_state, database.session_state, config.native.session_state);
    set_client_timeouts(limits, global, database, own);
    set_caps(limits, global, database, own);
    return limits;
}

Tls server_tls(const Settings& settings, const Database& database) {
    Tls tls = settings.server_tls;
    const auto over = [](auto& value, const auto& own) {
        if (own) value = *own;
    };
    over(tls.sslmode, database.sslmode);
    over(tls.negotiation, database.sslnegotiation);
    over(tls.ca_file, database.sslrootcert);
    over(tls.cert_file, database.sslcert);
    over(tls.key_file, database.sslkey);
    over(tls.protocols, database.ssl_protocols);
    over(tls.ciphers, database.ssl_ciphers);
    over(tls.tls13_ciphers, database.ssl_tls13_ciphers);
    return tls;
}

bool clients_may_end_soon(const Config& config) {
    const auto set = [](const auto& place) {
        const auto any = [](const auto&... limits) { return ((limits > Duration{}) || ...); };
        return any(place.query_timeout, place.transaction_timeout, place.idle_transaction_timeout,
                   place.client_idle_timeout);
    };
    const auto set_in = [&](const auto& entries) {
        return std::ranges::any_of(entries, [&](const auto& item) { return set(item.second); });
    };
    return config.settings.server_fast_close || set(config.settings) || set_in(config.databases) ||
           set_in(config.users);
}

}  // namespace pgweir::config

#include "config/config.hpp"

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

/// A cap or a time limit of an entry: as in PgBouncer, 0 and below there mean "as the global one".
template <class Value>
Value positive_or(const std::optional<Value>& own, Value global) {
    return own && *own > Value{} ? *own : global;
}

}  // namespace

const Database* Config::database(std::string_view name) const { return find(databases, name); }
const User* Config::user(std::string_view name) const { return find(users, name); }
const Credential* Config::credential(std::string_view name) const { return find(userlist, name); }
const Cluster* Config::cluster(std::string_view name) const { return find(clusters, name); }

PoolLimits limits_of(const Config& config, const Database& database, const User* user) {
    static const User nobody;
    const User& own = user ? *user : nobody;
    const Settings& global = config.settings;
    const auto wait_timeout = own.query_wait_timeout ? own.query_wait_timeout
                                                     : database.query_wait_timeout;
    return PoolLimits{
        .mode = inner(own.pool_mode, database.pool_mode, global.pool_mode),
        .size = inner(own.pool_size, database.pool_size, global.default_pool_size),
        .min_size = database.min_pool_size.value_or(global.min_pool_size),
        .reserve_size = inner(own.reserve_pool_size, database.reserve_pool_size,
                              global.reserve_pool_size),
        .reserve_timeout = global.reserve_pool_timeout,
        .query_wait_timeout = wait_timeout.value_or(global.query_wait_timeout),
        .query_timeout = positive_or(own.query_timeout, global.query_timeout),
        .transaction_timeout = positive_or(own.transaction_timeout, global.transaction_timeout),
        .idle_transaction_timeout = positive_or(own.idle_transaction_timeout,
                                                global.idle_transaction_timeout),
        .client_idle_timeout = positive_or(own.client_idle_timeout, global.client_idle_timeout),
        .server_lifetime = positive_or(database.server_lifetime, global.server_lifetime),
        .max_db_connections = positive_or(database.max_db_connections, global.max_db_connections),
        .max_user_connections = positive_or(own.max_user_connections,
                                            global.max_user_connections),
        .max_db_client_connections = positive_or(database.max_db_client_connections,
                                                 global.max_db_client_connections),
        .max_user_client_connections = positive_or(own.max_user_client_connections,
                                                   global.max_user_client_connections),
    };
}

}  // namespace pgweir::config

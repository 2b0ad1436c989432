// What applies to one pool, after PgBouncer's precedence.
#include <gtest/gtest.h>

#include "config/config.hpp"

namespace pgweir::config {
namespace {

using namespace std::chrono_literals;

struct LimitsCase {
    const char* name;
    std::optional<int> global, database, user;  // the same setting on the three levels
    int limit;
};

// The user's counts, then the database's, then the global one; 0 is a value (no limit).
constexpr LimitsCase size_cases[] = {
    {"only global", 20, {}, {}, 20},  {"database over global", 20, 5, {}, 5},
    {"user over all", 20, 5, 3, 3},   {"user over global", 20, {}, 3, 3},
    {"zero is a value", 20, 5, 0, 0}, {"zero of a database", 20, 0, {}, 0},
};

TEST(Limits, Sizes) {
    for (const LimitsCase& c : size_cases) {
        SCOPED_TRACE(c.name);
        Config config;
        Database database;
        User user;
        config.settings.default_pool_size = config.settings.reserve_pool_size = *c.global;
        database.pool_size = database.reserve_pool_size = c.database;
        user.pool_size = user.reserve_pool_size = c.user;
        const PoolLimits limits = limits_of(config, database, &user);
        EXPECT_EQ(limits.size, c.limit);
        EXPECT_EQ(limits.reserve_size, c.limit);
    }
}

TEST(Limits, Modes) {
    Config config;
    Database database;
    User user;
    config.settings.pool_mode = PoolMode::statement;
    EXPECT_EQ(limits_of(config, database, nullptr).mode, PoolMode::statement);
    database.pool_mode = PoolMode::transaction;
    EXPECT_EQ(limits_of(config, database, &user).mode, PoolMode::transaction);
    user.pool_mode = PoolMode::session;
    EXPECT_EQ(limits_of(config, database, &user).mode, PoolMode::session);
    EXPECT_EQ(limits_of(config, database, nullptr).mode, PoolMode::transaction);
}

// A cap or timeout of 0 in an entry means "as globally", as in PgBouncer.
constexpr LimitsCase cap_cases[] = {
    {"only global", 20, {}, {}, 20},
    {"own", 20, 5, 5, 5},
    {"zero means global", 20, 0, 0, 20},
    {"none at all", 0, {}, {}, 0},
};

TEST(Limits, Caps) {
    for (const LimitsCase& c : cap_cases) {
        SCOPED_TRACE(c.name);
        Config config;
        Database database;
        User user;
        config.settings.max_db_connections = config.settings.max_user_connections = *c.global;
        config.settings.max_db_client_connections = *c.global;
        config.settings.max_user_client_connections = *c.global;
        database.max_db_connections = database.max_db_client_connections = c.database;
        user.max_user_connections = user.max_user_client_connections = c.user;
        const PoolLimits limits = limits_of(config, database, &user);
        EXPECT_EQ(limits.max_db_connections, c.limit);
        EXPECT_EQ(limits.max_user_connections, c.limit);
        EXPECT_EQ(limits.max_db_client_connections, c.limit);
        EXPECT_EQ(limits.max_user_client_connections, c.limit);
    }
}

TEST(Limits, TimeoutsOfUsers) {
    Config config;
    config.settings.query_timeout = 1s;
    config.settings.transaction_timeout = 2s;
    config.settings.idle_transaction_timeout = 3s;
    config.settings.client_idle_timeout = 4s;
    config.settings.query_wait_timeout = 5s;
    User user;
    PoolLimits limits = limits_of(config, Database{}, &user);
    EXPECT_EQ(limits.query_timeout, 1s);
    EXPECT_EQ(limits.transaction_timeout, 2s);
    EXPECT_EQ(limits.idle_transaction_timeout, 3s);
    EXPECT_EQ(limits.client_idle_timeout, 4s);
    EXPECT_EQ(limits.query_wait_timeout, 5s);
    user.query_timeout = user.transaction_timeout = user.idle_transaction_timeout = 9s;
    user.client_idle_timeout = user.query_wait_timeout = 9s;
    limits = limits_of(config, Database{}, &user);
    EXPECT_EQ(limits.query_timeout, 9s);
    EXPECT_EQ(limits.transaction_timeout, 9s);
    EXPECT_EQ(limits.idle_transaction_timeout, 9s);
    EXPECT_EQ(limits.client_idle_timeout, 9s);
    EXPECT_EQ(limits.query_wait_timeout, 9s);
    user.query_timeout = 0s;
    EXPECT_EQ(limits_of(config, Database{}, &user).query_timeout, 1s);
}

TEST(Limits, OfClientsAnywhere) {
    Config config;
    config.databases["app"];
    config.users["bob"];
    EXPECT_FALSE(clients_may_end_soon(config));
    config.databases["app"].query_timeout = 0s;
    EXPECT_FALSE(clients_may_end_soon(config));
    config.databases["app"].client_idle_timeout = 1s;
    EXPECT_TRUE(clients_may_end_soon(config));
    config.databases.clear();
    config.users["bob"].transaction_timeout = 1s;
    EXPECT_TRUE(clients_may_end_soon(config));
    config.users.clear();
    config.settings.idle_transaction_timeout = 1s;
    EXPECT_TRUE(clients_may_end_soon(config));
}

TEST(Limits, OfDatabasesOnly) {
    Config config;
    config.settings.min_pool_size = 1;
    config.settings.reserve_pool_timeout = 2s;
    Database database;
    EXPECT_EQ(limits_of(config, database, nullptr).min_size, 1);
    EXPECT_EQ(limits_of(config, database, nullptr).server_lifetime, 3600s);
    EXPECT_EQ(limits_of(config, database, nullptr).server_idle_timeout, 600s);
    EXPECT_EQ(limits_of(config, database, nullptr).reserve_timeout, 2s);
    database.min_pool_size = 0;
    database.server_lifetime = 0s;
    database.server_idle_timeout = 0s;
    database.query_wait_timeout = 0s;
    EXPECT_EQ(limits_of(config, database, nullptr).min_size, 0);
    EXPECT_EQ(limits_of(config, database, nullptr).server_lifetime, 3600s);
    EXPECT_EQ(limits_of(config, database, nullptr).server_idle_timeout, 0s);
    EXPECT_EQ(limits_of(config, database, nullptr).query_wait_timeout, 0s);
    database.server_lifetime = 7s;
    EXPECT_EQ(limits_of(config, database, nullptr).server_lifetime, 7s);
}

TEST(Limits, SessionState) {
    Config config;
    Database database;
    User user;
    EXPECT_EQ(limits_of(config, database, &user).session_state, SessionState::track);
    config.native.session_state = SessionState::off;
    EXPECT_EQ(limits_of(config, database, &user).session_state, SessionState::off);
    user.session_state = SessionState::track;
    EXPECT_EQ(limits_of(config, database, &user).session_state, SessionState::track);
}

}  // namespace
}  // namespace pgweir::config

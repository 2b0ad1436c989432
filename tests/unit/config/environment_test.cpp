#include "config/environment.hpp"

#include <gtest/gtest.h>

#include "tests/unit/config/files.hpp"

namespace pgweir::config {
namespace {

using Lines = std::vector<std::string>;
using namespace std::chrono_literals;

Loaded load_environment(Environment environment, Files files = {}) {
    return from_environment(sources_of(std::move(files), std::move(environment)));
}

TEST(Environment, OneServer) {
    const auto loaded = load_environment({{"POSTGRESQL_HOST", "db"},
                                          {"POSTGRESQL_PORT", "5433"},
                                          {"POSTGRESQL_USERNAME", "app"},
                                          {"POSTGRESQL_PASSWORD", "it's $ecret"},
                                          {"PGBOUNCER_DATABASE", "shop"},
                                          {"PGBOUNCER_PORT", "7000"},
                                          {"PGBOUNCER_POOL_MODE", "transaction"},
                                          {"PGBOUNCER_DEFAULT_POOL_SIZE", "7"},
                                          {"PGBOUNCER_MAX_CLIENT_CONN", "500"},
                                          {"PGBOUNCER_AUTH_TYPE", "md5"},
                                          {"PGBOUNCER_AUTH_USER", "looker"},
                                          {"PGBOUNCER_AUTH_QUERY", "SELECT 1"}});
    EXPECT_EQ(lines_of(loaded.problems), Lines{});
    EXPECT_EQ(lines_of(loaded.warnings), Lines{});
    ASSERT_TRUE(loaded.config);
    const Settings& settings = loaded.config->settings;
    EXPECT_EQ(settings.listen_addr, Lines{"*"});
    EXPECT_EQ(settings.listen_port, 7000);
    EXPECT_EQ(settings.pool_mode, PoolMode::transaction);
    EXPECT_EQ(settings.default_pool_size, 7);
    EXPECT_EQ(settings.max_client_conn, 500);
    EXPECT_EQ(settings.auth_type, AuthType::md5);
    EXPECT_EQ(settings.auth_user, "looker");
    EXPECT_EQ(settings.auth_query, "SELECT 1");
    EXPECT_EQ(settings.admin_users, Lines{"app"});
    EXPECT_EQ(*loaded.config->credential("app"), (Credential{"app", "it's $ecret"}));
    const Database& shop = *loaded.config->database("shop");
    EXPECT_EQ(shop.dbname, "shop");
    EXPECT_EQ(shop.endpoints, (std::vector<Endpoint>{{"db", 5433}}));
    EXPECT_EQ(loaded.config->databases.size(), 1u);
    EXPECT_TRUE(loaded.config->clusters.empty());
}

TEST(Environment, DefaultsArePgBouncers) {
    const auto loaded = load_environment(
        {{"POSTGRESQL_HOST", "db"}, {"POSTGRESQL_PASSWORD", "x"}, {"PGBOUNCER_POOL_MODE", ""}});
    ASSERT_TRUE(loaded.config);
    EXPECT_EQ(loaded.config->settings.pool_mode, PoolMode::session);
    EXPECT_EQ(loaded.config->settings.max_client_conn, 100);
    EXPECT_EQ(loaded.config->settings.auth_type, AuthType::scram_sha_256);
    EXPECT_EQ(loaded.config->database("*")->endpoints, (std::vector<Endpoint>{{"db", 5432}}));
    EXPECT_TRUE(loaded.config->credential("postgres"));
}

TEST(Environment, SeveralServersAreACluster) {
    const auto loaded = load_environment({{"POSTGRESQL_HOST", "a, b:5433, ::1"},
                                          {"POSTGRESQL_DATABASE", "real"},
                                          {"POSTGRESQL_PASSWORD", "x"},
                                          {"PGBOUNCER_DATABASE", "app"},
                                          {"PGWEIR_CLUSTERS_MAIN_READS_SPLIT", "false"},
                                          {"PGWEIR_CLUSTERS_MAIN_HEALTH_INTERVAL", "1s"},
                                          {"PGWEIR_CLUSTERS_MAIN_HEALTH_FAILURES", "4"}});
    EXPECT_EQ(lines_of(loaded.problems), Lines{});
    ASSERT_TRUE(loaded.config && loaded.config->cluster("main"));
    const Cluster& main = *loaded.config->cluster("main");
    EXPECT_EQ(main.nodes, (std::vector<Node>{{{"a", 5432}}, {{"b", 5433}}, {{"::1", 5432}}}));
    EXPECT_FALSE(main.reads.split);
    EXPECT_EQ(main.health.interval, 1s);
    EXPECT_EQ(main.health.failures, 4);
    EXPECT_EQ(main.health.user, "postgres");
    EXPECT_EQ(main.health.password, "x");
    EXPECT_EQ(loaded.config->database("app")->cluster, "main");
    EXPECT_EQ(loaded.config->database("app")->dbname, "real");
}

TEST(Environment, PathsOfTheTomlWin) {
    const auto loaded = load_environment({{"POSTGRESQL_HOST", "db"},
                                          {"POSTGRESQL_PASSWORD", "x"},
                                          {"PGBOUNCER_DEFAULT_POOL_SIZE", "7"},
                                          {"PGWEIR_POOL_SIZE", "9"},
                                          {"PGWEIR_POOL_WAIT_TIMEOUT", "5s"},
                                          {"PGWEIR_POOL_ROUND_ROBIN", "true"},
                                          {"PGWEIR_POOL_SESSION_STATE", "off"},
                                          {"PGWEIR_TLS_SERVER_MODE", "require"},
                                          {"PGWEIR_ADMIN_HTTP", ":9127"},
                                          {"PGWEIR_LISTEN_HOST", "::1,127.0.0.1"},
                                          {"PGWEIR_WORKERS_THREADS", "2"},
                                          {"PGWEIR_POOL_SIZ", "9"}});
    EXPECT_EQ(lines_of(loaded.problems), Lines{});
    EXPECT_EQ(lines_of(loaded.warnings), Lines{"environment:0: unknown variable PGWEIR_POOL_SIZ, "
                                               "did you mean \"PGWEIR_POOL_SIZE\"?"});
    ASSERT_TRUE(loaded.config);
    const Settings& settings = loaded.config->settings;
    EXPECT_EQ(settings.default_pool_size, 9);
    EXPECT_EQ(settings.query_wait_timeout, 5s);
    EXPECT_TRUE(settings.server_round_robin);
    EXPECT_EQ(settings.server_tls.sslmode, SslMode::require);
    EXPECT_EQ(settings.listen_addr, (Lines{"::1", "127.0.0.1"}));
    EXPECT_EQ(loaded.config->native.session_state, SessionState::off);
    EXPECT_EQ(loaded.config->native.http, ":9127");
    EXPECT_EQ(loaded.config->native.threads, 2);
}

TEST(Environment, PasswordFromAFile) {
    const auto loaded =
        load_environment({{"POSTGRESQL_HOST", "db"}, {"POSTGRESQL_PASSWORD_FILE", "/run/secret"}},
                         {{"/run/secret", "hidden\n"}});
    ASSERT_TRUE(loaded.config);
    EXPECT_EQ(loaded.config->credential("postgres")->secret, "hidden");
}

/// What every container of a namespace is told where services have such names.
TEST(Environment, PassesOverWhatKubernetesSaysOfServices) {
    const auto loaded = load_environment({{"POSTGRESQL_HOST", "db"},
                                          {"POSTGRESQL_PASSWORD", "x"},
                                          {"POSTGRESQL_PORT", "tcp://10.0.0.7:5432"},
                                          {"PGBOUNCER_PORT", "tcp://10.0.0.8:6432"},
                                          {"PGWEIR_PORT", "tcp://10.0.0.9:6432"},
                                          {"PGWEIR_PORT_6432_TCP_ADDR", "10.0.0.9"},
                                          {"PGWEIR_SERVICE_HOST", "10.0.0.9"}});
    EXPECT_EQ(lines_of(loaded.problems), Lines{});
    EXPECT_EQ(lines_of(loaded.warnings), Lines{});
    ASSERT_TRUE(loaded.config);
    EXPECT_EQ(loaded.config->settings.listen_port, 6432);
    EXPECT_EQ(loaded.config->database("*")->endpoints, (std::vector<Endpoint>{{"db", 5432}}));
}

TEST(Environment, IsReadAnewByReload) {
    const auto loaded = load_environment({{"POSTGRESQL_HOST", "db"}});
    ASSERT_TRUE(loaded.config);
    const auto again = reload(*loaded.config, sources_of({}, {{"POSTGRESQL_HOST", "other"}}));
    ASSERT_TRUE(again.config);
    EXPECT_EQ(again.config->database("*")->endpoints, (std::vector<Endpoint>{{"other", 5432}}));
}

TEST(Environment, SaysWhatIsWrong) {
    EXPECT_EQ(lines_of(load_environment({}).problems),
              Lines{"environment:0: POSTGRESQL_HOST: expected the host of a server, or several "
                    "between commas (there is no configuration file)"});
    const auto loaded = load_environment({{"POSTGRESQL_HOST", "db"},
                                          {"POSTGRESQL_PORT", "0"},
                                          {"POSTGRESQL_PASSWORD_FILE", "nope"},
                                          {"PGBOUNCER_POOL_MODE", "fast"},
                                          {"PGWEIR_POOL_SIZE", "many"}});
    EXPECT_EQ(
        lines_of(loaded.problems),
        (Lines{"environment:0: PGBOUNCER_POOL_MODE: expected one of session, transaction, "
               "statement, got \"fast\"",
               "environment:0: POSTGRESQL_PASSWORD_FILE: cannot read \"nope\"",
               "environment:0: pool.size: expected a whole number from 0 to 2147483647, got "
               "\"many\"",
               "environment:0: databases.*.port: expected a whole number from 1 to 65535, got "
               "\"0\""}));
}

}  // namespace
}  // namespace pgweir::config

// What `pgweir import` makes of a pgpool.conf.
#include "config/import_pgpool.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "config/hba.hpp"
#include "config/included_files.hpp"
#include "tests/unit/config/files.hpp"

namespace pgweir::config {
namespace {

using Lines = std::vector<std::string>;
using namespace std::chrono_literals;

constexpr const char* one = "backend_hostname0 = 'a'\n";
constexpr const char* two = "backend_hostname0 = 'a'\nbackend_hostname1 = 'b'\n";

struct Result {
    ConfigPtr config;  // of the TOML
    std::string toml;
};

Result imported(std::string text, Files files = {}) {
    files["/etc/pgpool.conf"] = std::move(text);
    Imported imported = import_text("/etc/pgpool.conf", sources_of(files), "/");
    EXPECT_EQ(lines_of(imported.problems), Lines{});
    files["/x/b.toml"] = imported.toml;
    const Loaded loaded = load("/x/b.toml", sources_of(files));
    EXPECT_TRUE(loaded.config) << testing::PrintToString(lines_of(loaded.problems));
    return {loaded.config, imported.toml};
}

/// The comment about the file as a whole, or about line `line`, that contains `text`.
bool says(const std::string& toml, const std::string& text) {
    return toml.find(text) != std::string::npos && toml.find(text) < toml.find("\n[");
}

TEST(ImportPgpool, HasPgpoolsDefaults) {
    const auto [config, toml] = imported(one);
    const Settings& settings = config->settings;
    EXPECT_EQ(settings.listen_addr, Lines{"localhost"});
    EXPECT_EQ(settings.listen_port, 9999);
    EXPECT_EQ(settings.unix_socket_dir, "/tmp");
    EXPECT_EQ(settings.max_client_conn, 32);
    EXPECT_EQ(settings.default_pool_size, 32);
    EXPECT_EQ(settings.max_db_connections, 128);
    EXPECT_EQ(settings.listen_backlog, 64);
    EXPECT_EQ(settings.server_idle_timeout, 0s);
    EXPECT_EQ(settings.pool_mode, PoolMode::transaction);
    EXPECT_EQ(settings.auth_type, AuthType::scram_sha_256);
    EXPECT_EQ(settings.client_tls.sslmode, SslMode::disable);
    EXPECT_EQ(settings.server_tls.sslmode, SslMode::disable);
    EXPECT_EQ(config->clusters.size(), 0u);
    EXPECT_EQ(config->database("*")->hosts, Lines{"a"});
    EXPECT_EQ(config->native, Native{});
}

TEST(ImportPgpool, CarriesSettings) {
    const auto [config, toml] = imported(R"(
listen_addresses = '10.0.0.1, ::1'
PORT 5433
unix_socket_directories = '/run/a,/run/b'
unix_socket_group = 'dba'
unix_socket_permissions = 0770
num_init_children = 8
max_pool = 3
listen_backlog_multiplier = 10
client_idle_limit = 90
connection_life_time = 2min      # idle
authentication_timeout = 500ms
connection_cache = off
reset_query_list = 'ABORT; RESET ALL; select '';'''
log_connections = on
log_disconnections = 'off'
log_destination = 'stderr,syslog'
syslog_facility = 'LOCAL1'
log_min_messages = debug2
pid_file_name = '/run/pgpool.pid'
ssl = on
ssl_key = 'key.pem'
ssl_cert = '/etc/cert.pem'
ssl_ca_cert = 'ca.pem'
ssl_ciphers = 'HIGH'
include = 'more.conf'
)",
                                         {{"/etc/more.conf", "backend_hostname0 = ''\nport=5444\n"
                                                             "backend_port0 = 7\n"}});
    const Settings& settings = config->settings;
    EXPECT_EQ(settings.listen_addr, (Lines{"10.0.0.1", "::1"}));
    EXPECT_EQ(settings.listen_port, 5444);
    EXPECT_EQ(settings.unix_socket_dir, "/run/a");
    EXPECT_EQ(settings.unix_socket_group, "dba");
    EXPECT_EQ(settings.unix_socket_mode, 0770);
    EXPECT_EQ(settings.max_client_conn, 8);
    EXPECT_EQ(settings.max_db_connections, 24);
    EXPECT_EQ(settings.listen_backlog, 80);
    EXPECT_EQ(settings.client_idle_timeout, 90s);
    EXPECT_EQ(settings.server_idle_timeout, 120s);
    EXPECT_EQ(settings.client_login_timeout, 500ms);
    EXPECT_EQ(settings.pool_mode, PoolMode::session);
    EXPECT_EQ(settings.server_lifetime, 0s);
    EXPECT_EQ(settings.log_connections, true);
    EXPECT_EQ(settings.log_disconnections, false);
    EXPECT_EQ(settings.syslog, true);
    EXPECT_EQ(settings.syslog_facility, "local1");
    EXPECT_EQ(settings.syslog_ident, "pgpool");
    EXPECT_EQ(config->native.log_level, LogLevel::debug);
    EXPECT_EQ(settings.pidfile, "/run/pgpool.pid");
    EXPECT_EQ(settings.client_tls.sslmode, SslMode::prefer);
    EXPECT_EQ(settings.client_tls.key_file, "/etc/key.pem");
    EXPECT_EQ(settings.client_tls.cert_file, "/etc/cert.pem");
    EXPECT_EQ(settings.client_tls.ca_file, "/etc/ca.pem");
    EXPECT_EQ(settings.client_tls.ciphers, "HIGH");
    EXPECT_EQ(settings.server_tls.sslmode, SslMode::prefer);
    EXPECT_EQ(settings.server_tls.ca_file, "/etc/ca.pem");
    EXPECT_EQ(config->database("*")->hosts, Lines{"/tmp"});
    EXPECT_EQ(config->database("*")->port, 7);
    EXPECT_TRUE(says(toml, "pgpool.conf:4: unix_socket_directories = /run/a,/run/b: there is one"));
}

TEST(ImportPgpool, MakesAClusterOfSeveralBackends) {
    const auto [config, toml] = imported(R"(
backend_hostname1 = 'b'
backend_port1 = 5433
backend_weight1 = 0
backend_hostname0 = 'a'
backend_weight0 = 2
backend_flag0 = 'ALWAYS_PRIMARY|DISALLOW_TO_FAILOVER'
backend_weight7 = 1
sr_check_user = 'checker'
sr_check_password = 'TEXTpw'
sr_check_database = 'app'
health_check_user = 'other'
sr_check_period = 3
health_check_period = 2s
health_check_timeout = 4
health_check_max_retries = 2
search_primary_node_timeout = 1min
load_balance_mode = off
disable_load_balance_on_write = 'off'
delay_threshold = 1MB
delay_threshold_by_time = 1500
database_redirect_preference_list = 'one:primary,two:standby,t.*:1(0.5)'
app_name_redirect_preference_list = 'psql:standby(0.25)'
user_redirect_preference_list = ''
)");
    const Cluster* const cluster = config->cluster("main");
    ASSERT_TRUE(cluster);
    const std::vector<Node> nodes = {{{"a", 5432}, 2, NodeRole::primary}, {{"b", 5433}, 0}};
    EXPECT_TRUE(cluster->nodes == nodes) << toml;
    Health health;
    health.user = "checker";
    health.password = "pw";
    health.dbname = "app";
    health.interval = 2s;
    health.timeout = 4s;
    health.failures = 3;
    EXPECT_TRUE(cluster->health == health) << toml;
    const Reads reads{.split = false,
                      .max_lag = 1500ms,
                      .consistency = Consistency::eventual,
                      .prefer_application = {{"psql", Preference::Target::replica, {}, 0.25}},
                      .prefer_database = {{"one", Preference::Target::primary, {}, 1},
                                          {"two", Preference::Target::replica, {}, 1},
                                          {"t.*", Preference::Target::node, {"b", 5433}, 0.5}}};
    EXPECT_TRUE(cluster->reads == reads) << toml;
    EXPECT_EQ(cluster->failover.hold, 60s);
    EXPECT_EQ(config->databases.size(), 1u);
    EXPECT_EQ(config->database("*")->cluster, "main");
    EXPECT_TRUE(says(toml, "delay_threshold = 1MB: left out: pgpool looks at")) << toml;
    EXPECT_TRUE(says(toml, "pgpool.conf:8: backend_weight7 = 1: there is no backend_hostname7"));
    EXPECT_TRUE(says(toml, "pgpool.conf:12: health_check_user = other: there is one probe"));
}

TEST(ImportPgpool, TurnsSharesIntoWholeWeights) {
    const auto [config, toml] =
        imported(std::string(two) + "backend_weight0 = 0.001\nbackend_weight1 = 0.5\n");
    EXPECT_EQ(config->cluster("main")->nodes[0].weight, 1);
    EXPECT_EQ(config->cluster("main")->nodes[1].weight, 100);
}

TEST(ImportPgpool, UsesTheFirstBackendInRawMode) {
    const auto [config, toml] = imported(std::string(two) + "backend_clustering_mode = 'raw'\n");
    EXPECT_EQ(config->database("*")->hosts, Lines{"a"});
    EXPECT_EQ(config->clusters.size(), 0u);
    EXPECT_TRUE(says(toml, "pgpool.conf:2: backend_hostname1 = b: not used: in raw mode"));
}

TEST(ImportPgpool, ReadsPoolPasswd) {
    const std::string md5 = "md50123456789abcdef0123456789abcdef";
    const auto [config, toml] =
        imported(one, {{"/etc/pool_passwd", "app:" + md5 + "\nbob:TEXTa:b\n\neve:AESx\nnone:\n"}});
    EXPECT_EQ(config->settings.auth_type, AuthType::md5);
    EXPECT_EQ(config->credential("app")->secret, md5);
    EXPECT_EQ(config->credential("bob")->secret, "a:b");
    EXPECT_FALSE(config->credential("eve"));
    EXPECT_FALSE(config->credential("none"));
    EXPECT_TRUE(says(toml, "pool_passwd:4: the password of eve is encrypted with pgpool's key"));
    const auto plain = imported(one, {{"/etc/pool_passwd", "bob:TEXTx\n"}});
    EXPECT_EQ(plain.config->settings.auth_type, AuthType::scram_sha_256);
    EXPECT_FALSE(
        imported(std::string(one) + "pool_passwd = ''\n", {{"/etc/pool_passwd", "bob:TEXTx\n"}})
            .config->credential("bob"));
}

TEST(ImportPgpool, ReadsPoolHba) {
    const auto [config, toml] =
        imported(std::string(one) + "enable_pool_hba = on\n",
                 {{"/etc/pool_hba.conf", "local all all trust\nhost all all 0.0.0.0/0 pam\n"}});
    EXPECT_EQ(config->settings.auth_type, AuthType::hba);
    EXPECT_EQ(config->settings.auth_hba_file, "/etc/pool_hba.conf");
    EXPECT_EQ(config->hba->rules.size(), 1u);
    EXPECT_TRUE(says(toml, "pool_hba.conf:2: pgweir's HBA rules are PgBouncer's: line is ignored"));
    EXPECT_TRUE(says(imported(std::string(one) + "enable_pool_hba = on\n").toml,
                     "cannot read /etc/pool_hba.conf: without it nobody can log in"));
}

struct DroppedCase {
    const char* line;
    const char* comment;  // "" = none
};

constexpr DroppedCase dropped_cases[] = {
    {"pcp_port = 9898", "there is no PCP"},
    {"use_watchdog = on", "not supported: run several pgweir"},
    {"use_watchdog = off", ""},
    {"wd_port0 = 9000", ""},
    {"wd_port0 = 9000\nuse_watchdog = on", "part of the watchdog"},
    {"memqcache_total_size = 64MB", ""},
    {"memory_cache_enabled = on", "results are not cached"},
    {"write_function_list = 'f'", "what pg_proc says of a function counts"},
    {"write_function_list = ''", ""},
    {"failover_command = 'x'", "pgweir promotes nothing"},
    {"failover_on_backend_error = off", "a node that fails is left alone"},
    {"primary_routing_query_pattern_list = 'x'", "in front of a statement does it"},
    {"app_name_redirect_preference_list = 'psql:standby'", "there is one server only"},
    {"recovery_user = 'x'", "online recovery"},
    {"relcache_size = 256", "its own rules"},
    {"delay_threshold = 1", "there is one server only"},
    {"health_check_period0 = 1", "a server on its own not at all"},
    {"log_statement = on", "statements are not logged"},
    {"log_line_prefix = '%m'", "the lines of the log are PgBouncer's"},
    {"client_idle_limit = 0", ""},
    {"no_such = 1", "pgweir does not know this setting of pgpool's"},
};

TEST(ImportPgpool, SaysWhatIsLeftOut) {
    for (const DroppedCase& c : dropped_cases) {
        SCOPED_TRACE(c.line);
        const auto [config, toml] = imported(std::string(one) + c.line + "\n");
        const bool any = says(toml, "# /etc/pgpool.conf:2: ");
        EXPECT_EQ(any, *c.comment != '\0') << toml;
        if (*c.comment) EXPECT_TRUE(says(toml, c.comment)) << toml;
    }
}

struct BadCase {
    const char* text;
    const char* problem;
};

constexpr BadCase bad_cases[] = {
    {"", "pgpool.conf:0: expected backend_hostname0: no server"},
    {"port = 'x'", "pgpool.conf:2: port: expected a whole number from 0 to 65535, got \"x\""},
    {"port = 1 2", "pgpool.conf:2: syntax error: expected name = value, with the value in single "
                   "quotes when it has other than letters and digits"},
    {"port = '1", "pgpool.conf:2: syntax error: expected name = value, with the value in single "
                  "quotes when it has other than letters and digits"},
    {"ssl = maybe", "pgpool.conf:2: ssl: expected on or off, got \"maybe\""},
    {"max_pool = -1",
     "pgpool.conf:2: max_pool: expected a whole number from 0 to 1000, got \"-1\""},
    {"client_idle_limit = 1y",
     "pgpool.conf:2: client_idle_limit: expected a time like 10, 10s or 500ms, got \"1y\""},
    {"delay_threshold = x\nbackend_hostname1 = b",
     "pgpool.conf:2: delay_threshold: expected a size like 4096 or 16MB, got \"x\""},
    {"backend_port0 = 0", "pgpool.conf:2: backend_port0: expected a port from 1 to 65535"},
    {"backend_weight0 = x", "pgpool.conf:2: backend_weight0: expected a number like 1 or 0.5, got "
                            "\"x\""},
    {"backend_flag0 = X", "pgpool.conf:2: backend_flag0: expected ALLOW_TO_FAILOVER, "
                          "DISALLOW_TO_FAILOVER or ALWAYS_PRIMARY, got \"X\""},
    {"backend_hostname1 = a", "pgpool.conf:2: backend_hostname1: a:5432 is a backend already"},
    {"backend_clustering_mode = 'snapshot_isolation'",
     "pgpool.conf:2: backend_clustering_mode: expected streaming_replication or raw, got "
     "\"snapshot_isolation\": pgweir writes to one server, the others must get it by streaming "
     "replication"},
    {"replication_mode = on", "pgpool.conf:2: replication_mode: pgweir does not replicate: it "
                              "needs PostgreSQL's own streaming replication"},
    {"include 'gone'", "pgpool.conf:2: cannot read \"gone\": no such file"},
    {"include 'pool_passwd'", "pool_passwd:1: expected name:secret"},
};

TEST(ImportPgpool, SaysWhatIsWrong) {
    for (const BadCase& c : bad_cases) {
        SCOPED_TRACE(c.text);
        const std::string text = *c.text ? std::string(one) + c.text + "\n" : "# nothing\n";
        Files files = {{"pgpool.conf", text}};
        if (text.find("pool_passwd") != std::string::npos) files["pool_passwd"] = "x = 1\n";
        const Imported imported = import_text("pgpool.conf", sources_of(files), "");
        EXPECT_EQ(lines_of(imported.problems), Lines{c.problem});
        EXPECT_EQ(imported.toml, "");
    }
}

TEST(ImportPgpool, StopsAtFilesThatIncludeThemselves) {
    const Imported imported =
        import_text("p.conf", sources_of({{"p.conf", "include 'p.conf'\n"}}), "");
    EXPECT_EQ(lines_of(imported.problems).size(), 2u);
}

TEST(ImportPgpool, EndsWhereFilesIncludeEachOtherAgainAndAgain) {
    std::string text = "port = 1\n";
    for (int i = 0; i < 10; ++i) text += "include 'p.conf'\n";
    Sources sources = sources_of({{"p.conf", text}});
    int files = 0;
    sources.read = [&files, read = sources.read](const std::string& path) {
        ++files;
        return read(path);
    };
    const Imported imported = import_text("p.conf", sources, "");
    EXPECT_FALSE(imported.problems.empty());
    EXPECT_LE(files, included_files_max + 10);  // and those beside it
}

}  // namespace
}  // namespace pgweir::config

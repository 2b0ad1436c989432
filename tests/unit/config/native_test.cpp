// The native TOML and the companion of an ini.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "config/settings.hpp"
#include "tests/unit/config/files.hpp"

namespace pgweir::config {
namespace {

using Lines = std::vector<std::string>;
using namespace std::chrono_literals;

const Config& config_of(const Loaded& loaded) {
    for (const std::string& line : lines_of(loaded.problems)) ADD_FAILURE() << line;
    static const Config none;
    return loaded.config ? *loaded.config : none;
}

TEST(Native, HasDefaultsOfItsOwn) {
    const auto loaded = load_toml("");
    const Config& config = config_of(loaded);
    EXPECT_EQ(config.settings.pool_mode, PoolMode::transaction);
    EXPECT_EQ(config.settings.auth_type, AuthType::scram_sha_256);
    EXPECT_EQ(config.settings.max_client_conn, 1000);
    EXPECT_EQ(config.settings.listen_addr, Lines{"127.0.0.1"});
    EXPECT_EQ(config.settings.conffile, "a.toml");
    EXPECT_EQ(config.native, Native{});
}

TEST(Native, SetsSettings) {
    const auto loaded = load_toml(R"(
[listen]
host = ["10.0.0.1", "::1"]
port = 7000
unix_socket_mode = 0o750
max_packet_size = "16MiB"
tcp_user_timeout = "1500ms"
proxy_protocol = ["10.0.0.0/8", "unix"]
[admin]
users = ["root"]
stats_users = "a, b"
http = "127.0.0.1:9127"
[log]
level = "debug"
format = "json"
slow_query = "0"
slow_query_literals = true
disconnections = false
[auth]
method = "trust"
query = ""
user = "looker"
failure_delay = "250ms"
server_cleartext = "tls"
[tls.client]
min_protocol = "TLSv1.3"
[tls.server]
mode = "require"
min_protocol = "TLSv1.1"
[pool]
mode = "session"
size = 7
lifetime = "1h"
idle_timeout = 90
query_timeout = 0.5
session_state = "off"
cache_unnamed = false
pin_warn_after = "0"
[workers]
threads = 3
core_dumps = true
io_uring = false
client_memory_limit = "1MiB"
memory_limit = "2MiB"
user = "nobody"
)");
    const Settings& settings = config_of(loaded).settings;
    const Native& native = config_of(loaded).native;
    EXPECT_EQ(settings.listen_addr, (Lines{"10.0.0.1", "::1"}));
    EXPECT_EQ(settings.listen_port, 7000);
    EXPECT_EQ(settings.unix_socket_mode, 0750);
    EXPECT_EQ(settings.max_packet_size, 16 << 20);
    EXPECT_EQ(settings.tcp_user_timeout, 1500ms);
    EXPECT_EQ(settings.admin_users, Lines{"root"});
    EXPECT_EQ(settings.stats_users, (Lines{"a", "b"}));
    EXPECT_EQ(settings.verbose, 1);
    EXPECT_FALSE(settings.log_disconnections);
    EXPECT_EQ(settings.auth_type, AuthType::trust);
    EXPECT_EQ(settings.auth_query, Settings{}.auth_query);
    EXPECT_EQ(settings.auth_user, "looker");
    EXPECT_EQ(settings.client_tls.protocols, "tlsv1.3");
    EXPECT_EQ(settings.server_tls.protocols, "tlsv1.1,tlsv1.2,tlsv1.3");
    EXPECT_EQ(settings.server_tls.sslmode, SslMode::require);
    EXPECT_EQ(settings.pool_mode, PoolMode::session);
    EXPECT_EQ(settings.default_pool_size, 7);
    EXPECT_EQ(settings.server_lifetime, 1h);
    EXPECT_EQ(settings.server_idle_timeout, 90s);
    EXPECT_EQ(settings.query_timeout, 500ms);
    EXPECT_EQ(settings.user, "nobody");
    EXPECT_EQ(native.http, "127.0.0.1:9127");
    EXPECT_EQ(native.log_level, LogLevel::debug);
    EXPECT_EQ(native.log_format, LogFormat::json);
    EXPECT_EQ(native.slow_query, 0s);
    EXPECT_TRUE(native.slow_query_literals);
    EXPECT_EQ(native.auth_failure_delay, 250ms);
    EXPECT_EQ(native.proxy_protocol, *parse_networks({"10.0.0.0/8", "unix"}));
    EXPECT_EQ(native.session_state, SessionState::off);
    EXPECT_FALSE(native.cache_unnamed);
    EXPECT_EQ(native.pin_warn_after, 0s);
    EXPECT_EQ(native.threads, 3);
    EXPECT_TRUE(native.core_dumps);
    EXPECT_FALSE(native.io_uring);
    EXPECT_EQ(native.client_memory_limit, 1 << 20);
    EXPECT_EQ(native.memory_limit, 2 << 20);
    EXPECT_EQ(native.server_cleartext, Cleartext::tls);
}

TEST(Native, TakesTheWholeSample) {
    std::ostringstream text;
    text << std::ifstream(PGWEIR_SOURCE_DIR "/tests/unit/config/sample.toml").rdbuf();
    const auto loaded = load_toml(text.str());
    const Config& config = config_of(loaded);
    EXPECT_EQ(config.databases.size(), 3u);
    ASSERT_TRUE(config.cluster("main"));
    Cluster usual;  // but for its nodes, the sample spells out the defaults
    usual.name = "main";
    usual.nodes = config.cluster("main")->nodes;
    EXPECT_EQ(*config.cluster("main"), usual);
    EXPECT_EQ(usual.nodes.size(), 3u);
}

/// A TOML value of the right type for the setting, other than its default where that is easy.
std::string sample(const Setting& setting) {
    struct Sampler {
        const Setting& setting;
        std::string operator()(bool Settings::*) const { return "true"; }
        std::string operator()(int Settings::*) const { return std::to_string(setting.min + 1); }
        std::string operator()(std::int64_t Settings::*) const { return "\"64KiB\""; }
        std::string operator()(Duration Settings::*) const { return "\"2s\""; }
        std::string operator()(std::vector<std::string> Settings::*) const { return "[\"x\"]"; }
        std::string operator()(AuthType Settings::*) const { return "\"md5\""; }
        std::string operator()(PoolMode Settings::*) const { return "\"session\""; }
        std::string operator()(const TlsMember<SslMode>&) const { return "\"disable\""; }
        std::string operator()(std::string Settings::*) const { return text(); }
        std::string operator()(const TlsMember<std::string>&) const { return text(); }
        std::string text() const {
            const auto words = setting.words;
            return "\"" + std::string(words.empty() ? "x" : words.substr(0, words.find(' '))) +
                   "\"";
        }
    };
    return std::visit(Sampler{setting}, setting.member);
}

TEST(Native, TakesEverySettingThatHasAPath) {
    for (const Setting& setting : all_settings()) {
        if (setting.toml.empty()) continue;
        SCOPED_TRACE(setting.toml);
        const auto loaded = load_toml(std::string(setting.toml) + " = " + sample(setting) + "\n");
        EXPECT_EQ(lines_of(loaded.problems), Lines{});
        const auto wrong = load_toml(std::string(setting.toml) + " = 2020-01-01\n");
        EXPECT_EQ(wrong.problems.size(), 1u);
        EXPECT_EQ(find_toml_setting(setting.toml), &setting);
    }
}

TEST(Native, ReadsDatabasesUsersAndPeers) {
    const auto loaded = load_toml(R"(
[databases.app]
host = ["a", "b"]
port = 5433
dbname = "real"
user = "forced"
password = "secret"
connect_query = "SET x = 1"
load_balance_hosts = "disable"
timezone = "UTC"
pool_mode = "statement"
[databases.app.pool]
size = 3
min_size = 1
max_connections = 9
max_client_connections = 10
lifetime = "10m"
wait_timeout = 5
idle_timeout = "1m"
session_state = "off"
[databases."*"]
host = "c"
[users.bob]
mode = "session"
size = 4
max_connections = 2
query_timeout = "3s"
session_state = "off"
password = "hunter2"
[users.eve.pool]
size = 1
[peers.2]
host = "other"
port = 7000
pool_size = 5
)");
    const Config& config = config_of(loaded);
    Database app{.name = "app", .dbname = "real", .hosts = {"a", "b"}, .port = 5433};
    app.endpoints = {{"a", 5433}, {"b", 5433}};
    app.user = "forced";
    app.password = "secret";
    app.connect_query = "SET x = 1";
    app.load_balance_hosts = LoadBalanceHosts::disable;
    app.startup_parameters = {{"timezone", "UTC"}};
    app.pool_mode = PoolMode::statement;
    app.pool_size = 3;
    app.min_pool_size = 1;
    app.max_db_connections = 9;
    app.max_db_client_connections = 10;
    app.server_lifetime = 10min;
    app.query_wait_timeout = 5s;
    app.server_idle_timeout = 1min;
    app.session_state = SessionState::off;
    EXPECT_EQ(*config.database("app"), app);
    EXPECT_EQ(config.database("*")->dbname, "");
    const User bob{.name = "bob",
                   .pool_size = 4,
                   .pool_mode = PoolMode::session,
                   .max_user_connections = 2,
                   .query_timeout = 3s,
                   .session_state = SessionState::off};
    EXPECT_EQ(*config.user("bob"), bob);
    EXPECT_EQ(config.user("eve")->pool_size, 1);
    EXPECT_EQ(*config.credential("bob"), (Credential{"bob", "hunter2"}));
    EXPECT_EQ(config.peers.at(2), (Peer{.id = 2, .host = "other", .port = 7000, .pool_size = 5}));
}

TEST(Native, ReadsClusters) {
    const auto loaded = load_toml(R"(
[clusters.main]
nodes = [
  { host = "n1" },
  { host = "n2", port = 5433, weight = 0, role = "replica" },
]
[clusters.main.health]
user = "probe"
password = "p"
dbname = "d"
interval = "1s"
fast_interval = "50ms"
timeout = "2s"
failures = 3
patroni = ["http://n1:8008", "https://n2:8008"]
patroni_ca_file = "/etc/patroni.crt"
[clusters.main.reads]
split = false
max_lag = "1s"
max_lag_bytes = "1MiB"
consistency = "global"
balance = "random"
[clusters.main.failover]
hold = "10s"
max_held = 5
state_file = "/var/lib/x"
retry_reads = false
hook = "notify-me"
[databases.app]
cluster = "main"
role = "replica"
)");
    const Config& config = config_of(loaded);
    Cluster main;
    main.name = "main";
    main.nodes = {{{"n1", 5432}, 1, NodeRole::automatic}, {{"n2", 5433}, 0, NodeRole::replica}};
    main.health = {.user = "probe",
                   .dbname = "d",
                   .password = "p",
                   .interval = 1s,
                   .fast_interval = 50ms,
                   .timeout = 2s,
                   .failures = 3,
                   .patroni = {"http://n1:8008", "https://n2:8008"},
                   .patroni_ca_file = "/etc/patroni.crt"};
    main.reads = {.split = false,
                  .max_lag = 1s,
                  .max_lag_bytes = 1 << 20,
                  .consistency = Consistency::global,
                  .balance = Balance::random};
    main.failover = {.hold = 10s,
                     .max_held = 5,
                     .state_file = "/var/lib/x",
                     .retry_reads = false,
                     .hook = "notify-me"};
    ASSERT_TRUE(config.cluster("main"));
    EXPECT_EQ(*config.cluster("main"), main);
    const Database& app = *config.database("app");
    EXPECT_EQ(app.role, TargetRole::replica);
    EXPECT_EQ(app.hosts, (Lines{"n1", "n2"}));
    EXPECT_EQ(app.endpoints, (std::vector<Endpoint>{{"n1", 5432}, {"n2", 5433}}));
}

TEST(Native, FindsThePasswordOfAProbe) {
    const std::string nodes = "[clusters.m]\nnodes = [{ host = \"a\" }]\n";
    const std::string auth = "[auth]\nfile = \"users\"\n";
    const Files files = {{"/etc/file.toml", nodes + "health.password_file = \"secret\"\n"},
                         {"/etc/list.toml", nodes + auth},
                         {"/etc/secret", "from file\n"},
                         {"/etc/users", "\"pgweir\" \"from list\"\n"}};
    const auto password = [&](const std::string& path) {
        return config_of(load(path, sources_of(files))).clusters.at("m").health.password;
    };
    EXPECT_EQ(password("/etc/file.toml"), "from file");
    EXPECT_EQ(password("/etc/list.toml"), "from list");
}

TEST(Native, NamesOfFilesAreRelativeToIt) {
    const auto loaded = load("/etc/x/a.toml", sources_of({{"/etc/x/a.toml", R"(
[auth]
file = "users"
[tls.client]
ca_file = "/abs/ca"
cert_file = "tls/cert"
[tls.client.names."db.example"]
cert_file = "tls/db"
key_file = "~/db"
[databases.x.tls]
mode = "verify-full"
negotiation = "direct"
ca_file = "ca"
cert_file = "~/cert"
[log]
file = "~/log"
)"},
                                                          {"/etc/x/users", "\"a\" \"b\"\n"}},
                                                         {{"HOME", "/home/me"}}));
    const Config& config = config_of(loaded);
    EXPECT_EQ(config.settings.auth_file, "/etc/x/users");
    EXPECT_EQ(config.settings.client_tls.ca_file, "/abs/ca");
    EXPECT_EQ(config.settings.client_tls.cert_file, "/etc/x/tls/cert");
    EXPECT_EQ(config.settings.logfile, "/home/me/log");
    EXPECT_EQ(config.settings.client_tls.names,
              (std::map<std::string, Tls::Certificate, std::less<>>{
                  {"db.example", {"/etc/x/tls/db", "/home/me/db"}}}));
    const Tls tls = server_tls(config.settings, *config.database("x"));
    EXPECT_EQ(tls.sslmode, SslMode::verify_full);
    EXPECT_EQ(tls.negotiation, SslNegotiation::direct);
    EXPECT_EQ(tls.ca_file, "/etc/x/ca");
    EXPECT_EQ(tls.cert_file, "/home/me/cert");
    EXPECT_EQ(tls.key_file, "");
    EXPECT_TRUE(config.credential("a"));
}

TEST(Native, UsesTheUserlistBesideIt) {
    const auto loaded = load(
        "/etc/a.toml", sources_of({{"/etc/a.toml", ""}, {"/etc/userlist.txt", "\"a\" \"b\"\n"}}));
    EXPECT_TRUE(config_of(loaded).credential("a"));
    EXPECT_EQ(lines_of(loaded.warnings), Lines{});
}

TEST(Native, ReplacesVariables) {
    const auto loaded = load("a.toml", sources_of({{"a.toml", R"(
[auth]
user = "${WHO}-${WHO}"
query = "$${x} $1 ${EMPTY}"
method = "trust"
[databases."${WHO}"]
password = 'lit${WHO}'
)"}},
                                                  {{"WHO", "me"}, {"EMPTY", ""}}));
    const Config& config = config_of(loaded);
    EXPECT_EQ(config.settings.auth_user, "me-me");
    EXPECT_EQ(config.settings.auth_query, "${x} $1 ");
    ASSERT_TRUE(config.database("${WHO}"));
    EXPECT_EQ(config.database("${WHO}")->password, "litme");
}

TEST(Companion, ChangesWhatItNames) {
    const auto loaded = load("d/p.ini", sources_of({{"d/p.ini", R"([databases]
app = host=old port=9 pool_size=3
other = host=x
[pgbouncer]
auth_type = trust
)"},
                                                    {"d/p.pgweir.toml", R"(
[pool]
session_state = "off"
[clusters.main]
nodes = [{ host = "a", port = 1 }, { host = "b", port = 2 }]
[databases.app]
cluster = "main"
)"}}));
    const Config& config = config_of(loaded);
    EXPECT_EQ(config.native.session_state, SessionState::off);
    EXPECT_EQ(config.settings.pool_mode, PoolMode::session);
    EXPECT_EQ(config.settings.max_client_conn, 100);
    EXPECT_EQ(config.settings.conffile, "d/p.ini");
    EXPECT_EQ(config.database("app")->pool_size, 3);
    EXPECT_EQ(config.database("app")->endpoints, (std::vector<Endpoint>{{"a", 1}, {"b", 2}}));
    EXPECT_EQ(config.database("other")->endpoints, (std::vector<Endpoint>{{"x", 5432}}));
}

}  // namespace
}  // namespace pgweir::config

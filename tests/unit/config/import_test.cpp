// What `pgweir import` makes of a pgbouncer.ini means what the ini means.
#include "config/import.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include <fmt/format.h>

#include "config/native_keys.hpp"
#include "config/settings.hpp"
#include "tests/unit/config/files.hpp"

namespace pgweir::config {
namespace {

using Lines = std::vector<std::string>;

/// SHOW CONFIG without what a TOML has no place for, one line each.
Lines shown(const Config& config) {
    Lines lines;
    for (const Setting& setting : all_settings()) {
        if (setting.toml.empty()) continue;
        lines.push_back(std::string(setting.name) + " = " +
                        show(config.settings, setting).value_or("NULL"));
    }
    return lines;
}

/// Imports a.ini and expects the same configuration from it and from the TOML.
Imported expect_same(Files files) {
    const Loaded before = load("a.ini", sources_of(files));
    EXPECT_TRUE(before.config) << testing::PrintToString(lines_of(before.problems));
    Imported imported = import_text("a.ini", sources_of(files), "");
    EXPECT_EQ(lines_of(imported.problems), Lines{});
    files["b.toml"] = imported.toml;
    files["userlist.txt"] = "\"stranger\" \"x\"\n";  // not to be found by itself
    const Loaded after = load("b.toml", sources_of(files));
    EXPECT_TRUE(after.config) << testing::PrintToString(lines_of(after.problems)) << imported.toml;
    if (!before.config || !after.config) return imported;
    EXPECT_EQ(shown(*after.config), shown(*before.config)) << imported.toml;
    EXPECT_EQ(after.config->native, before.config->native);
    EXPECT_TRUE(after.config->databases == before.config->databases) << imported.toml;
    EXPECT_TRUE(after.config->users == before.config->users) << imported.toml;
    EXPECT_TRUE(after.config->peers == before.config->peers) << imported.toml;
    EXPECT_TRUE(after.config->userlist == before.config->userlist) << imported.toml;
    EXPECT_TRUE(after.config->clusters == before.config->clusters) << imported.toml;
    EXPECT_EQ(bool(after.config->hba), bool(before.config->hba));
    return imported;
}

constexpr std::string_view same_inis[] = {
    "",
    "[pgbouncer]\n",
    "[databases]\napp =\n",
    "[databases]\n* = host='a,b , c' port=6000 load_balance_hosts=disable\n",
    "[databases]\nunix = host=/run/postgresql\nabstract = host=@x port=1\n",
    R"([databases]
a = dbname=b user=u password='it''s "x" \ ${HOME} $${X} #' auth_user=au auth_query='select $1'
b = auth_dbname=a pool_size=0 min_pool_size=1 reserve_pool=3 pool_mode=session connect_query='a;b'
c = max_db_connections=4 max_db_client_connections=5 server_lifetime=6 query_wait_timeout=0
d = client_encoding=utf8 datestyle=ISO timezone=UTC application_name='my app'
e = pool_size=-1 reserve_pool_size=2 host=x port=5432
"quoted ""name""" = host=x
"ünïcode.$${x}" = user='' password=''
'1' = dbname=1
)",
    R"([users]
bob = pool_mode=statement pool_size=1 reserve_pool_size=2 max_user_connections=3
"o""b" = max_user_client_connections=4 query_timeout=5 query_wait_timeout=6
eve = idle_transaction_timeout=7 transaction_timeout=8 client_idle_timeout=9
all = pool_size=-1
)",
    "[peers]\n1 = host=/tmp/a\n2 = host=b port=7 pool_size=3\n[pgbouncer]\npeer_id = 3\n",
    R"([pgbouncer]
listen_addr = 127.0.0.1,::1
listen_port = 0x1000
admin_users = a , b
stats_users = a, b
ignore_startup_parameters = extra_float_digits
track_extra_parameters =
unix_socket_mode = 0750
unix_socket_dir = @abstract
auth_type = SCRAM-SHA-256
server_check_query =
server_reset_query = select '${x}'; -- "y"
tcp_user_timeout = 1500
query_timeout = 0.25
server_lifetime = 3601.000001
stats_period = 1e3
verbose = 2
max_packet_size = 1000
syslog = 1
syslog_facility = LOCAL3
disable_pqexec = 1
client_tls_protocols = tlsv1.2, tlsv1.3
client_tls_dheparams = legacy
server_tls_sslmode = disable
user = postgres
)",
};

TEST(Import, MeansTheSame) {
    for (const std::string_view text : same_inis) {
        SCOPED_TRACE(text);
        expect_same({{"a.ini", std::string(text)}});
    }
}

TEST(Import, CarriesEverySetting) {
    struct Other {
        std::string text;
        void operator()(bool Settings::*) { text = "1"; }
        void operator()(int Settings::*) { text = "7"; }
        void operator()(std::int64_t Settings::*) { text = "7"; }
        void operator()(Duration Settings::*) { text = "7"; }
        void operator()(std::string Settings::*) { text = "x"; }
        void operator()(std::vector<std::string> Settings::*) { text = "x,y"; }
        void operator()(AuthType Settings::*) { text = "trust"; }
        void operator()(PoolMode Settings::*) { text = "statement"; }
        void operator()(const TlsMember<std::string>&) { text = "x"; }
        void operator()(const TlsMember<SslMode>&) { text = "allow"; }
    };
    const Files files = {{"x", ""}};
    for (const Setting& setting : all_settings()) {
        if (setting.toml.empty()) continue;
        Other other;
        std::visit([&](const auto& member) { other(member); }, setting.member);
        if (!setting.words.empty()) other.text = setting.words.substr(0, setting.words.find(' '));
        std::string ini = "[pgbouncer]\n";
        if (setting.name == "client_tls_sslmode") {
            ini += "client_tls_key_file = x\nclient_tls_cert_file = x\n";
        }
        SCOPED_TRACE(setting.name);
        Files with = files;
        with["a.ini"] = ini + std::string(setting.name) + " = " + other.text + "\n";
        const Imported imported = expect_same(with);
        const std::size_t key = setting.toml.rfind('.') + 1;
        EXPECT_NE(imported.toml.find("\n" + std::string(setting.toml.substr(key)) + " = "),
                  std::string::npos)
            << imported.toml;
    }
}

TEST(Import, CarriesTimesToTheMicrosecond) {
    for (const std::string_view time :
         {"0.000001", "0.000003", "0.0003", "0.007", "0.57", "1.1", "12345.678901", "86400"}) {
        SCOPED_TRACE(time);
        expect_same({{"a.ini", "[pgbouncer]\nquery_timeout = " + std::string(time) + "\n"}});
    }
}

/// Everything that only a TOML can say, nothing of it the default.
constexpr std::string_view companion = R"toml([listen]
proxy_protocol = ["10.0.0.0/8", "::1", "unix"]
[admin]
http = "127.0.0.1:9127"
query_shapes = 10
[auth]
failure_delay = "1s"
server_cleartext = "tls"
[pool]
session_state = "off"
cache_unnamed = false
pin_warn_after = "0"
[tls.client]
min_protocol = "TLSv1.3"
[tls.client.names."db.example"]
cert_file = "cert"
key_file = "key"
[tls.server]
mode = "require"
negotiation = "direct"
[clusters.main]
nodes = [{ host = "a", weight = 0, zone = "z" }, { host = "b", port = 7, role = "replica" }]
[clusters.main.health]
user = "u"
password_file = "pw"
dbname = "d"
interval = "50ms"
fast_interval = "5ms"
timeout = "70ms"
failures = 9
patroni = ["http://x:1"]
patroni_ca_file = "/pca"
[clusters.main.reads]
split = false
max_lag = "1s"
max_lag_bytes = 77
consistency = "global"
balance = "random"
wait = "9ms"
zone = "z"
slow_start = "8s"
ejection = "0"
replica_safe_functions = ["a.f"]
primary_functions = ["g"]
foreign_tables = true
prefer_application = ["x:primary(0.5)"]
prefer_database = ["y.*:a:5432", "z:replica"]
prefer_user = ["u:b:7(0.25)"]
[clusters.main.failover]
hold = "1s"
max_held = 3
state_file = "state"
peers = ["https://y:2"]
peers_ca_file = "/fca"
retry_reads = false
hook = "h"
switchover_command = "sw"
switchover_timeout = "9s"
[clusters.other]
nodes = [{ host = "c" }]
health.password = "p"
[databases.app]
cluster = "main"
role = "replica"
pool.idle_timeout = "3s"
tls.mode = "verify-full"
tls.ca_file = "ca"
[users.bob]
password = "better"
session_state = "track"
[workers]
threads = 3
core_dumps = true
io_uring = false
client_memory_limit = 4096
memory_limit = 8192
[log]
slow_query = "2s"
slow_query_literals = true
level = "debug"
format = "json"
)toml";

TEST(Import, TakesInWhatTheIniReads) {
    const Imported imported = expect_same({
        {"a.ini", "[pgbouncer]\nauth_type = hba\nauth_hba_file = hba\nauth_file = users\n"
                  "auth_ident_file = ident\n%include more.ini\n"},
        {"more.ini", "pool_mode = statement\n[databases]\nlate = host=x\n"},
        {"hba", "local all all trust\n"},
        {"ident", "m a b\n"},
        {"users", "\"bob\" \"secret\"\n"},
        {"a.pgweir.toml", std::string(companion)},
        {"pw", "hidden\n"},
    });
    EXPECT_EQ(imported.toml.find("hidden"), std::string::npos);
    for (const NativeKey& key : native_keys()) {
        const std::string_view name = key.path.substr(key.path.rfind('.') + 1);
        if (name == "min_protocol") continue;  // is written as `protocols`
        const std::string written = fmt::format("{} = ", name.substr(name.rfind(']') + 1));
        EXPECT_NE(imported.toml.find(written), std::string::npos) << key.path;
    }
}

TEST(Import, SaysWhatIsDifferent) {
    const Imported imported = import_text("a.ini", sources_of({{"a.ini", R"([pgbouncer]
pkt_buf = 9
auth_file = users
auth_type = trust
[databases]
x = pool_size=many
)"}}),
                                          "/srv/");
    EXPECT_EQ(imported.toml, R"(# Made by pgweir import from a.ini
#
# What is said otherwise here, or not at all:
# a.ini:2: pkt_buf = 9 has no place in a TOML (accepted and without effect)
# a.ini:3: "users" has become /srv/users: in a TOML a relative name is relative to the TOML
# a.ini:6: pool_size: expected a whole number, got "many"; read as 0, as PgBouncer does

[listen]
host = []  # the default of a pgbouncer.ini

[admin]
users = []  # the default of a pgbouncer.ini

[log]
slow_query = "0"

[auth]
file = "/srv/users"
method = "trust"
server_cleartext = "always"

[pool]
max_client_connections = 100  # the default of a pgbouncer.ini
mode = "session"  # the default of a pgbouncer.ini

[databases.x]
pool.size = 0
)");
}

struct BadCase {
    const char* name;
    std::string path;
    Files files;
    Lines problems;
};

const BadCase bad_cases[] = {
    {"missing", "a.ini", {}, {"a.ini:0: cannot read the file: no such file"}},
    {"a TOML", "a.toml", {{"a.toml", ""}}, {"a.toml:0: this is a native TOML already"}},
    {"all problems at once",
     "a.ini",
     {{"a.ini", "[pgbouncer]\nlisten_port = x\n%include b.ini\n"}, {"b.ini", "[nonsense]\n"}},
     {"a.ini:2: listen_port: expected a whole number from 0 to 65535, got \"x\"",
      "b.ini:1: unknown section \"nonsense\""}},
    {"not UTF-8",
     "a.ini",
     {{"a.ini", "[databases]\n\na = password=\xff\n"}},
     {"a.ini:3: databases.a: expected UTF-8, which is all that a TOML can hold"}},
};

TEST(Import, SaysWhatIsWrong) {
    for (const BadCase& c : bad_cases) {
        SCOPED_TRACE(c.name);
        const Imported imported = import_text(c.path, sources_of(c.files), "");
        EXPECT_EQ(lines_of(imported.problems), c.problems);
        EXPECT_EQ(imported.toml, "");
    }
}

TEST(Import, ExitsAsCheckDoes) {
    const Sources sources = sources_of({{"a.ini", ""}});
    std::ostringstream out, errors;
    EXPECT_EQ(import_file("a.ini", out, errors, sources, ""), 0);
    EXPECT_NE(out.str(), "");
    EXPECT_EQ(errors.str(), "");
    out.str("");
    EXPECT_EQ(import_file("b.ini", out, errors, sources, ""), 1);
    EXPECT_EQ(out.str(), "");
    EXPECT_EQ(errors.str(), "b.ini:1: cannot read the file: no such file\n");
}

}  // namespace
}  // namespace pgweir::config

#include "config/load.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "config/settings.hpp"
#include "tests/unit/config/files.hpp"

namespace pgweir::config {
namespace {

using Lines = std::vector<std::string>;
using namespace std::chrono_literals;

TEST(Load, ReadsAnIni) {
    const auto loaded = load_ini(R"(;; the usual
[databases]
app = host=127.0.0.1
  [pgbouncer]
  listen_addr = *
LISTEN_PORT = 0x1a2b
pool_mode = Transaction
server_lifetime = 1.5
stats_users = a, b
pidfile =
unix_socket_dir =
auth_type = trust
[users]
bob = pool_mode=session
[databases]
late = host=127.0.0.2
)");
    ASSERT_TRUE(loaded.config) << testing::PrintToString(lines_of(loaded.problems));
    const Settings& settings = loaded.config->settings;
    EXPECT_EQ(settings.listen_addr, Lines{"*"});
    EXPECT_EQ(settings.listen_port, 0x1a2b);
    EXPECT_EQ(settings.pool_mode, PoolMode::transaction);
    EXPECT_EQ(settings.server_lifetime, 1500ms);
    EXPECT_EQ(settings.stats_users, (Lines{"a", "b"}));
    EXPECT_EQ(settings.unix_socket_dir, "");
    EXPECT_EQ(settings.conffile, "a.ini");
    EXPECT_EQ(settings.max_client_conn, 100);
    EXPECT_EQ(loaded.config->databases.size(), 2u);
    EXPECT_TRUE(loaded.config->user("bob"));
    Native as_pgbouncer;
    as_pgbouncer.slow_query = 0s;
    as_pgbouncer.server_cleartext = Cleartext::always;
    EXPECT_EQ(loaded.config->native, as_pgbouncer);
    EXPECT_EQ(lines_of(loaded.warnings), Lines{});
}

TEST(Load, FindsEveryProblemOfEveryFile) {
    const auto loaded = load("a.ini", sources_of({{"a.ini", R"([pgbouncer]
pool_mod = session
default_pool_size = many
%include b.ini
max_client_conn = -1
[database]
[databases]
app = hots=x
)"},
                                                  {"b.ini", "listen_port = 123456\n"},
                                                  {"a.pgweir.toml", "\n[pool]\nsiz = 1\n"}}));
    EXPECT_FALSE(loaded.config);
    EXPECT_EQ(
        lines_of(loaded.problems),
        (Lines{
            "a.ini:2: unknown setting \"pool_mod\", did you mean \"pool_mode\"?",
            "a.ini:3: default_pool_size: expected a whole number from 0 to 2147483647, got "
            "\"many\"",
            "a.ini:5: max_client_conn: expected a whole number from 0 to 2147483647, got \"-1\"",
            "a.ini:6: unknown section \"database\", did you mean \"databases\"?",
            "a.ini:8: unrecognized connection parameter: hots, did you mean \"host\"?",
            "a.pgweir.toml:3: unknown key \"pool.siz\", did you mean \"size\"?",
            "b.ini:1: listen_port: expected a whole number from 0 to 65535, got \"123456\"",
        }));
}

TEST(Load, EntriesAreMadeFromTheFallback) {
    const auto loaded = load_ini(R"([pgbouncer]
auth_type = trust
[databases]
app = host=a dbname=x
* = host=b pool_size=3
)");
    ASSERT_TRUE(loaded.config) << testing::PrintToString(lines_of(loaded.problems));
    EXPECT_EQ(loaded.config->entry_for("app"), *loaded.config->database("app"));
    const auto made = loaded.config->entry_for("new");
    ASSERT_TRUE(made);
    EXPECT_EQ(made->name, "new");
    EXPECT_EQ(made->dbname, "new");
    EXPECT_EQ(made->pool_size, 3);
    EXPECT_TRUE(made->auto_database);
    EXPECT_EQ(made, loaded.config->entry_for("new"));
    EXPECT_FALSE(load_ini("[pgbouncer]\n[databases]\napp = host=a\n").config->entry_for("new"));
}

TEST(Load, ReadsTheUserlist) {
    const Files files = {{"a.ini", "[pgbouncer]\nauth_file = users\n"},
                         {"users", "\"bob\" \"x\"\nbroken\n"}};
    const auto loaded = load("a.ini", sources_of(files));
    ASSERT_TRUE(loaded.config);
    EXPECT_EQ(*loaded.config->credential("bob"), (Credential{"bob", "x"}));
    EXPECT_EQ(loaded.config->credential("eve"), nullptr);
    EXPECT_EQ(lines_of(loaded.warnings),
              Lines{"users:2: broken line in the auth file: expected \"name\" \"secret\", both in "
                    "double quotes"});
}

TEST(Reload, KeepsWhatSetGaveToASettingWithoutADefault) {
    Files files = {{"a.ini", "[pgbouncer]\n"},
                   {"b.ini", "[pgbouncer]\nmax_client_conn = 7\n"},
                   {"users", "\"bob\" \"x\"\n"}};
    Config config = *load("a.ini", sources_of(files)).config;
    ASSERT_FALSE(set(config.settings, "AUTH_FILE", "users").has_error());
    ASSERT_FALSE(set(config.settings, "max_client_conn", "9").has_error());
    config = *reload(config, sources_of(files)).config;
    EXPECT_EQ(config.settings.auth_file, "users");
    EXPECT_TRUE(config.credential("bob"));
    EXPECT_EQ(config.settings.max_client_conn, 100);
    ASSERT_FALSE(set(config.settings, "conffile", "b.ini").has_error());
    config = *reload(config, sources_of(files)).config;
    EXPECT_EQ(config.settings.conffile, "b.ini");
    EXPECT_EQ(config.settings.max_client_conn, 7);
    EXPECT_TRUE(config.credential("bob"));
    files["b.ini"] += "auth_file = none\n";
    config = *reload(config, sources_of(files)).config;
    EXPECT_EQ(config.settings.auth_file, "none");
}

TEST(Load, GoesOnWithoutTheUserlist) {
    const auto loaded = load_ini("[pgbouncer]\nauth_file = users\nauth_user = x\n");
    EXPECT_TRUE(loaded.config);
    EXPECT_EQ(lines_of(loaded.warnings),
              Lines{"a.ini:2: auth_file: cannot read \"users\": no such file"});
}

TEST(Load, WarnsWhenNobodyCanLogIn) {
    EXPECT_EQ(load_ini("[pgbouncer]\n").warnings.size(), 1u);
    EXPECT_EQ(load_ini("[pgbouncer]\nauth_type = hba\n").warnings.size(), 1u);
    EXPECT_EQ(load_ini("[pgbouncer]\nauth_user = x\n").warnings.size(), 0u);
    EXPECT_EQ(load_ini("[pgbouncer]\n[databases]\nd = auth_user=x\n").warnings.size(), 0u);
}

struct CrossCase {
    const char* text;
    const char* problem;
};

constexpr CrossCase cross_cases[] = {
    {"[pgbouncer]\nclient_tls_sslmode = require\n",
     "a.ini:2: To allow TLS connections from clients, client_tls_key_file and "
     "client_tls_cert_file must be set."},
    {"[pgbouncer]\nauth_type = cert\n",
     "a.ini:2: auth_type=cert: expected client_tls_sslmode=verify-full, got disable"},
    {"[pgbouncer]\nauth_dbname = pgbouncer\n",
     "a.ini:2: cannot use the reserved \"pgbouncer\" database as an auth_dbname"},
};

TEST(Load, ChecksFactsThatMustFitTogether) {
    for (const CrossCase& c : cross_cases) {
        SCOPED_TRACE(c.text);
        EXPECT_EQ(lines_of(load_ini(c.text).problems), Lines{c.problem});
    }
}

TEST(Load, SaysWhichFileIsMissing) {
    const Sources none = sources_of({});
    EXPECT_EQ(lines_of(load("x.ini", none).problems),
              Lines{"x.ini:0: cannot read \"x.ini\": no such file"});
    EXPECT_EQ(lines_of(load("x.toml", none).problems),
              Lines{"x.toml:0: cannot read the file: no such file"});
}

TEST(ReadFile, ReadsAndRefuses) {
    const auto folder = std::filesystem::temp_directory_path() / "pgweir-read-file-test";
    std::filesystem::create_directories(folder);
    const std::string path = folder / "file";
    std::ofstream(path) << "one\ntwo";
    EXPECT_EQ(**read_file(path), "one\ntwo");
    EXPECT_EQ(*read_file(folder / "missing"), std::nullopt);
    EXPECT_EQ(read_file(folder).error().message, "Is a directory");
    EXPECT_EQ(read_file("/dev/zero").error().message, "File too large");
    EXPECT_EQ(read_file(path + "/below").error().message, "Not a directory");
    std::filesystem::remove_all(folder);
}

TEST(SystemSources, KnowTheEnvironment) {
    EXPECT_TRUE(system_sources().environment.contains("PATH"));
}

}  // namespace
}  // namespace pgweir::config

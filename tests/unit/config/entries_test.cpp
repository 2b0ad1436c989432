// [databases], [users] and [peers] of an ini.
#include <gtest/gtest.h>

#include <functional>

#include "tests/unit/config/files.hpp"

namespace pgweir::config {
namespace {

using Lines = std::vector<std::string>;
using namespace std::chrono_literals;

Loaded load_section(const std::string& section, const std::string& line) {
    return load_ini("[pgbouncer]\nauth_type = trust\n[" + section + "]\n" + line + "\n");
}

TEST(Databases, SayWhereToConnect) {
    const auto loaded = load_section(
        "databases", "app = host=a,b port=5433 dbname=real\nsame =\nbare = port=1\n* = host=/run");
    ASSERT_TRUE(loaded.config);
    const Database& app = *loaded.config->database("app");
    EXPECT_EQ(app.name, "app");
    EXPECT_EQ(app.dbname, "real");
    EXPECT_EQ(app.hosts, (Lines{"a", "b"}));
    EXPECT_EQ(app.port, 5433);
    EXPECT_EQ(app.endpoints, (std::vector<Endpoint>{{"a", 5433}, {"b", 5433}}));
    const Database& same = *loaded.config->database("same");
    EXPECT_EQ(same.dbname, "same");
    EXPECT_EQ(same.hosts, Lines{});
    EXPECT_EQ(same.endpoints, (std::vector<Endpoint>{{"/tmp", 5432}}));
    EXPECT_EQ(loaded.config->database("*")->dbname, "");
    EXPECT_EQ(loaded.config->database("other"), nullptr);
}

TEST(Databases, HaveEveryKey) {
    const auto loaded = load_section(
        "databases",
        "d = user=u password='p w' auth_user=au auth_query='SELECT ''x''' auth_dbname=ad "
        "pool_size=1 min_pool_size=2 reserve_pool_size=3 pool_mode=Statement "
        "max_db_connections=4 max_db_client_connections=5 server_lifetime=6 query_wait_timeout=7 "
        "connect_query='SET x = 1' load_balance_hosts=disable client_encoding=UTF8 "
        "datestyle=ISO timezone=UTC application_name=me");
    ASSERT_TRUE(loaded.config);
    const Database& d = *loaded.config->database("d");
    EXPECT_EQ(d.user, "u");
    EXPECT_EQ(d.password, "p w");
    EXPECT_EQ(d.auth_user, "au");
    EXPECT_EQ(d.auth_query, "SELECT 'x'");
    EXPECT_EQ(d.auth_dbname, "ad");
    EXPECT_EQ(d.pool_size, 1);
    EXPECT_EQ(d.min_pool_size, 2);
    EXPECT_EQ(d.reserve_pool_size, 3);
    EXPECT_EQ(d.pool_mode, PoolMode::statement);
    EXPECT_EQ(d.max_db_connections, 4);
    EXPECT_EQ(d.max_db_client_connections, 5);
    EXPECT_EQ(d.server_lifetime, 6s);
    EXPECT_EQ(d.query_wait_timeout, 7s);
    EXPECT_EQ(d.connect_query, "SET x = 1");
    EXPECT_EQ(d.load_balance_hosts, LoadBalanceHosts::disable);
    EXPECT_EQ(d.startup_parameters,
              (std::map<std::string, std::string>{{"client_encoding", "UTF8"},
                                                  {"datestyle", "ISO"},
                                                  {"timezone", "UTC"},
                                                  {"application_name", "me"}}));
}

TEST(Databases, WrittenTwiceAreReplaced) {
    const auto loaded = load_section("databases", "d = host=x pool_size=3\nd = host=y");
    ASSERT_TRUE(loaded.config);
    EXPECT_EQ(loaded.config->database("d")->hosts, Lines{"y"});
    EXPECT_EQ(loaded.config->database("d")->pool_size, std::nullopt);
}

TEST(Databases, TakeNumbersAsPgBouncerDoes) {
    const auto loaded =
        load_section("databases", "d = reserve_pool=4 pool_size=abc min_pool_size=-1 "
                                  "server_lifetime=90s");
    ASSERT_TRUE(loaded.config);
    const Database& d = *loaded.config->database("d");
    EXPECT_EQ(d.reserve_pool_size, 4);
    EXPECT_EQ(d.pool_size, 0);
    EXPECT_EQ(d.min_pool_size, std::nullopt);
    EXPECT_EQ(d.server_lifetime, 90s);
    EXPECT_EQ(lines_of(loaded.warnings),
              (Lines{"a.ini:4: pool_size: expected a whole number, got \"abc\"; read as 0, as "
                     "PgBouncer does",
                     "a.ini:4: server_lifetime: expected a whole number, got \"90s\"; read as 90, "
                     "as PgBouncer does"}));
}

struct BadCase {
    const char* section;
    const char* line;
    const char* problem;
};

constexpr BadCase bad_cases[] = {
    {"databases", "d = hots=x", "unrecognized connection parameter: hots, did you mean \"host\"?"},
    {"databases", "d = HOST2345=x", "unrecognized connection parameter: HOST2345"},
    {"databases", "d = port=0", "invalid port: 0; expected 1 to 65535"},
    {"databases", "d = port=70000", "invalid port: 70000; expected 1 to 65535"},
    {"databases", "d = pool_size=-5",
     "pool_size: expected a whole number from 0 to 2147483647, got \"-5\""},
    {"databases", "d = pool_size=3000000000",
     "pool_size: expected a whole number from 0 to 2147483647, got \"3000000000\""},
    {"databases", "d = pool_mode=fast",
     "pool_mode: expected one of session, transaction, statement, got \"fast\""},
    {"databases", "d = load_balance_hosts=x",
     "load_balance_hosts: expected one of round-robin, disable, got \"x\""},
    {"databases", "d = host='x",
     "d: syntax error in connection string: expected a closing quote "
     "for host"},
    {"databases", "d = host=",
     "d: syntax error in connection string: expected a value for host; "
     "an empty one is ''"},
    {"databases", "pgbouncer = host=x", "database name \"pgbouncer\" is reserved"},
    {"databases", "'' = host=x",
     "syntax error: expected \"key = value\", with the key in quotes "
     "when it has other than letters, digits and _ . - *"},
    {"databases", "d = session_state=off", "unrecognized connection parameter: session_state"},
    {"users", "u = pool_mod=session",
     "unrecognized user parameter: pool_mod, did you mean \"pool_mode\"?"},
    {"users", "u = min_pool_size=1",
     "unrecognized user parameter: min_pool_size, did you mean "
     "\"pool_size\"?"},
    {"users", "u = session_state=off", "unrecognized user parameter: session_state"},
    {"peers", "x = host=y", "id of a peer: expected a whole number from 1 to 65535, got \"x\""},
    {"peers", "0 = host=y", "id of a peer: expected a whole number from 1 to 65535, got \"0\""},
    {"peers", "1 = port=5", "host was not provided for peer 1"},
    {"peers", "1 = host=x dbname=y", "unrecognized connection parameter: dbname"},
};

TEST(Entries, RefuseWhatMakesNoSense) {
    for (const BadCase& c : bad_cases) {
        SCOPED_TRACE(c.line);
        const auto loaded = load_section(c.section, c.line);
        EXPECT_FALSE(loaded.config);
        EXPECT_EQ(lines_of(loaded.problems), Lines{std::string("a.ini:4: ") + c.problem});
    }
}

TEST(Users, HaveEveryKey) {
    const auto loaded = load_section(
        "users", "u = pool_mode=session pool_size=1 reserve_pool_size=2 max_user_connections=3 "
                 "max_user_client_connections=4 query_timeout=5 query_wait_timeout=6 "
                 "idle_transaction_timeout=7 transaction_timeout=8 client_idle_timeout=9\n"
                 "plain =\n'o''hara' = pool_size=0");
    ASSERT_TRUE(loaded.config);
    const User& u = *loaded.config->user("u");
    EXPECT_EQ(u.pool_mode, PoolMode::session);
    EXPECT_EQ(u.pool_size, 1);
    EXPECT_EQ(u.reserve_pool_size, 2);
    EXPECT_EQ(u.max_user_connections, 3);
    EXPECT_EQ(u.max_user_client_connections, 4);
    EXPECT_EQ(u.query_timeout, 5s);
    EXPECT_EQ(u.query_wait_timeout, 6s);
    EXPECT_EQ(u.idle_transaction_timeout, 7s);
    EXPECT_EQ(u.transaction_timeout, 8s);
    EXPECT_EQ(u.client_idle_timeout, 9s);
    EXPECT_EQ(*loaded.config->user("plain"), User{.name = "plain"});
    EXPECT_EQ(loaded.config->user("o'hara")->pool_size, 0);
}

TEST(Peers, AreRead) {
    const auto loaded = load_section("peers", "1 = host=a\n2 = host=/run port=7000 pool_size=3");
    ASSERT_TRUE(loaded.config);
    EXPECT_EQ(loaded.config->peers.at(1), (Peer{.id = 1, .host = "a", .port = 6432}));
    EXPECT_EQ(loaded.config->peers.at(2),
              (Peer{.id = 2, .host = "/run", .port = 7000, .pool_size = 3}));
}

}  // namespace
}  // namespace pgweir::config

#include "proxy/admin/show.hpp"

#include <sstream>

#include <gtest/gtest.h>

namespace pgweir::proxy::admin {
namespace {

struct Documented {
    const char* show;
    const char* columns;  // "name" is text, "name:i4" and so on
};

/// PgBouncer 1.25.2's, in its order; ours are behind.
const Documented documented[] = {
    {"version", "version"},
    {"state", "key value"},
    {"databases",
     "name host port:i4 database force_user pool_size:i4 min_pool_size:i4 reserve_pool_size:i4 "
     "server_lifetime:i4 pool_mode load_balance_hosts max_connections:i4 current_connections:i4 "
     "max_client_connections:i4 current_client_connections:i4 paused:i4 disabled:i4"},
    {"pools",
     "database user cl_active:i4 cl_waiting:i4 cl_active_cancel_req:i4 cl_waiting_cancel_req:i4 "
     "sv_active:i4 sv_active_cancel:i4 sv_being_canceled:i4 sv_idle:i4 sv_used:i4 sv_tested:i4 "
     "sv_login:i4 maxwait:i4 maxwait_us:i4 pool_mode load_balance_hosts"},
    {"peers", "peer_id:i4 host port:i4 pool_size:i4"},
    {"peer_pools",
     "peer_id:i4 cl_active_cancel_req:i4 cl_waiting_cancel_req:i4 sv_active_cancel:i4 sv_login:i4"},
    {"clients",
     "type user database replication state addr port:i4 local_addr local_port:i4 connect_time "
     "request_time wait:i4 wait_us:i4 close_needed:i4 ptr link remote_pid:i4 tls application_name "
     "prepared_statements:i4 id:i4 pins"},
    {"servers",
     "type user database replication state addr port:i4 local_addr local_port:i4 connect_time "
     "request_time wait:i4 wait_us:i4 close_needed:i4 ptr link remote_pid:i4 tls application_name "
     "prepared_statements:i4 id:i4"},
    {"sockets",
     "type user database replication state addr port:i4 local_addr local_port:i4 connect_time "
     "request_time wait:i4 wait_us:i4 close_needed:i4 ptr link remote_pid:i4 tls application_name "
     "prepared_statements:i4 id:i4 recv_pos:i4 pkt_pos:i4 pkt_remain:i4 send_pos:i4 "
     "send_remain:i4 pkt_avail:i4 send_avail:i4"},
    {"active_sockets",
     "type user database replication state addr port:i4 local_addr local_port:i4 connect_time "
     "request_time wait:i4 wait_us:i4 close_needed:i4 ptr link remote_pid:i4 tls application_name "
     "prepared_statements:i4 id:i4 recv_pos:i4 pkt_pos:i4 pkt_remain:i4 send_pos:i4 "
     "send_remain:i4 pkt_avail:i4 send_avail:i4"},
    {"users",
     "name pool_size reserve_pool_size pool_mode max_user_connections:i4 current_connections:i4 "
     "max_user_client_connections:i4 current_client_connections:i4"},
    {"lists", "list items:i4"},
    {"stats",
     "database total_server_assignment_count:n total_xact_count:n total_query_count:n "
     "total_received:n total_sent:n total_xact_time:n total_query_time:n total_wait_time:n "
     "total_client_parse_count:n total_server_parse_count:n total_bind_count:n "
     "avg_server_assignment_count:n avg_xact_count:n avg_query_count:n avg_recv:n avg_sent:n "
     "avg_xact_time:n avg_query_time:n avg_wait_time:n avg_client_parse_count:n "
     "avg_server_parse_count:n avg_bind_count:n"},
    {"stats_totals",
     "database server_assignment_count:n xact_count:n query_count:n bytes_received:n bytes_sent:n "
     "xact_time:n query_time:n wait_time:n client_parse_count:n server_parse_count:n bind_count:n"},
    {"stats_averages",
     "database server_assignment_count:n xact_count:n query_count:n bytes_received:n bytes_sent:n "
     "xact_time:n query_time:n wait_time:n avg_client_parse_count:n avg_server_parse_count:n "
     "avg_bind_count:n"},
    {"totals", "name value:n"},
    {"config", "key value default changeable"},
    {"mem", "name size:i4 used:i4 free:i4 memtotal:i4"},
    {"dns_hosts", "hostname ttl:i8 addrs"},
    {"dns_zones", "zonename serial:i8 count:i4"},
    {"fds", "fd:i4 task user database addr port:i4 cancel:i8 link:i4 client_encoding std_strings "
            "datestyle timezone password scram_client_key:b scram_server_key:b"},
    {"pins", "client:i4 user database since reasons"},
    {"nodes",
     "cluster host port:i4 role status timeline:i4 lsn streaming lag_bytes:i8 lag_seconds eligible "
     "weight:i4 last_probe_ms:i8 probe_us:i8 status_since reason"},
    {"events", "time cluster event node timeline:i4 text"},
    {"pool_nodes",
     "node_id hostname port status pg_status lb_weight role pg_role select_cnt load_balance_node "
     "replication_delay replication_state replication_sync_state last_status_change"},
    {"queries",
     "database user query calls:i8 total_ms:f8 mean_ms:f8 p50_ms:f8 p95_ms:f8 p99_ms:f8 max_ms:f8 "
     "rows:i8 bytes:i8 primary:i8 replica:i8"},
    {"routes", "database reason target count:n"},
    {"help", ""},
};

std::string text_of(Columns columns) {
    constexpr const char* suffixes[] = {"", ":i4", ":i8", ":n", ":b", ":f8"};  // by Type
    std::string text;
    for (const Column& column : columns) {
        if (!text.empty()) text += ' ';
        text += std::string(column.name) + suffixes[static_cast<std::size_t>(column.type)];
    }
    return text;
}

TEST(ConsoleShow, ColumnsAreTheDocumentedOnes) {
    std::size_t known = 0;
    for (const auto section : {connection_shows(), pool_shows(), stats_shows(), node_shows(),
                               query_shows(), process_shows()}) {
        known += section.size();
    }
    EXPECT_EQ(std::size(documented), known);
    for (const Documented& c : documented) {
        SCOPED_TRACE(c.show);
        const Show* const show = find_show(c.show);
        ASSERT_TRUE(show);
        EXPECT_EQ(text_of(show->columns), c.columns);
    }
}

TEST(ConsoleShow, IsFoundInAnyLetterCase) {
    EXPECT_EQ(find_show("POOLS"), find_show("pools"));
    EXPECT_FALSE(find_show("pool"));
    EXPECT_FALSE(find_show(""));
}

/// A snapshot of made-up data with something in every part.
Snapshot sample() {
    auto config = std::make_shared<config::Config>();
    config->settings.default_pool_size = 20;
    config->settings.max_user_connections = 90;
    config->settings.server_lifetime = std::chrono::seconds(3600);
    config->users["app"] = {.name = "app", .pool_size = 7, .pool_mode = config::PoolMode::session};
    config->peers[2] = {.id = 2, .host = "10.0.0.2", .port = 6433};
    Snapshot snapshot;
    snapshot.config = config;
    snapshot.databases = {
        {.entry = {.name = "app", .hosts = {"a", "b"}, .port = 5433, .pool_size = 3},
         .servers = 2,
         .clients = 4,
         .paused = true},
        {.entry = {.name = "plain", .dbname = "real", .user = "forced"}, .disabled = true},
    };
    snapshot.users = {{.name = "app", .servers = 2, .clients = 4}, {.name = "nobody"}};
    snapshot.pools = {{.database = "app",
                       .user = "app",
                       .counts = {.cl_active = 1, .cl_waiting = 2, .sv_used = 3},
                       .oldest_wait_us = 2'000'017,
                       .mode = config::PoolMode::transaction,
                       .load_balance_hosts = config::LoadBalanceHosts::disable}};
    snapshot.peers[2] = {.waiting = 1, .connecting = 2, .active = 3};
    snapshot.hosts = {
        {"db", 7'900'000, {*net::numeric_address("10.0.0.1", 0), *net::numeric_address("::1", 0)}},
        {"nowhere", 0, {}}};
    snapshot.clients = 5;
    snapshot.clients_logging_in = 1;
    snapshot.servers = 3;
    return snapshot;
}

Rows rows_of(const char* show, const Snapshot& snapshot) { return find_show(show)->rows(snapshot); }

TEST(ConsoleShow, EveryRowFitsItsColumns) {
    Snapshot snapshot = sample();
    snapshot.connections = {{.id = 1}, {.is_server = true, .id = 2, .fd = 5}};
    snapshot.stats.to["app"].xact_count = 1;
    for (const Documented& c : documented) {
        const Show* const show = find_show(c.show);
        if (show->columns.empty()) continue;
        for (const Row& row : show->rows(snapshot)) EXPECT_EQ(row.size(), show->columns.size());
    }
}

TEST(ConsoleShow, Pools) {
    const Rows expected = {{"app", "app", "1", "2", "0", "0", "0", "0", "0", "0", "3", "0", "0",
                            "2", "17", "transaction", "disable"}};
    EXPECT_EQ(rows_of("pools", sample()), expected);
}

TEST(ConsoleShow, Databases) {
    const Cell null;
    const Rows expected = {
        {"app", "a,b", "5433", "app", null, "3", "0", "0", "3600", null, "round-robin", "0", "2",
         "0", "4", "1", "0"},
        {"plain", null, "5432", "real", "forced", "20", "0", "0", "3600", null, null, "0", "0", "0",
         "0", "0", "1"},
    };
    EXPECT_EQ(rows_of("databases", sample()), expected);
}

TEST(ConsoleShow, UsersHaveSizesInText) {
    const Rows expected = {
        {"app", "        7", "", "session", "90", "2", "0", "4"},
        {"nobody", "", "", std::nullopt, "90", "0", "0", "0"},
    };
    EXPECT_EQ(rows_of("users", sample()), expected);
}

TEST(ConsoleShow, Lists) {
    std::map<std::string, std::string> items;
    for (const Row& row : rows_of("lists", sample())) items[*row[0]] = *row[1];
    EXPECT_EQ(items["databases"], "2");
    EXPECT_EQ(items["peers"], "1");
    EXPECT_EQ(items["used_clients"], "5");
    EXPECT_EQ(items["login_clients"], "1");
    EXPECT_EQ(items["used_servers"], "3");
    EXPECT_EQ(items["peer_pools"], "1");
    EXPECT_EQ(items["dns_names"], "2");
    EXPECT_EQ(items.size(), 14u);
}

TEST(ConsoleShow, Peers) {
    EXPECT_EQ(rows_of("peers", sample()), (Rows{{"2", "10.0.0.2", "6433", "20"}}));
    EXPECT_EQ(rows_of("peer_pools", sample()), (Rows{{"2", "3", "1", "3", "2"}}));
}

TEST(ConsoleShow, Names) {
    EXPECT_EQ(rows_of("dns_hosts", sample()),
              (Rows{{"db", "7", "10.0.0.1:0,[::1]:0"}, {"nowhere", "0", ""}}));
}

TEST(ConsoleShow, ListenersHaveDescriptors) {
    const Cell null;
    Snapshot snapshot = sample();
    snapshot.listeners = {{6, *net::numeric_address("0.0.0.0", 6432)}};
    EXPECT_EQ(rows_of("fds", snapshot), (Rows{{"6", "pooler", null, null, "0.0.0.0", "6432", "0",
                                               "0", null, null, null, null, null, null, null}}));
}

TEST(ConsoleShow, StateSaysPaused) {
    Snapshot snapshot = sample();
    EXPECT_EQ(rows_of("state", snapshot),
              (Rows{{"active", "yes"}, {"paused", "no"}, {"suspended", "no"}}));
    snapshot.paused = true;
    EXPECT_EQ(rows_of("state", snapshot),
              (Rows{{"active", "no"}, {"paused", "yes"}, {"suspended", "no"}}));
}

/// The value of one column of the only row.
Cell cell(const char* show, const Snapshot& snapshot, std::string_view column) {
    const Rows rows = rows_of(show, snapshot);
    if (rows.size() != 1) return "not one row";
    const Columns columns = find_show(show)->columns;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        if (columns[i].name == column) return rows[0][i];
    }
    return "no such column";
}

Connection client(std::string state) {
    Connection seen;
    seen.id = 7;
    seen.user = "u";
    seen.database = "d";
    seen.state = std::move(state);
    seen.addr = "127.0.0.1";
    seen.port = 4711;
    seen.wait_us = 3'000'004;
    seen.prepared_statements = 2;
    protocol::VarTable table;
    seen.vars = table.with(table.empty(), "application_name", "test");
    return seen;
}

TEST(ConsoleShow, Clients) {
    Snapshot snapshot = sample();
    snapshot.connections = {client("idle")};
    EXPECT_EQ(cell("clients", snapshot, "type"), "C");
    EXPECT_EQ(cell("clients", snapshot, "state"), "idle");
    EXPECT_EQ(cell("clients", snapshot, "wait"), "3");
    EXPECT_EQ(cell("clients", snapshot, "wait_us"), "4");
    EXPECT_EQ(cell("clients", snapshot, "link"), "");
    EXPECT_EQ(cell("clients", snapshot, "replication"), "none");
    EXPECT_EQ(cell("clients", snapshot, "application_name"), "test");
    EXPECT_EQ(cell("clients", snapshot, "prepared_statements"), "2");
    EXPECT_EQ(cell("clients", snapshot, "id"), "7");
    EXPECT_TRUE(rows_of("servers", snapshot).empty());
    EXPECT_TRUE(rows_of("active_sockets", snapshot).empty());
}

TEST(ConsoleShow, TimesAreWallTimes) {
    Snapshot snapshot = sample();
    snapshot.connections = {client("active")};
    snapshot.connections[0].connected_us = 5'000'000;
    snapshot.connections[0].request_us = 65'000'000;
    snapshot.wall_minus_monotonic_us = 1'800'000'000'000'000;  // 2027-01-15 08:00:00 UTC
    setenv("TZ", "UTC", 1);
    tzset();
    EXPECT_EQ(cell("clients", snapshot, "connect_time"), "2027-01-15 08:00:05 UTC");
    EXPECT_EQ(cell("clients", snapshot, "request_time"), "2027-01-15 08:01:05 UTC");
}

TEST(ConsoleShow, SocketsHaveWordsOfTheirOwn) {
    struct Case {
        bool is_server;
        const char* state;
        const char* shown;
    };
    for (const Case& c : {Case{false, "idle", "cl_active"}, Case{false, "waiting", "cl_waiting"},
                          Case{false, "login", "cl_login"}, Case{true, "idle", "sv_idle"},
                          Case{true, "new", "sv_login"}, Case{true, "tested", "sv_tested"}}) {
        Snapshot snapshot = sample();
        snapshot.connections = {client(c.state)};
        snapshot.connections[0].is_server = c.is_server;
        EXPECT_EQ(cell("sockets", snapshot, "state"), c.shown);
    }
}

TEST(ConsoleShow, LoginIsNoClientYet) {
    Snapshot snapshot = sample();
    snapshot.connections = {client("login")};
    snapshot.connections[0].user.clear();
    snapshot.connections[0].database.clear();
    EXPECT_TRUE(rows_of("clients", snapshot).empty());
    EXPECT_EQ(cell("sockets", snapshot, "user"), "(nouser)");
    EXPECT_EQ(cell("sockets", snapshot, "database"), "(nodb)");
}

TEST(ConsoleShow, FdsHidesSecrets) {
    Snapshot snapshot = sample();
    snapshot.connections = {client("active")};
    snapshot.connections[0].fd = 12;
    EXPECT_EQ(cell("fds", snapshot, "fd"), "12");
    EXPECT_EQ(cell("fds", snapshot, "cancel"), "0");
    for (const char* secret : {"password", "scram_client_key", "scram_server_key"}) {
        EXPECT_FALSE(cell("fds", snapshot, secret)) << secret;
    }
}

TEST(ConsoleShow, Stats) {
    Snapshot snapshot = sample();
    snapshot.stats.length_us = 2'000'000;
    pool::PoolTotals& from = snapshot.stats.from["app"];
    pool::PoolTotals& to = snapshot.stats.to["app"];
    from.query_count = 10;
    from.query_time = 1000;
    to.query_count = 30;
    to.query_time = 5100;
    to.sent = 4'000'001;
    to.wait_time = 9;
    to.server_assignment_count = 2;
    EXPECT_EQ(cell("stats", snapshot, "database"), "app");
    EXPECT_EQ(cell("stats", snapshot, "total_query_count"), "30");
    EXPECT_EQ(cell("stats", snapshot, "avg_query_count"), "10");
    EXPECT_EQ(cell("stats", snapshot, "avg_query_time"), "205");
    EXPECT_EQ(cell("stats", snapshot, "avg_sent"), "2000000");
    EXPECT_EQ(cell("stats", snapshot, "avg_recv"), "0");
    EXPECT_EQ(cell("stats", snapshot, "avg_xact_time"), "0");  // no transaction: no division
    EXPECT_EQ(cell("stats", snapshot, "avg_wait_time"), "4");
    EXPECT_EQ(cell("stats_totals", snapshot, "bytes_sent"), "4000001");
    EXPECT_EQ(cell("stats_averages", snapshot, "query_time"), "205");
}

TEST(ConsoleShow, Routes) {
    Snapshot snapshot = sample();
    snapshot.routes = {{"app", {Cause::verdict, router::Reason::write}, false, 3},
                       {"app", {Cause::not_fresh}, false, 2},
                       {"app", {Cause::verdict, router::Reason::read}, true, 12}};
    const Rows rows = rows_of("routes", snapshot);
    ASSERT_EQ(rows.size(), 3u);
    EXPECT_EQ(rows[0], (Row{"app", "write", "primary", "3"}));
    EXPECT_EQ(rows[1], (Row{"app", "not_fresh", "primary", "2"}));
    EXPECT_EQ(rows[2], (Row{"app", "read", "replica", "12"}));
}

TEST(ConsoleShow, Queries) {
    Snapshot snapshot = sample();
    QueryFigures figures{.calls = 4,
                         .replica_calls = 3,
                         .timed = 2,
                         .total_us = 3'500,
                         .max_us = 2'500,
                         .rows = 7,
                         .bytes = 90,
                         .durations = {}};
    figures.durations.add(1'000);
    figures.durations.add(2'500);
    snapshot.queries = {{"app", "alice", "select $1", figures}};
    const Rows rows = rows_of("queries", snapshot);
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_EQ(rows[0][2], "select $1");
    EXPECT_EQ(cell("queries", snapshot, "calls"), "4");
    EXPECT_EQ(cell("queries", snapshot, "total_ms"), "3.500");
    EXPECT_EQ(cell("queries", snapshot, "mean_ms"), "1.750");
    EXPECT_EQ(cell("queries", snapshot, "max_ms"), "2.500");
    EXPECT_EQ(cell("queries", snapshot, "p50_ms"), "0.960");  // within an eighth
    EXPECT_EQ(cell("queries", snapshot, "p99_ms"), "2.304");
    EXPECT_EQ(cell("queries", snapshot, "primary"), "1");
    EXPECT_EQ(cell("queries", snapshot, "replica"), "3");
}

TEST(ConsoleShow, NoAveragesBeforeTheFirstSnapshot) {
    Snapshot snapshot = sample();
    snapshot.stats.to["app"].query_count = 30;
    EXPECT_EQ(cell("stats", snapshot, "avg_query_count"), "0");
}

TEST(ConsoleShow, TotalsAddUpDatabases) {
    Snapshot snapshot = sample();
    snapshot.stats.length_us = 1'000'000;
    snapshot.stats.from["app"].xact_count = 1;
    snapshot.stats.to["app"].xact_count = 3;
    snapshot.stats.to["pgbouncer"].xact_count = 4;  // new since
    std::map<std::string, std::string> values;
    const Rows rows = rows_of("totals", snapshot);
    for (const Row& row : rows) values[*row[0]] = *row[1];
    EXPECT_EQ(rows.size(), 22u);
    EXPECT_EQ(*rows.front()[0], "total_server_assignment_count");
    EXPECT_EQ(*rows.back()[0], "avg_ps_bind_count");
    EXPECT_EQ(values["total_xact_count"], "7");
    EXPECT_EQ(values["avg_xact_count"], "6");
    EXPECT_TRUE(values.contains("total_client_bytes") && values.contains("avg_server_bytes"));
}

TEST(ConsoleShow, Help) {
    const Answer answer = answer_show(*find_show("help"), sample());
    EXPECT_EQ(answer.notice, "Console usage");
    EXPECT_EQ(answer.tag, "SHOW");
    std::istringstream lines(answer.detail);
    std::string line;
    std::getline(lines, line);
    EXPECT_EQ(line, "");
    std::getline(lines, line);
    EXPECT_EQ(line, "\tSHOW HELP|CONFIG|DATABASES|POOLS|CLIENTS|SERVERS|USERS|VERSION");
    EXPECT_TRUE(answer.rows.empty());
}

}  // namespace
}  // namespace pgweir::proxy::admin

// What /metrics and /readyz make of a snapshot. PGWEIR_WRITE_DOCS=1 makes docs/metrics.md anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "proxy/http/metrics.hpp"
#include "proxy/http/readiness.hpp"

namespace pgweir::proxy::http {
namespace {

using admin::Snapshot;

Snapshot small() {
    auto config = std::make_shared<config::Config>();
    config->settings.max_client_conn = 77;
    Snapshot snapshot;
    snapshot.config = config;
    return snapshot;
}

admin::PoolFigures some_pool() {
    admin::PoolFigures pool;
    pool.database = "app";
    pool.user = "alice";
    pool.counts.cl_active = 5;
    pool.counts.cl_idle = 3;
    pool.counts.sv_active = 2;
    pool.limits.size = 20;
    pool.waiting = 4;
    pool.oldest_wait_us = 1'500'000;
    pool.totals.query_count = 1'000'000'007;
    return pool;
}

std::string text_of(const Snapshot& snapshot) {
    return exposition(metrics(snapshot, {.cpu_seconds = 1.5,
                                         .resident_bytes = 4096,
                                         .virtual_bytes = 8192,
                                         .open_fds = 7,
                                         .max_fds = 1024}));
}

bool has_line(const std::string& text, const std::string& line) {
    return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(Metrics, OfAPool) {
    Snapshot snapshot = small();
    snapshot.figures.push_back(some_pool());
    const std::string text = text_of(snapshot);
    const std::string labels = R"({database="app",user="alice",node="")";
    EXPECT_TRUE(has_line(text, "pgweir_pool_clients" + labels + R"(,state="active"} 2)")) << text;
    EXPECT_TRUE(has_line(text, "pgweir_pool_clients" + labels + R"(,state="idle"} 3)"));
    EXPECT_TRUE(has_line(text, "pgweir_pool_servers" + labels + R"(,state="active"} 2)"));
    EXPECT_TRUE(has_line(text, "pgweir_pool_size" + labels + "} 20"));
    EXPECT_TRUE(has_line(text, "pgweir_pool_waiting" + labels + "} 4"));
    EXPECT_TRUE(has_line(text, "pgweir_pool_held_requests" + labels + "} 0"));
    EXPECT_TRUE(has_line(text, "pgweir_pool_oldest_wait_seconds" + labels + "} 1.5"));
    EXPECT_TRUE(has_line(text, "pgweir_queries_total" + labels + "} 1000000007"));
    EXPECT_TRUE(has_line(text, "# TYPE pgweir_queries_total counter"));
    EXPECT_TRUE(has_line(text, "pgweir_clients_limit 77"));
    EXPECT_TRUE(has_line(text, "pgweir_process_cpu_seconds_total 1.5"));
}

TEST(Metrics, NoLimitIsInfinite) {
    Snapshot snapshot = small();
    snapshot.figures.push_back(some_pool());
    snapshot.figures.front().limits.size = 0;
    EXPECT_TRUE(has_line(text_of(snapshot),
                         R"(pgweir_pool_size{database="app",user="alice",node=""} +Inf)"));
}

TEST(Metrics, ShapesThatTookMost) {
    Snapshot snapshot = small();
    for (int i = 0; i < 60; ++i) {
        admin::QueryFigure shape{"app", "alice", "select $1 -- " + std::to_string(i), {}};
        shape.figures.calls = 7;
        shape.figures.total_us = 2'500'000;
        snapshot.queries.push_back(shape);
    }
    snapshot.queries.front().text = std::string(199, 'x') + "é and more";
    const std::string text = text_of(snapshot);
    const auto lines = [&](std::string_view beginning) {
        int count = 0;
        for (std::size_t at = text.find(beginning); at != std::string::npos;
             at = text.find(beginning, at + 1))
            ++count;
        return count;
    };
    EXPECT_EQ(lines("\npgweir_shape_calls_total{"), 50) << "the least are left out";
    EXPECT_EQ(lines(",query=\"select $1 -- 1\"} 2.5\n"), 1);
    EXPECT_EQ(lines("x\"} 7\n"), 1) << "no half of a character";
}

/// A label's value that is no UTF-8, or ends the line, would make Prometheus throw all of it away.
TEST(Metrics, HostileNames) {
    Snapshot snapshot = small();
    snapshot.figures.push_back(some_pool());
    snapshot.figures.front().database = "a\"b\\c\nd\xff";
    EXPECT_TRUE(has_line(text_of(snapshot),
                         R"(pgweir_pool_size{database="a\"b\\c\nd\\xff",user="alice",node=""} 20)"))
        << text_of(snapshot);
}

TEST(Metrics, OfACluster) {
    Snapshot snapshot = small();
    auto topology = std::make_shared<health::Topology>();
    topology->cluster = "main";
    topology->nodes.resize(2);
    topology->nodes[0].node.at = {"10.0.0.1", 5432};
    topology->nodes[0].role = health::Role::stale_primary;
    topology->nodes[1].node.at = {"10.0.0.2", 5432};
    topology->nodes[1].role = health::Role::replica;
    topology->nodes[1].up = topology->nodes[1].eligible = true;
    topology->nodes[1].lag_us = 2'500'000;
    topology->nodes[1].lag_bytes = 17;
    topology->nodes[1].timeline = 3;
    snapshot.topologies.push_back(topology);
    snapshot.event_counts["main"].failovers = 2;
    const std::string text = text_of(snapshot);
    const std::string replica = R"({cluster="main",node="10.0.0.2:5432")";
    EXPECT_TRUE(has_line(text, R"(pgweir_cluster_has_primary{cluster="main"} 0)")) << text;
    EXPECT_TRUE(has_line(text, R"(pgweir_cluster_readable_nodes{cluster="main"} 1)"));
    EXPECT_TRUE(has_line(text, "pgweir_node_lag_seconds" + replica + "} 2.5"));
    EXPECT_TRUE(has_line(text, "pgweir_node_lag_bytes" + replica + "} 17"));
    EXPECT_TRUE(has_line(text, "pgweir_node_timeline" + replica + "} 3"));
    EXPECT_TRUE(has_line(text, "pgweir_node_role" + replica + R"(,role="replica"} 1)"));
    EXPECT_TRUE(has_line(text, "pgweir_node_role" + replica + R"(,role="primary"} 0)"));
    EXPECT_TRUE(has_line(
        text, R"(pgweir_node_role{cluster="main",node="10.0.0.1:5432",role="stale_primary"} 1)"));
    EXPECT_TRUE(has_line(text, R"(pgweir_failovers_total{cluster="main"} 2)"));
    EXPECT_EQ(text.find(R"(pgweir_node_lag_seconds{cluster="main",node="10.0.0.1:5432"})"),
              std::string::npos);
}

TEST(MetricsPage, IsUpToDate) {
    const std::string path = PGWEIR_SOURCE_DIR "/docs/metrics.md";
    if (std::getenv("PGWEIR_WRITE_DOCS")) std::ofstream(path) << metrics_page();
    std::ostringstream page;
    page << std::ifstream(path).rdbuf();
    EXPECT_TRUE(page.str() == metrics_page())
        << "write it anew: PGWEIR_WRITE_DOCS=1 unit_tests --gtest_filter=MetricsPage.*";
}

/// A configuration with one cluster, and perhaps an entry of none.
Snapshot of_cluster(bool plain_entry) {
    auto config = std::make_shared<config::Config>();
    config->clusters["main"];
    config->databases["app"].cluster = "main";
    if (plain_entry) config->databases["other"];
    Snapshot snapshot;
    snapshot.config = config;
    return snapshot;
}

void publish(Snapshot& snapshot, bool primary, bool readable) {
    auto topology = std::make_shared<health::Topology>();
    topology->cluster = "main";
    topology->nodes.resize(2);
    topology->nodes[0].node.at = {"10.0.0.1", 5432};
    if (primary) topology->primary = 0;
    topology->nodes[1].eligible = readable;
    snapshot.topologies = {topology};
}

TEST(Readiness, NeedsAPrimaryOrReads) {
    Snapshot snapshot = of_cluster(false);
    EXPECT_FALSE(readiness(snapshot).ready);  // nothing is known yet
    publish(snapshot, false, false);
    EXPECT_FALSE(readiness(snapshot).ready);
    EXPECT_EQ(to_json(readiness(snapshot)),
              R"({"ready":false,"state":"active","reasons":["cluster main: no primary is known, )"
              R"(and no node may be read from"],"clusters":{"main":{"ready":false,"primary":null,)"
              R"("readable_nodes":0}}})"
              "\n");
    publish(snapshot, true, false);
    EXPECT_TRUE(readiness(snapshot).ready);
    EXPECT_EQ(readiness(snapshot).clusters["main"].primary, "10.0.0.1:5432");
    publish(snapshot, false, true);
    EXPECT_TRUE(readiness(snapshot).ready);
}

TEST(Readiness, AnEntryOfNoClusterIsEnough) {
    Snapshot snapshot = of_cluster(true);
    publish(snapshot, false, false);
    EXPECT_TRUE(readiness(snapshot).ready);
    EXPECT_FALSE(readiness(snapshot).clusters["main"].is_ready());
}

TEST(Readiness, NotWhileItDoesNotServe) {
    Snapshot snapshot = of_cluster(true);
    snapshot.paused = true;
    EXPECT_EQ(readiness(snapshot).reasons, std::vector<std::string>{"the state is paused"});
    snapshot.suspended = true;
    EXPECT_EQ(readiness(snapshot).state, "suspended");
    snapshot.process.shutting_down = true;
    EXPECT_EQ(readiness(snapshot).state, "shutting_down");
    snapshot.process.handing_over = true;
    EXPECT_EQ(readiness(snapshot).state, "handing_over");
    EXPECT_FALSE(readiness(snapshot).ready);
}

}  // namespace
}  // namespace pgweir::proxy::http

// [clusters.X] with its nodes, health, reads and failover.
#include <algorithm>

#include <fmt/format.h>

#include "config/native.hpp"
#include "config/preference.hpp"

namespace pgweir::config {

namespace {

constexpr int weight_max = 1000;

Node read_node(TableReader table, const TomlValue& at) {
    Node node;
    table.read("host", node.at.host);
    table.read("port", node.at.port, 1, 65535);
    table.read("weight", node.weight, 0, weight_max);
    table.read_word("role", node.role);
    table.read("zone", node.zone);
    table.finish();
    if (table.exists() && node.at.host.empty()) {
        table.problem("host", at, "expected the name or address of a server");
    }
    return node;
}

void read_nodes(TableReader& table, const TomlValue& at, Cluster& cluster) {
    const TomlValue* const nodes = table.take("nodes");
    if (!nodes) return table.problem("nodes", at, "expected at least one node");
    const auto* const array = std::get_if<TomlValue::Array>(&nodes->data);
    if (!array) {
        return table.problem("nodes", *nodes, "expected a list like [{ host = \"10.0.0.1\" }]");
    }
    if (array->empty()) table.problem("nodes", *nodes, "expected at least one node");
    for (const TomlValue& element : *array) {
        const std::string key = fmt::format("nodes[{}]", cluster.nodes.size());
        Node node = read_node(table.table(key, element), element);
        if (std::ranges::find(cluster.nodes, node.at, &Node::at) != cluster.nodes.end()) {
            table.problem(
                key, element,
                fmt::format("{}:{} is a node of this cluster already", node.at.host, node.at.port));
        }
        cluster.nodes.push_back(std::move(node));
    }
    const auto primaries = std::ranges::count(cluster.nodes, NodeRole::primary, &Node::role);
    if (primaries > 1) table.problem("nodes", *nodes, "expected one node with role \"primary\"");
}

/// A path, as seen from the file that it stands in.
void read_path(TableReader& table, std::string_view key, std::string& path) {
    table.read(key, path);
    if (const TomlValue* const value = table.take(key); value && !path.empty())
        path = beside(table.place(*value).file, path);
}

bool is_http(const std::string& url) {
    return url.starts_with("http://") || url.starts_with("https://");
}

void read_health(TableReader table, Cluster& cluster, Draft& draft) {
    Health& health = cluster.health;
    table.read("user", health.user);
    table.read("password", health.password);
    table.read("dbname", health.dbname);
    table.read("interval", health.interval);
    table.read("fast_interval", health.fast_interval);
    table.read("timeout", health.timeout);
    table.read("failures", health.failures, 1, 1000);
    table.read("patroni", health.patroni);
    read_path(table, "patroni_ca_file", health.patroni_ca_file);
    std::string password_file;
    table.read("password_file", password_file);
    if (!password_file.empty()) {
        const Place at = table.place(*table.take("password_file"));
        draft.put(fmt::format("clusters.{}.health.password_file", cluster.name), at);
        draft.password_files.insert_or_assign(cluster.name, beside(at.file, password_file));
    }
    table.finish();
    for (const std::string_view key : {"interval", "fast_interval", "timeout"}) {
        const TomlValue* const value = table.take(key);
        const auto time = value ? duration_in(*value) : Duration(1);
        if (time.has_value() && *time <= Duration(0)) {
            table.problem(key, *value, "expected a duration above 0");
        }
    }
    for (const std::string& url : health.patroni) {
        if (is_http(url)) continue;
        table.problem("patroni", *table.take("patroni"),
                      expected("a URL like \"http://10.0.0.1:8008\"", url).message);
    }
}

/// `cluster`: with its nodes.
void read_preferences(TableReader& table, std::string_view key, const Cluster& cluster,
                      std::vector<Preference>& to) {
    std::vector<std::string> texts;
    table.read(key, texts);
    for (const std::string& text : texts) {
        auto preference = parse_preference(text);
        const TomlValue& at = *table.take(key);
        if (preference.has_error()) {
            table.problem(key, at, preference.error().message);
            continue;
        }
        const bool known =
            preference->target != Preference::Target::node ||
            std::ranges::find(cluster.nodes, preference->node, &Node::at) != cluster.nodes.end();
        if (!known) table.problem(key, at, expected("one of the cluster's nodes", text).message);
        to.push_back(*std::move(preference));
    }
}

void read_reads(TableReader table, Cluster& cluster) {
    Reads& reads = cluster.reads;
    table.read("split", reads.split);
    table.read("max_lag", reads.max_lag);
    table.read_size("max_lag_bytes", reads.max_lag_bytes);
    table.read_word("consistency", reads.consistency);
    table.read_word("balance", reads.balance);
    table.read("wait", reads.wait);
    table.read("zone", reads.zone);
    table.read("slow_start", reads.slow_start);
    table.read("ejection", reads.ejection);
    table.read("replica_safe_functions", reads.replica_safe_functions);
    table.read("primary_functions", reads.primary_functions);
    table.read("foreign_tables", reads.foreign_tables);
    read_preferences(table, "prefer_application", cluster, reads.prefer_application);
    read_preferences(table, "prefer_database", cluster, reads.prefer_database);
    read_preferences(table, "prefer_user", cluster, reads.prefer_user);
    table.finish();
}

void read_failover(TableReader table, Failover& failover) {
    table.read("hold", failover.hold);
    table.read("max_held", failover.max_held, 0);
    read_path(table, "state_file", failover.state_file);
    table.read("peers", failover.peers);
    read_path(table, "peers_ca_file", failover.peers_ca_file);
    for (const std::string& url : failover.peers) {
        if (is_http(url)) continue;
        table.problem("peers", *table.take("peers"),
                      expected("a URL like \"http://10.0.0.2:9127\"", url).message);
    }
    table.read("retry_reads", failover.retry_reads);
    table.read("hook", failover.hook);
    table.read("switchover_command", failover.switchover_command);
    table.read("switchover_timeout", failover.switchover_timeout);
    table.finish();
}

}  // namespace

void read_clusters(TableReader clusters, Draft& draft) {
    for (const auto& [name, value] : clusters.entries()) {
        TableReader table = clusters.table(name, value);
        if (!table.exists()) continue;
        Cluster cluster;
        cluster.name = name;
        draft.put("clusters." + name, table.place(value));
        read_nodes(table, value, cluster);
        read_health(table.table("health"), cluster, draft);
        read_reads(table.table("reads"), cluster);
        read_failover(table.table("failover"), cluster.failover);
        table.finish();
        draft.config.clusters.insert_or_assign(name, std::move(cluster));
    }
}

}  // namespace pgweir::config

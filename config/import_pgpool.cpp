#include "config/import_pgpool.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "config/native.hpp"
#include "config/preference.hpp"
#include "config/settings.hpp"
#include "config/units.hpp"

namespace pgweir::config {

namespace {

using View = std::string_view;
using namespace std::chrono_literals;

constexpr View cluster_name = "main";

struct Backend {
    int number = 0;
    Node node{};
    double weight = 1;
    Place at{};
};

/// The number that `key` has behind `prefix`; nullopt when that is not what it is.
std::optional<int> number_behind(View prefix, View key) {
    if (!key.starts_with(prefix)) return std::nullopt;
    const View digits = key.substr(prefix.size());
    int number = 0;
    const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    const bool whole = end.ec == std::errc{} && end.ptr == digits.data() + digits.size();
    return whole && number >= 0 ? std::optional(number) : std::nullopt;
}

class PgpoolReader {
public:
    PgpoolReader(std::vector<PgpoolEntry> entries, const std::string& path, const Sources& sources,
                 Foreign& foreign)
        : conf_(std::move(entries), foreign),
          path_(path),
          sources_(sources),
          foreign_(foreign),
          config_(foreign.draft.config) {}

    void read() {
        read_listen();
        read_pool();
        read_log();
        read_servers();
        read_pgpool_auth(conf_, path_, sources_, foreign_);
        conf_.remark_rest();
    }

private:
    void read_listen() {
        conf_.set("listen_addr", conf_.text("listen_addresses", "localhost"), "listen_addresses");
        conf_.set("listen_port", conf_.text("port", "9999"), "port");
        const bool old_name = !conf_.take("unix_socket_directories") && conf_.take("socket_dir");
        const View key = old_name ? "socket_dir" : "unix_socket_directories";
        const auto folders = split_list(conf_.text(key, "/tmp"));
        conf_.set("unix_socket_dir", folders.empty() ? "" : folders.front(), key);
        if (folders.size() > 1) conf_.remark(key, "there is one socket, in the first of them");
        carry("unix_socket_group", "unix_socket_group");
        carry("unix_socket_permissions", "unix_socket_mode");
        conf_.set("max_client_conn", conf_.text("num_init_children", "32"), "num_init_children");
        const auto clients = config_.settings.max_client_conn;
        const auto factor = conf_.number("listen_backlog_multiplier", 2, 1000);
        const auto backlog = std::clamp<std::int64_t>(clients * factor, 1, 10000);
        conf_.set("listen_backlog", fmt::format("{}", backlog), "listen_backlog_multiplier");
        if (conf_.take("pid_file_name")) {
            conf_.set("pidfile", beside(path_, conf_.text("pid_file_name", "")), "pid_file_name");
        }
    }

    void carry(View key, View setting) {
        if (conf_.take(key)) conf_.set(setting, conf_.text(key, ""), key);
    }
    void carry_time(View key, View setting) {
        if (conf_.take(key)) conf_.set(setting, show_seconds(conf_.time(key, 1s, 0s)), key);
    }

    void read_pool() {
        const auto clients = config_.settings.max_client_conn;
        conf_.set("default_pool_size", fmt::format("{}", clients), "num_init_children");
        conf_.remark("num_init_children",
                     "is the limit on clients, and on the servers of one user and database: with "
                     "transaction pooling fewer servers do, see pool.size");
        const auto cached = conf_.number("max_pool", 4, 1000);
        const std::int64_t servers = std::min<std::int64_t>(clients * cached, 2147483647);
        conf_.set("max_db_connections", fmt::format("{}", servers), "max_pool");
        conf_.remark("max_pool", "pgpool opened up to num_init_children * max_pool servers on each "
                                 "node; this is now the limit of each database");
        carry_time("client_idle_limit", "client_idle_timeout");
        conf_.set("server_idle_timeout", show_seconds(conf_.time("connection_life_time", 1s, 0s)),
                  "connection_life_time");
        carry_time("authentication_timeout", "client_login_timeout");
        if (conf_.flag("connection_cache", true)) {
            conf_.remark("connection_cache",
                         "pgpool gave a client its servers for a session; here it is a "
                         "transaction, and the state of its session follows the client");
        } else {
            conf_.set("pool_mode", "session", "connection_cache");
            conf_.set("server_lifetime", "0", "connection_cache");
        }
        read_reset();
    }

    void read_reset() {
        std::vector<std::string> statements;
        std::string text = conf_.text("reset_query_list", "ABORT; DISCARD ALL");
        for (char& c : text) c = c == ',' ? ' ' : c == ';' ? ',' : c;  // for split_list
        for (std::string& statement : split_list(text)) {
            if (!same_word(statement, "ABORT")) statements.push_back(std::move(statement));
        }
        const std::string query = fmt::format("{}", fmt::join(statements, "; "));
        if (same_word(query, "DISCARD ALL")) return;
        conf_.set("server_reset_query", query, "reset_query_list");
        conf_.remark("reset_query_list", "runs with pool.mode = \"session\" only; an open "
                                         "transaction is never handed on, with or without ABORT");
    }

    void read_log() {
        for (const View key : {"log_connections", "log_disconnections"}) {
            if (conf_.take(key)) conf_.set(key, conf_.flag(key, false) ? "1" : "0", key);
        }
        const auto targets = split_list(conf_.text("log_destination", "stderr"));
        if (std::ranges::any_of(targets, [](View word) { return same_word(word, "syslog"); })) {
            conf_.set("syslog", "1", "log_destination");
            conf_.set("syslog_facility", conf_.text("syslog_facility", "local0"),
                      "syslog_facility");
            conf_.set("syslog_ident", conf_.text("syslog_ident", "pgpool"), "syslog_ident");
        }
        (void)conf_.take("syslog_facility");  // otherwise without effect in pgpool, too
        (void)conf_.take("syslog_ident");
        const std::string least = conf_.text("log_min_messages", "warning");
        if (least.starts_with("debug")) config_.native.log_level = LogLevel::debug;
    }

    // ---- servers

    std::vector<Backend> backends() {
        std::vector<Backend> backends;
        for (const auto& [key, entry] : conf_.entries()) {
            const auto number = number_behind("backend_hostname", key);
            if (!number) continue;
            (void)conf_.take(key);
            backends.push_back(backend(*number, entry));
        }
        std::ranges::sort(backends, {}, &Backend::number);
        for (const auto& [key, entry] : conf_.entries()) {
            for (const View prefix : {"backend_port", "backend_weight", "backend_flag"}) {
                const auto number = number_behind(prefix, key);
                if (!number ||
                    std::ranges::find(backends, *number, &Backend::number) != backends.end()) {
                    continue;
                }
                (void)conf_.take(key);
                conf_.remark(key, fmt::format("there is no backend_hostname{}", *number));
            }
        }
        return backends;
    }

    Backend backend(int number, const PgpoolEntry& host) {
        Backend backend{.number = number, .at = host.at};
        backend.node.at.host = host.value.empty() ? "/tmp" : host.value;
        const std::string port = fmt::format("backend_port{}", number);
        backend.node.at.port = static_cast<int>(conf_.number(port, 5432, 65535));
        if (backend.node.at.port == 0) problem(port, "expected a port from 1 to 65535");
        const std::string weight = fmt::format("backend_weight{}", number);
        const auto share = parse_seconds(conf_.text(weight, "1"));  // a decimal number like any
        if (share.has_value())
            backend.weight = static_cast<double>(share->count()) / 1e6;
        else
            problem(weight, expected("a number like 1 or 0.5", conf_.text(weight, "")).message);
        const std::string flag = fmt::format("backend_flag{}", number);
        std::string words = conf_.text(flag, "ALLOW_TO_FAILOVER");
        std::ranges::replace(words, '|', ',');
        for (const std::string& word : split_list(words)) {
            if (same_word(word, "ALWAYS_PRIMARY") || same_word(word, "ALWAYS_MASTER")) {
                backend.node.role = NodeRole::primary;
            } else if (same_word(word, "DISALLOW_TO_FAILOVER")) {
                conf_.remark(flag, "no node is ever put out of use for good");
            } else if (!same_word(word, "ALLOW_TO_FAILOVER")) {
                problem(flag,
                        expected("ALLOW_TO_FAILOVER, DISALLOW_TO_FAILOVER or ALWAYS_PRIMARY", word)
                            .message);
            }
        }
        return backend;
    }

    /// Whole weights: pgpool's, or its shares in percent of the largest.
    static void weigh(std::vector<Backend>& backends) {
        constexpr double weight_max = 1000;
        const double largest = std::ranges::max(backends, {}, &Backend::weight).weight;
        const bool whole = largest <= weight_max && std::ranges::all_of(backends, [](auto& one) {
                               return one.weight == std::floor(one.weight);
                           });
        for (Backend& one : backends) {
            const double share = whole ? one.weight : std::round(one.weight / largest * 100);
            one.node.weight = static_cast<int>(one.weight > 0 ? std::max(share, 1.0) : 0.0);
        }
    }

    bool is_raw() {
        const std::string mode = conf_.text("backend_clustering_mode", "streaming_replication");
        const bool replicates = conf_.flag("replication_mode", false);
        const std::string sub_mode = conf_.text("master_slave_sub_mode", "stream");
        const bool slaves = conf_.flag("master_slave_mode", true);
        if (replicates) {
            problem("replication_mode", "pgweir does not replicate: it needs PostgreSQL's own "
                                        "streaming replication");
        } else if (!same_word(mode, "streaming_replication") && !same_word(mode, "raw")) {
            problem("backend_clustering_mode",
                    fmt::format("expected streaming_replication or raw, got \"{}\": pgweir writes "
                                "to one server, the others must get it by streaming replication",
                                mode));
        } else if (slaves && !same_word(sub_mode, "stream")) {
            problem("master_slave_sub_mode", "expected stream: pgweir needs PostgreSQL's own "
                                             "streaming replication");
        }
        return same_word(mode, "raw") || !slaves;
    }

    void read_servers() {
        std::vector<Backend> nodes = backends();
        const bool raw = is_raw();
        if (nodes.empty()) {
            foreign_.draft.findings.problem({path_, 0}, "expected backend_hostname0: no server");
            return;
        }
        if (raw && nodes.size() > 1) {
            conf_.remark(fmt::format("backend_hostname{}", nodes[1].number),
                         "not used: in raw mode the first server is the only one that pgpool "
                         "asks; where they replicate name them in [clusters]");
            nodes.resize(1);
        }
        Database& database = config_.databases["*"];
        database.name = "*";
        foreign_.draft.put("databases.*", nodes.front().at);
        if (nodes.size() == 1) {
            database.hosts = {nodes.front().node.at.host};
            database.port = nodes.front().node.at.port;
        } else {
            database.cluster = cluster_name;
            read_cluster(nodes);
        }
    }

    void read_cluster(std::vector<Backend>& nodes) {
        weigh(nodes);
        Cluster& cluster = config_.clusters[std::string(cluster_name)];
        cluster.name = cluster_name;
        foreign_.draft.put(fmt::format("clusters.{}", cluster_name), nodes.front().at);
        for (const Backend& one : nodes) {
            if (std::ranges::find(cluster.nodes, one.node.at, &Node::at) != cluster.nodes.end()) {
                problem(
                    fmt::format("backend_hostname{}", one.number),
                    fmt::format("{}:{} is a backend already", one.node.at.host, one.node.at.port));
            }
            cluster.nodes.push_back(one.node);
        }
        read_health(cluster.health);
        read_reads(cluster.reads);
        read_redirects(nodes, cluster.reads);
        const auto hold = conf_.time("search_primary_node_timeout", 1s, 300s);
        if (hold > 0s)
            cluster.failover.hold = hold;
        else
            conf_.remark("search_primary_node_timeout", "requests wait for failover.hold, not for "
                                                        "ever");
    }

    void read_health(Health& health) {
        const bool lag = !conf_.text("sr_check_user", "").empty();
        const std::string prefix = lag ? "sr_check_" : "health_check_";
        const std::string user = conf_.text(prefix + "user", "");
        if (user.empty()) {
            conf_.remark("sr_check_user",
                         "nodes are always probed, for which pgweir logs in to them as "
                         "clusters.main.health.user: create it (pg_monitor is enough)");
        } else {
            health.user = user;
        }
        if (const auto secret = pgpool_secret(conf_.text(prefix + "password", "")))
            health.password = *secret;
        else
            conf_.remark(prefix + "password", "it is encrypted with pgpool's key: give it as "
                                              "clusters.main.health.password");
        const std::string dbname = conf_.text(prefix + "database", "");
        if (!dbname.empty()) health.dbname = dbname;
        for (const View name : {"user", "password", "database"}) {
            const std::string other = fmt::format("health_check_{}", name);
            const PgpoolEntry* const entry = lag ? conf_.take(other) : nullptr;
            const std::string used = conf_.text(fmt::format("sr_check_{}", name), "");
            if (entry && !entry->value.empty() && entry->value != used) {
                conf_.remark(other, "there is one probe, with the account of sr_check_user");
            }
        }
        read_probes(health);
    }

    void read_probes(Health& health) {
        const Duration lag = conf_.time("sr_check_period", 1s, 0s);
        const Duration alive = conf_.time("health_check_period", 1s, 0s);
        if (lag > 0s || alive > 0s) {
            const View key = alive > 0s && (lag == 0s || alive <= lag) ? "health_check_period"
                                                                       : "sr_check_period";
            health.interval = std::min(lag > 0s ? lag : alive, alive > 0s ? alive : lag);
            conf_.remark(key, "is now the interval of the one probe for role, lag and life; "
                              "pgweir's own, 200ms, finds a new primary and fresh replicas sooner");
        }
        if (conf_.take("health_check_period") && alive == 0s) {
            conf_.remark("health_check_period", "nodes are always probed");
        }
        const Duration timeout = conf_.time("health_check_timeout", 1s, 0s);
        if (timeout > 0s) health.timeout = timeout;
        if (conf_.take("health_check_max_retries")) {
            const auto retries = conf_.number("health_check_max_retries", 0, 999);
            health.failures = static_cast<int>(retries) + 1;
        }
        if (conf_.take("health_check_retry_delay")) {
            conf_.remark("health_check_retry_delay", "a probe that failed is repeated after "
                                                     "health.fast_interval");
        }
    }

    void read_reads(Reads& reads) {
        reads.split = conf_.flag("load_balance_mode", true);
        const std::string rule = conf_.text("disable_load_balance_on_write", "transaction");
        if (same_word(rule, "off")) {
            reads.consistency = Consistency::eventual;
        } else if (!same_word(rule, "transaction")) {
            conf_.remark("disable_load_balance_on_write",
                         "a client's reads go to replicas that have its writes, whatever the "
                         "table: reads.consistency = \"session\"");
        }
        if (!conf_.flag("statement_level_load_balance", false)) {
            conf_.remark("statement_level_load_balance",
                         "each statement or transaction, not each session, has its node chosen");
        }
        const auto bytes = conf_.bytes("delay_threshold", 0);
        const Duration time = conf_.time("delay_threshold_by_time", 1ms, 0s);
        if (time > 0s) reads.max_lag = time;
        if (time > 0s && bytes > 0) {
            conf_.remark("delay_threshold", "left out: pgpool looks at delay_threshold_by_time "
                                            "alone where both are set");
        } else if (bytes > 0) {
            reads.max_lag_bytes = bytes;
        }
        if (bytes == 0 && time == 0s) {
            conf_.remark("delay_threshold", "pgpool did not look at lag; reads.max_lag and "
                                            "reads.max_lag_bytes have pgweir's defaults");
        }
    }

    /// "postgres:primary,reports:standby(0.3)"; a number is a backend's.
    void read_preferences(View key, const std::vector<Backend>& nodes,
                          std::vector<Preference>& to) {
        for (const std::string& text : split_list(conf_.text(key, ""))) {
            const std::size_t colon = text.find(':');
            const std::size_t end = std::min(text.find('(', colon), text.size());
            const std::string target =
                colon == std::string::npos ? "" : text.substr(colon + 1, end - colon - 1);
            const auto node = std::ranges::find(
                nodes, target, [](const Backend& one) { return fmt::format("{}", one.number); });
            const std::string ours = same_word(target, "standby")   ? "replica"
                                     : same_word(target, "primary") ? "primary"
                                     : node == nodes.end()          ? ""
                                                                    : "0:0";
            auto preference =
                parse_preference(text.substr(0, colon) + ':' + ours + text.substr(end));
            if (ours.empty() || preference.has_error()) {
                problem(key, fmt::format("expected NAME:primary, NAME:standby or NAME:number, with "
                                         "or without a ratio, not \"{}\"",
                                         text));
                continue;
            }
            if (preference->target == Preference::Target::node) preference->node = node->node.at;
            to.push_back(*std::move(preference));
        }
    }

    void read_redirects(const std::vector<Backend>& nodes, Reads& reads) {
        read_preferences("app_name_redirect_preference_list", nodes, reads.prefer_application);
        read_preferences("database_redirect_preference_list", nodes, reads.prefer_database);
        read_preferences("user_redirect_preference_list", nodes, reads.prefer_user);
    }

    void problem(View key, std::string text) {
        foreign_.draft.findings.problem(conf_.place(key), fmt::format("{}: {}", key, text));
    }

    PgpoolConf conf_;
    const std::string& path_;
    const Sources& sources_;
    Foreign& foreign_;
    Config& config_;
};

}  // namespace

Foreign read_pgpool(const std::string& path, const Sources& sources) {
    Foreign foreign;
    foreign.draft.file = path;
    foreign.draft.config.settings = native_settings();
    auto entries = read_pgpool_file(path, sources.read, foreign.draft.findings);
    PgpoolReader(std::move(entries), path, sources, foreign).read();
    return foreign;
}

}  // namespace pgweir::config

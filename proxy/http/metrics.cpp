// Clusters and the process; and all of it together.
#include "proxy/http/metrics.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <prometheus/text_serializer.h>

#include "proxy/options.hpp"

namespace pgweir::proxy::http {

namespace {

using admin::ProcessState;
using admin::Snapshot;
using health::Event;
using health::NodeView;
using health::Role;

std::string name_of(const NodeView& node) {
    return fmt::format("{}:{}", node.node.at.host, node.node.at.port);
}

/// Calls `add` with the labels of every node and the node.
template <class Add>
void each_node(const Snapshot& snapshot, const Add& add) {
    for (const health::TopologyPtr& topology : snapshot.topologies) {
        for (const NodeView& node : topology->nodes) add(topology->cluster, name_of(node), node);
    }
}

void add_roles(const Snapshot& snapshot, Book& to) {
    Family& roles = to.gauge("pgweir_node_role", "cluster node role",
                             "1 for what the node is: `primary`, `replica`, `stale_primary` (it "
                             "takes writes and must not), `unknown`; 0 for the others.");
    constexpr std::array all = {Role::primary, Role::replica, Role::stale_primary, Role::unknown};
    each_node(snapshot, [&](const std::string& cluster, const std::string& name, const auto& node) {
        for (const Role role : all) roles.add({cluster, name, word_for(role)}, node.role == role);
    });
}

void add_nodes(const Snapshot& snapshot, Book& to) {
    const auto gauge = [&](const char* name, const char* help, const auto& value) {
        Family& family = to.gauge(name, "cluster node", help);
        each_node(snapshot,
                  [&](const std::string& cluster, const std::string& node, const NodeView& view) {
                      family.add({cluster, node}, value(view));
                  });
    };
    using View = const NodeView&;
    gauge("pgweir_node_up", "1 when the node answers.", [](View node) { return node.up; });
    add_roles(snapshot, to);
    gauge("pgweir_node_suspect", "1 while a probe of it is overdue.",
          [](View node) { return node.suspect; });
    gauge("pgweir_node_eligible", "1 when it may get reads.",
          [](View node) { return node.eligible; });
    gauge("pgweir_node_draining", "1 after NODE DRAIN.", [](View node) { return node.draining; });
    gauge("pgweir_node_detached", "1 after NODE DETACH.", [](View node) { return node.detached; });
    gauge("pgweir_node_timeline", "Its timeline; 0: not known.",
          [](View node) { return static_cast<double>(node.timeline); });
    gauge("pgweir_node_lsn_bytes", "Its place in the log: written (primary) or replayed (replica).",
          [](View node) { return static_cast<double>(node.lsn.value); });
    gauge("pgweir_node_weight", "Its share of the reads.",
          [](View node) { return node.node.weight; });
    gauge("pgweir_node_probe_seconds", "How long the last probe took.",
          [](View node) { return static_cast<double>(node.round_trip_us) / 1e6; });
}

/// What only replicas have.
void add_lag(const Snapshot& snapshot, Book& to) {
    Family& seconds = to.gauge("pgweir_node_lag_seconds", "cluster node",
                               "How long ago the primary wrote what the replica shows, as far as "
                               "it lags.");
    Family& bytes = to.gauge("pgweir_node_lag_bytes", "cluster node",
                             "How much log the replica has not replayed.");
    Family& streaming = to.gauge("pgweir_node_streaming", "cluster node",
                                 "1 when the replica is connected to where its log comes from.");
    each_node(snapshot, [&](const std::string& cluster, const std::string& name, const auto& node) {
        if (node.role != Role::replica) return;
        seconds.add_seconds({cluster, name}, node.lag_us);
        bytes.add({cluster, name}, static_cast<double>(node.lag_bytes));
        streaming.add({cluster, name}, node.streaming);
    });
}

void add_state(const Snapshot& snapshot, Book& to) {
    const ProcessState& process = snapshot.process;
    to.gauge("pgweir_clients", "", "Clients logged in to a database.").add({}, process.clients);
    to.gauge("pgweir_clients_logging_in", "", "Clients that are not logged in yet.")
        .add({}, snapshot.clients_logging_in);
    const int limit = snapshot.config ? snapshot.config->settings.max_client_conn : 0;
    to.gauge("pgweir_clients_limit", "", "max_client_conn.").add({}, limit);
    to.gauge("pgweir_client_memory_bytes", "",
             "What clients make pgweir keep: statements, settings, unsent data.")
        .add({}, static_cast<double>(process.held_bytes));
    to.counter("pgweir_clients_closed_for_memory_total", "",
               "Clients closed by `client_memory_limit` or `memory_limit`.")
        .add({}, process.closed_for_memory);
    to.gauge("pgweir_console_clients", "", "Clients of the console.").add({}, process.consoles);
    to.gauge("pgweir_paused", "", "1 after PAUSE.").add({}, snapshot.paused);
    to.gauge("pgweir_suspended", "", "1 after SUSPEND.").add({}, snapshot.suspended);
    to.gauge("pgweir_shutting_down", "", "1 on the way out.").add({}, process.shutting_down);
}

void add_configuration(const ProcessState& process, Book& to) {
    Family& reloads = to.counter("pgweir_config_reloads_total", "result",
                                 "Reloads of the configuration: `success`, `failure`.");
    reloads.add({"success"}, process.reloads);
    reloads.add({"failure"}, process.failed_reloads);
    to.gauge("pgweir_config_last_reload_successful", "", "0 when the last reload has failed.")
        .add({}, !process.reload_failed);
    to.gauge("pgweir_config_loaded_timestamp_seconds", "",
             "When the configuration was read that is in force.")
        .add_seconds({}, process.loaded_us);
    Family& certificates = to.gauge(
        "pgweir_tls_certificate_expiry_timestamp_seconds", "side file",
        "When a certificate of ours ends, shown to clients (`side` is `client`) or servers.");
    for (const http::CertificateEnd& end : process.certificates) {
        certificates.add({end.to_clients ? "client" : "server", end.file},
                         static_cast<double>(end.at_s));
    }
}

void add_system(const ProcessState& process, const ProcessFigures& figures, Book& to) {
    to.gauge("pgweir_build_info", "version", "1; the label says which program this is.")
        .add({PGWEIR_VERSION}, 1);
    to.gauge("pgweir_process_start_time_seconds", "", "When the process began, since 1970.")
        .add_seconds({}, process.started_us);
    to.counter("pgweir_process_cpu_seconds_total", "", "Processor time, all threads.")
        .add({}, figures.cpu_seconds);
    to.gauge("pgweir_process_resident_memory_bytes", "", "Memory in use.")
        .add({}, figures.resident_bytes);
    to.gauge("pgweir_process_virtual_memory_bytes", "", "Address space.")
        .add({}, figures.virtual_bytes);
    to.gauge("pgweir_process_open_fds", "", "Open descriptors.").add({}, figures.open_fds);
    to.gauge("pgweir_process_max_fds", "", "How many there may be.").add({}, figures.max_fds);
}

constexpr std::string_view introduction = R"(# Metrics

`[admin] http` is where `/metrics` is, in Prometheus's text format. This page is made from the code;
tests compare it with the code and with what a running pgweir says.

- Labels: `database` is the entry that clients connect to, `user` whom the servers belong to.
  `node` is empty where the entry is of no cluster; in a cluster it is `primary` for the servers of
  whichever node is the primary, and `host:port` for a node that serves reads.
- Times are in seconds, sizes in bytes. What ends in `_total` only goes up, from 0 at each start; an
  online restart (`-R`) begins a new process and so counts from 0.
- Bytes of a name that are not UTF-8 are written as `\xHH`.
- A scrape never stops a query: each worker counts its own connections once between two turns of its
  loop, at most twenty times a second however many ask. With 10 000 clients that takes 0.7 ms of
  each of two workers; the page is written by a thread of its own, in 0.5 ms.
)";

std::string_view type_word(prometheus::MetricType type) {
    if (type == prometheus::MetricType::Histogram) return "histogram";
    return type == prometheus::MetricType::Counter ? "counter" : "gauge";
}

}  // namespace

void add_clusters(const Snapshot& snapshot, Book& to) {
    to.section("Clusters");
    Family& primary = to.gauge("pgweir_cluster_has_primary", "cluster",
                               "1 while it is known which node is the primary.");
    Family& suspect = to.gauge("pgweir_cluster_primary_suspect", "cluster",
                               "1 while the primary does not answer in time.");
    Family& readable =
        to.gauge("pgweir_cluster_readable_nodes", "cluster", "Nodes that may get reads.");
    for (const health::TopologyPtr& topology : snapshot.topologies) {
        primary.add({topology->cluster}, topology->primary_node() != nullptr);
        suspect.add({topology->cluster}, topology->primary_suspect);
        const auto count = std::ranges::count_if(topology->nodes, &NodeView::eligible);
        readable.add({topology->cluster}, static_cast<double>(count));
    }
    add_nodes(snapshot, to);
    add_lag(snapshot, to);
    Family& failovers = to.counter("pgweir_failovers_total", "cluster",
                                   "How often another node became the primary.");
    Family& events = to.counter("pgweir_cluster_events_total", "cluster event",
                                "What has happened, by the words of SHOW EVENTS.");
    for (const health::TopologyPtr& topology : snapshot.topologies) {
        const auto found = snapshot.event_counts.find(topology->cluster);
        const Monitor::EventCounts counts =
            found == snapshot.event_counts.end() ? Monitor::EventCounts() : found->second;
        failovers.add({topology->cluster}, counts.failovers);
        for (std::size_t i = 0; i < Event::kinds; ++i) {
            const std::string_view word = word_for(static_cast<Event::Kind>(i));
            events.add({topology->cluster, word}, counts.by_kind[i]);
        }
    }
}

void add_process(const Snapshot& snapshot, const ProcessFigures& figures, Book& to) {
    to.section("The process");
    add_state(snapshot, to);
    add_configuration(snapshot.process, to);
    add_system(snapshot.process, figures, to);
}

Book metrics(const Snapshot& snapshot, const ProcessFigures& process) {
    Book book;
    add_pools(snapshot, book);
    add_traffic(snapshot, book);
    add_times(snapshot, book);
    add_routes(snapshot, book);
    add_shapes(snapshot, book);
    add_errors(snapshot, book);
    add_limits(snapshot, book);
    add_clusters(snapshot, book);
    add_process(snapshot, process, book);
    return book;
}

std::string exposition(Book book) { return prometheus::TextSerializer().Serialize(book.take()); }

std::string metrics_page() {
    std::string page(introduction);
    const Book book = metrics({}, {});
    for (const Book::Section& section : book.sections()) {
        page += fmt::format("\n## {}\n\n| name | type | labels | |\n|---|---|---|---|\n",
                            section.title);
        for (const Family& family : section.families) {
            page += fmt::format("| `{}` | {} | {} | {} |\n", family.family().name,
                                type_word(family.family().type), fmt::join(family.labels(), ", "),
                                family.family().help);
        }
    }
    return page;
}

}  // namespace pgweir::proxy::http

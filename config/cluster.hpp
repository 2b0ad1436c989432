// A cluster as the operator describes it: its nodes, how they are probed, which reads they may get
// and how long a request waits for a new primary. Values; what the nodes really are is health/'s
// business.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "protocol/cleanse.hpp"

namespace pgweir::config {

/// Every time in the configuration. Zero means "off" or "no limit" wherever PgBouncer says so.
using Duration = std::chrono::microseconds;

/// Where a server listens. A `host` that starts with '/' is a socket directory, with '@' an
/// abstract one; the port then names the socket.
struct Endpoint {
    std::string host{};
    int port = 5432;

    friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

enum class NodeRole : std::uint8_t { automatic, primary, replica };
enum class Consistency : std::uint8_t { eventual, session, global };
enum class Balance : std::uint8_t { least_latency, least_connections, round_robin, random };

struct Node {
    Endpoint at{};
    int weight = 1;  // share of the reads; 0 = none unless nothing else is left
    NodeRole role = NodeRole::automatic;
    std::string zone{};  // where it is, in the operator's words; see Reads::zone

    friend bool operator==(const Node&, const Node&) = default;
};

/// [clusters.X.health]: the account that probes, and how often.
struct Health {
    std::string user = "pgweir", dbname = "postgres";
    protocol::Secret password{};
    Duration interval = std::chrono::milliseconds(200);
    Duration fast_interval = std::chrono::milliseconds(25);  // no primary, or a node is suspect
    Duration timeout = std::chrono::milliseconds(500);
    int failures = 2;                    // consecutive, before a node counts as down
    std::vector<std::string> patroni{};  // base URLs of REST endpoints
    std::string patroni_ca_file{};       // whom to trust where these are https; "" = the system

    friend bool operator==(const Health&, const Health&) = default;
};

/// Where reads of the sessions whose name fits are to go; config/preference reads it.
struct Preference {
    enum class Target : std::uint8_t { primary, replica, node };
    std::string pattern{};  // an extended regular expression
    Target target = Target::replica;
    Endpoint node{};   // where that is the target
    double ratio = 1;  // of these sessions

    friend bool operator==(const Preference&, const Preference&) = default;
};

/// [clusters.X.reads]
struct Reads {
    bool split = true;
    Duration max_lag = std::chrono::seconds(10);
    std::int64_t max_lag_bytes = std::int64_t{64} << 20;
    Consistency consistency = Consistency::session;
    Balance balance = Balance::least_latency;
    // For a replica that shows enough, before the primary is asked.
    Duration wait = std::chrono::milliseconds(20);
    std::string zone{};  // where pgweir is: nodes of this zone are preferred; "" = none is
    Duration slow_start = std::chrono::seconds(5);  // until a node that came up has its share
    Duration ejection = std::chrono::seconds(10);   // of a node that keeps losing reads; 0 = never
    // What the catalog cannot say, as `name` or `schema.name`.
    std::vector<std::string> replica_safe_functions{};  // volatile, and yet they only read
    std::vector<std::string> primary_functions{};       // not volatile, and yet not for replicas
    bool foreign_tables = false;                        // replicas may read them
    std::vector<Preference> prefer_application{}, prefer_database{}, prefer_user{};

    friend bool operator==(const Reads&, const Reads&) = default;
};

/// [clusters.X.failover]
struct Failover {
    Duration hold = std::chrono::seconds(30);  // how long a request may wait for a primary
    int max_held = 10000;
    std::vector<std::string> peers{};  // admin.http of other processes, as URLs
    std::string peers_ca_file{};       // whom to trust where these are https; "" = the system
    std::string state_file{};          // "" = beside the pidfile or in systemd's state directory
    bool retry_reads = true;
    std::string hook{};                // shell command run on events; "" = none
    std::string switchover_command{};  // promotes the node that NODE SWITCHOVER names; "" = pgweir
    Duration switchover_timeout = std::chrono::seconds(30);  // for all of a NODE SWITCHOVER

    friend bool operator==(const Failover&, const Failover&) = default;
};

struct Cluster {
    std::string name{};
    std::vector<Node> nodes{};
    Health health{};
    Reads reads{};
    Failover failover{};

    friend bool operator==(const Cluster&, const Cluster&) = default;
};

}  // namespace pgweir::config

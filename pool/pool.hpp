// One pool: the servers of one (database entry, user) pair, shared by all workers. An entry of a
// cluster has one for whichever node is the primary, and one more for each node that serves reads.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

#include "config/config.hpp"
#include "pool/aim.hpp"
#include "pool/ledger.hpp"
#include "pool/lock.hpp"
#include "pool/server.hpp"
#include "pool/server_login.hpp"
#include "pool/stats.hpp"
#include "pool/worker.hpp"
#include "protocol/startup.hpp"

namespace pgweir::pool {

class Registry;

/// What a pool goes by, as of the last (re)load. Immutable.
struct PoolSettings {
    config::Database database;
    config::PoolLimits limits;
    std::string reset_query;                   // empty: none on give-back
    std::optional<std::string> check_query{};  // none: servers are not checked
    std::int64_t check_delay_us = 0, login_retry_us = 0;
    std::string unix_socket_dir;
    bool round_robin = false;
    std::vector<std::string> tracked;  // variables that follow a client, lower case
    // Of a cluster: how long a request waits for a node, and how many may.
    std::int64_t hold_us = 0;
    int held_max = 0;

    /// Somebody else knows where its servers are (see Aim).
    bool of_cluster() const { return !database.cluster.empty(); }
};

std::shared_ptr<const PoolSettings> make_pool_settings(const config::Config& config,
                                                       const config::Database& database,
                                                       const std::string& user);

/// The variables that follow a client from server to server, whatever session_state says.
std::vector<std::string> tracked_parameters(const config::Settings& settings);

/// How many connections something has, against how many it may have; shared by several pools.
struct Quota {
    std::atomic<int> used = 0;

    /// One more, unless that would be above `max` (0 = no limit).
    bool acquire(int max);
    void release() { used.fetch_sub(1, std::memory_order_relaxed); }
};

/// Both sides' quotas of a database entry or of a user.
struct Totals {
    Quota servers, clients;
};

/// Resource; lives in the registry, longer than its servers and clients. Thread-safe; the calls
/// that take a worker, peer or server are made on that one's thread. One mutex, never held across a
/// call out.
class Pool {
public:
    /// Whose it is: the entry's name, the user at the server, and in a cluster the node ("" = the
    /// primary, whichever it is).
    struct Key {
        std::string database, user, node;

        friend auto operator<=>(const Key&, const Key&) = default;
    };
    Pool(Registry& registry, Key key, std::shared_ptr<const PoolSettings> settings,
         Totals& database_totals, Totals& user_totals);

    /// For the process's own errands: in no SHOW, and its servers come and go without a line in the
    /// log. Set before it has any.
    bool internal = false;

    const std::string& database() const { return key_.database; }
    const std::string& user() const { return key_.user; }
    const std::string& node() const { return key_.node; }
    /// As this worker knows them.
    const PoolSettings& settings(const Worker& worker) const { return *settings_[worker.index]; }
    PoolStats& stats(const Worker& worker) { return stats_[worker.index]; }
    PoolTotals totals() const;
    Totals& database_totals() { return database_totals_; }
    Totals& user_totals() { return user_totals_; }

    /// A server for `peer` at once, or nullptr: then it waits for granted() or refused().
    Server* checkout(Worker& worker, Peer& peer);
    void stop_waiting(Peer& peer);
    /// Would one more have a server without taking turns with others? Pessimistic where pools share
    /// a limit.
    bool has_room() const;
    /// Servers that clients were given at log-in and have not used: they are theirs as long as
    /// nobody waits.
    std::atomic<int> unasked = 0;
    /// The holder is done with it. A server that is not clean is closed.
    void give_back(Server& server);
    /// Opens one for `peer` alone, beyond the pool's size and on no shelf: for what serves many
    /// clients, or is one's own. granted() or lost() follows, perhaps within the call. Its id.
    std::uint32_t open_apart(Worker& worker, Peer& peer);
    /// Counts one of those in the pool's size and in the limits that are shared with other pools.
    /// False when they are against it; then room is being made, where it can be.
    bool count_apart(Worker& here);
    void uncount_apart(Worker& here);
    /// One that another process has handed over, which this peer holds; its connection is ours from
    /// here on. It counts, whatever the limits are.
    Server& move_in(Worker& worker, Peer& holder, const HandedServer& handed, int fd);
    /// A server (new, tidied, moved, or freed of its last cancel) has nobody: to the next waiter or
    /// the shelf.
    void shelve(Server& server);

    /// Clients that it counts.
    std::atomic<int> clients = 0;
    /// Nobody has used it for long: in no SHOW and without statistics, until somebody comes.
    bool dormant() const { return dormant_.load(std::memory_order_relaxed); }
    /// Falls asleep after `after_us` of having neither clients nor servers, and wakes up when it
    /// has any; those of clusters do not. The main thread, now and then.
    void look_for_use(std::int64_t now_us, std::int64_t after_us);
    /// Somebody is about to use it. Guarded, as the above, by the registry.
    void wake();

    // From Server.
    void opened(Server& server);
    void tidied(Server& server) { shelve(server); }
    void closed(Server& server, ServerState was, const protocol::Error& error);

    // For logging in to servers.
    /// nullopt: it is not known where the primary is.
    std::optional<config::Endpoint> next_endpoint();
    ServerCredentials credentials() const;
    void set_credentials(ServerCredentials credentials);
    /// To what `change` makes of them; others that would change them wait.
    void change_credentials(const std::function<ServerCredentials(ServerCredentials)>& change);
    /// From here on they are the other pool's.
    void share_credentials(const Pool& other) { credentials_of_ = &other; }
    std::string server_database() const;
    std::string cluster() const;
    config::Database entry() const;
    std::map<std::string, std::string> startup_parameters() const;
    std::string connect_query() const;
    bool tracks(std::string_view variable) const;
    /// The newest protocol that its servers are asked for: 3.2, until one took 3.0 only.
    std::atomic<std::uint32_t> server_protocol = protocol::protocol_3_2;

    /// What a client is told at log-in: the parameters of the pool's servers; nullptr until one is
    /// known.
    using Welcome = std::shared_ptr<const protocol::VarSet::Entries>;
    Welcome welcome() const;
    void learn_welcome(const protocol::VarSet::Entries& parameters);
    /// What servers make of start-up parameters: the values as they spell them, without what they
    /// ignore; nullptr: none has been asked yet. Refusals are not kept: a GRANT may undo them.
    protocol::Vars known_startup(const protocol::Vars& asked) const;
    void learn_startup(const protocol::Vars& asked, protocol::Vars made);

    // A pool of a cluster, in aim.cpp.
    /// From here on its servers go there. The main thread.
    void aim(const Aim& aim);
    /// There is no node for it.
    bool held() const;
    /// How many of its servers on this worker have a request or a transaction under way.
    static int busy(const std::set<const Pool*>& pools, const Worker& worker);
    /// Closes those servers on this worker that somebody has: who keeps one across transactions
    /// loses it.
    static void take_back(const std::set<const Pool*>& pools, Worker& worker);

    // Administration; any thread.
    void pause();
    void resume();
    bool paused() const;
    /// Closes every server as soon as it is free; what has failed is tried again at once.
    void reconnect();
    /// Goes up with every reconnect(): servers of an older one are obsolete, wherever they are.
    std::uint32_t epoch() const { return epoch_.load(std::memory_order_acquire); }
    void apply(std::shared_ptr<const PoolSettings> settings);
    /// Its entry is gone: servers are closed and none is kept for later.
    void retire();
    struct Counts {
        int total, idle, in_use, opening, waiting;
        std::int64_t oldest_wait_us;  // 0 = nobody waits
    };
    Counts counts(std::int64_t now_us) const;

    /// Chores of one worker: waiters and servers whose time is up, minimum size, retries. Every 100
    /// ms.
    void tick(Worker& worker);
    /// Opens what is wanted and allowed.
    void open_wanted(Worker& here);
    /// Closes the longest idle server to make room under a shared limit. False when there is none.
    bool evict(Worker& here);

private:
    /// A connection that is to be made: on which worker, with which start-up parameters.
    struct Opening {
        unsigned worker;
        protocol::Vars startup;
    };
    Server* try_checkout(Worker& worker, Peer& peer);
    std::optional<Opening> begin_opening(Worker& here, bool for_min_size);
    void open_on(Opening opening, Worker& here);
    void move(Server& server, unsigned to);
    void fetch(unsigned from, std::uint32_t server, unsigned to);
    void tell_trouble(const Server& server, const protocol::Error& error);
    void sever_obsolete(Worker& worker);
    void doubt_servers(Worker& worker, bool doubted);
    void arrived(Server& server);
    void serve_waiting(Worker& worker);
    void refuse_held(Worker& worker);
    void next_host(const Server& failed);
    bool seeks_host() const;
    static protocol::Error node_lost();
    static protocol::Error node_silent(std::int64_t waited_us);
    static protocol::Error no_node(std::int64_t waited_us);
    void refuse_expired(Worker& worker);
    void refuse_all(const protocol::Error& error);
    void refuse_all(const protocol::Vars& startup, const protocol::Error& error);
    void refuse(Worker& worker, std::int64_t since_us, const protocol::Error& error,
                const protocol::Vars& startup = nullptr);
    void close_expired(Worker& worker);
    bool expired(const Server& server, std::int64_t now_us) const;
    void set_ledger_limits();

    Registry& registry_;
    const Key key_;
    Totals& database_totals_;
    Totals& user_totals_;
    std::vector<std::shared_ptr<const PoolSettings>> settings_;  // by worker, each its own thread's
    std::deque<PoolStats> stats_;                                // by worker
    std::atomic<const Pool*> credentials_of_ = nullptr;          // nullptr: they are its own
    std::atomic<bool> dormant_ = false;
    std::int64_t unused_since_us_ = 0;  // 0: it is in use
    std::atomic<std::uint32_t> epoch_ = 0;

    mutable Lock mutex_;  // guards what follows
    std::shared_ptr<const PoolSettings> current_;
    Ledger ledger_;
    ServerCredentials credentials_;
    Welcome welcome_;
    std::unordered_map<protocol::Vars, protocol::Vars> startups_;  // asked for, made of it
    unsigned next_host_ = 0;
    int failures_ = 0;  // connection attempts in a row
    std::int64_t retry_at_us_ = 0;
    std::int64_t last_lifetime_close_us_ = 0;
    Aim aim_;
    std::optional<config::Endpoint> last_at_;  // where the servers go that are not obsolete
    std::uint32_t incarnation_ = 0;            // … and of what its node was then
    std::int64_t held_since_us_ = 0;
};

}  // namespace pgweir::pool

// The whole running program: workers, pools, listeners, signals, reload and the way out.
#pragma once

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "config/load.hpp"
#include "health/topology.hpp"
#include "pool/registry.hpp"
#include "protocol/startup.hpp"
#include "proxy/auth_shared.hpp"
#include "proxy/cancel_keys.hpp"
#include "proxy/client.hpp"
#include "proxy/http/certificates.hpp"
#include "proxy/listener.hpp"
#include "proxy/memory_watch.hpp"
#include "proxy/monitor.hpp"
#include "proxy/notify.hpp"
#include "proxy/options.hpp"
#include "proxy/peers.hpp"
#include "proxy/session.hpp"
#include "proxy/shard.hpp"
#include "proxy/stats_history.hpp"
#include "proxy/takeover.hpp"

namespace pgweir::proxy::admin {
struct ProcessState;
}

namespace pgweir::proxy::http {
class Site;
}

namespace pgweir::proxy {

/// Who somebody is on the console.
enum class ConsoleRole : std::uint8_t { none, stats, admin };

/// How the process is to end.
enum class Shutdown : std::uint8_t { none, wait_for_servers, wait_for_clients, now };

/// Resource; one. The first shard's thread is the main one: it accepts, handles signals and runs
/// chores.
class Process {
public:
    Process(const Options& options, config::ConfigPtr config, pool::TlsContextsPtr tls);
    ~Process();

    /// Serves until told to stop; every connection has ended when it returns. The exit code. `up`
    /// is called once it serves.
    int run(const std::function<void()>& up);

    config::ConfigPtr config() const { return main().worker.config; }
    pool::Registry& registry() { return *registry_; }
    CancelKeys& cancel_keys() { return cancel_keys_; }
    AuthShared& auth_shared() { return auth_shared_; }
    /// What the functions of this entry's database do. Any thread.
    FunctionBook& function_book(const std::string& database);
    /// All books look at the databases anew.
    void forget_functions();
    Hubs& hubs() { return hubs_; }
    Catalogs& catalogs() { return catalogs_; }
    /// From the start of the threads to their end.
    Monitor& monitor() { return *monitor_; }
    StatsHistory& stats_history() { return stats_history_; }
    const std::vector<std::unique_ptr<Shard>>& shards() const { return shards_; }
    Shard& main() const { return *shards_.front(); }
    /// What SHOW STATS adds up, the console's own included. Any thread.
    StatsHistory::ByDatabase counters() const;

    // From clients; any shard's thread.
    /// The entry for this name, from "*" where there is no other. `config` must outlive nothing: a
    /// copy.
    std::optional<config::Database> database(const config::Config& config,
                                             const std::string& name) const;
    bool disabled(const std::string& database) const;
    bool is_console(const std::string& database) const;
    ConsoleRole console_role(const Client& client) const;
    /// A Unix-socket client of our own uid, as user pgbouncer on the console: it needs no password.
    bool is_owner(const Client& client) const;
    /// Counts a client in; the reason when a limit is against it.
    const char* client_came(Client& client);
    /// The same for the console, which no limit on clients keeps an administrator from.
    const char* console_came(Client& client, ConsoleRole role);
    /// Counts in who was counted by another process: no limit keeps it out.
    void client_moved_in(Client& client);
    void client_left(Client& client);
    /// A connection of any kind has ended.
    void client_gone();
    /// A successor serves: clients go there as soon as they can.
    bool hands_over() const { return hands_over_.load(std::memory_order_relaxed); }
    /// … and understands what it is told of them.
    bool moves_clients() const { return moves_clients_.load(std::memory_order_relaxed); }
    void hand_over(Client& client);
    /// Clients have gone there for whom it does not listen yet. Any thread.
    void count_departed(int change) { departed_.fetch_add(change, std::memory_order_relaxed); }
    /// What is heard for one of them.
    void tell_departed(const HandedNotification& heard);
    /// This client, which has gone, is heard for where it is.
    void departed_is_heard(Shard& shard, std::uint32_t client, bool missed);
    /// `hold` is let go when the request is through, or there is nothing to cancel.
    void cancel(const protocol::CancelRequest& request, pool::CancelHold hold);
    /// Expires when the loops are about to end: from then on nothing is to be posted to them.
    std::weak_ptr<void> loops_live() const { return loops_live_; }
    /// Somebody waits for a server of this pool: those that nobody uses are asked for.
    void reclaim(pool::Pool& pool);
    /// When the newest write was answered that any client of a cluster has made.
    std::int64_t last_write_us() const { return last_write_us_.load(std::memory_order_relaxed); }
    /// Before it is answered.
    void note_write(std::int64_t now_us) {
        std::int64_t last_us = last_write_us_.load(std::memory_order_relaxed);
        while (last_us < now_us && !last_write_us_.compare_exchange_weak(last_us, now_us)) {
        }
    }
    /// The main thread.
    admin::ProcessState state() const;
    int clients() const { return clients_.load(std::memory_order_relaxed); }
    std::atomic<int> logins = 0;  // of all shards: connections that have not proved who they are

    // Administration; the main thread.
    void accepted(int fd, net::Address address);
    /// False, and the log says why, when the files are bad: then nothing has changed.
    bool reload();
    /// What SET makes of the present one. TLS settings that do not go together, or name bad files,
    /// are not an error yet: the log says so, and they wait for the next SET to make them good.
    void set(config::ConfigPtr config);
    /// What SET starts from: the present one, with the TLS settings that wait.
    config::Config settable() const;
    const Peers& peers() const { return *peers_; }
    const Listeners& listeners() const { return listeners_; }
    void pause(const std::string& database);   // "" = all
    bool resume(const std::string& database);  // false: it was not paused
    bool paused() const { return paused_; }
    /// Nothing is accepted and nothing read any more, but for the console; resume({}) undoes it.
    void suspend();
    bool suspended() const { return suspended_; }
    /// How many connections have something left to be sent; those are closed if `close` says so.
    /// `done` is called on the main thread.
    void count_unsent(bool close, std::function<void(int)> done);
    /// A console has begun or ended. Any thread.
    void count_consoles(int change) { consoles_.fetch_add(change, std::memory_order_relaxed); }
    void reconnect(const std::string& database);
    void kill(const std::string& database);
    void set_disabled(const std::string& database, bool disabled);
    bool is_disabled(const std::string& database) const { return disabled(database); }
    void shut_down(Shutdown how);
    Shutdown shutting_down() const { return shutdown_; }
    /// No server of these pools is lent: a PAUSE is complete. "" = all.
    bool servers_free(const std::string& database) const;
    /// A cluster is not as it was: every shard gets the new topology. From the monitor.
    void topology_changed(health::TopologyPtr topology);
    /// Runs `visit` on every shard's thread, then `done` on the main one.
    void visit_shards(std::function<void(Shard&)> visit, std::function<void()> done);

private:
    class Signals;
    class Ticker;

    void start_threads();
    void stop_threads();
    bool listen();
    // /metrics and the status page, in process_http.cpp.
    bool open_http(std::vector<int>& inherited);
    void serve_http();
    bool move_http(const std::string& address);
    // Online restart, in process_takeover.cpp: what the predecessor has, and what the successor
    // gets.
    std::vector<int> inherit_listeners();
    void inherit_clients();
    void open_door();
    void let_in(std::unique_ptr<TakeoverLink> successor);
    void begin_hand_over(bool moves_clients);
    void successor_gone();
    void predecessor_gone();
    void receive(TakeoverLink::Message message);
    void move_in(const TakeoverLink::Message& message);
    void hear(const TakeoverLink::Message& message);
    void forget_departed(Shard& shard);
    Shard& least_loaded();
    void handle_signal(int signal);
    bool load_again();
    void tick(Shard& shard);
    void tell_watchdog(std::int64_t now_us);
    void look_after(Shard& shard);
    void log_stats() const;
    void check_exit();
    void freeze(bool frozen);
    void close_all_clients(const std::string& database, const protocol::Error& error);
    void apply(config::ConfigPtr config, pool::TlsContextsPtr tls);
    void set_shared(const config::Config& config);
    void look_at_addresses(Shard& shard);
    void configure_log(const config::Config& config);
    std::vector<pool::Pool*> pools_of(const std::string& database) const;

    Options options_;
    pool::Shared shared_{traits_of};
    CancelKeys cancel_keys_;
    std::map<std::string, FunctionBook> function_books_;  // a map's nodes do not move
    std::int64_t forget_functions_us_ = 0;                // when they are to be asked for anew
    StatsHistory stats_history_;
    std::unique_ptr<pool::Registry>
        registry_;      // before the shards: servers refer to it until they end
    Hubs hubs_{*this};  // likewise: work posted to the shards' loops refers to them
    Catalogs catalogs_{*this};
    std::map<std::string, std::uint64_t> systems_;  // by cluster: of the last primary
    std::vector<std::unique_ptr<Shard>> shards_;
    std::vector<std::unique_ptr<Ticker>> tickers_;
    std::vector<std::thread> threads_;
    AuthShared auth_shared_;
    MemoryWatch memory_{*this};
    std::unique_ptr<Peers> peers_;
    std::unique_ptr<Monitor> monitor_;
    std::unique_ptr<Signals> signals_;
    std::shared_ptr<void> loops_live_ = std::make_shared<char>();
    Listeners listeners_;
    int http_socket_ = -1;      // until somebody serves it
    std::string http_address_;  // as the configuration has it
    std::unique_ptr<http::Site> http_;
    std::mutex following_mutex_;                  // guards following_
    std::map<CancelKeys::Id, Shard*> following_;  // where clients are that it still listens for
    std::unique_ptr<TakeoverDoor> door_;
    std::unique_ptr<TakeoverLink> predecessor_, successor_;
    std::atomic<bool> hands_over_ = false, moves_clients_ = false;
    std::atomic<int> departed_ = 0;  // clients in the shards' tables
    std::atomic<std::int64_t> last_write_us_ = 0;
    std::atomic<int> clients_ = 0;      // logged in to a database
    std::atomic<int> connections_ = 0;  // of any kind
    mutable std::mutex mutex_;          // guards disabled_, function_books_
    std::set<std::string> disabled_;
    std::optional<std::pair<config::Tls, config::Tls>> waiting_tls_;  // of clients, of servers
    bool paused_ = false;
    std::atomic<bool> suspended_ = false;  // written by the main thread
    std::atomic<int> consoles_ = 0;
    std::atomic<Shutdown> shutdown_ = Shutdown::none;  // written by the main thread
    // How often the configuration was read anew, and how that went. Wall clock in µs.
    std::int64_t started_us_, loaded_us_;
    std::uint64_t reloads_ = 0, failed_reloads_ = 0;
    bool reload_failed_ = false;
    std::vector<http::CertificateEnd> certificates_;  // of the configuration
    std::int64_t next_stats_us_ = 0;
    std::int64_t next_alive_us_ = 0;  // when systemd's watchdog is told
    std::int64_t next_look_us_ = 0;   // when pools without use are looked for
};

}  // namespace pgweir::proxy

// All pools of the process, and what they have in common.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "pool/pool.hpp"
#include "pool/worker.hpp"

namespace pgweir::pool {

/// Resource; one a process. Thread-safe.
class Registry {
public:
    explicit Registry(std::vector<Worker*> workers) : workers_(std::move(workers)) {}

    const std::vector<Worker*>& workers() const { return workers_; }

    /// The pool of this entry and user, made when it is not there yet. `user` is who the servers
    /// are for: the forced user where the entry has one.
    Pool& pool(const config::Config& config, const config::Database& database,
               const std::string& user);
    /// In a cluster: the pool for reads from this node, with the credentials of the `primary`'s.
    Pool& read_pool(const config::Config& config, Pool& primary, const config::Endpoint& node);
    /// Every pool but the dormant ones. Pools are never taken away while the process runs.
    std::vector<Pool*> pools() const;

    /// Where the nodes of a cluster are from here on; those of its pools that are made later go
    /// there too. The main thread.
    void aim(const std::string& cluster, Aims aims);

    /// Expires when the workers' loops end: what is posted to them is let go from then on. Empty:
    /// they do not end before us.
    std::optional<std::weak_ptr<void>> loops_live;
    static bool ended(const std::optional<std::weak_ptr<void>>& live) {
        return live && live->expired();
    }

    /// Called when a connection to a node of a cluster failed, or broke. Set before there is any;
    /// any thread calls it.
    std::function<void(const std::string& cluster, const config::Endpoint& node)> on_trouble;

    /// Pools that nobody has used for long fall asleep: after autodb_idle_timeout those of entries
    /// made of "*", after pool_idle_timeout all. The main thread, now and then.
    void look_for_use(const config::Config& config, std::int64_t now_us);

    /// Names of the entries that have a pool.
    std::vector<std::string> databases() const;

    /// Pools of this entry ("" = all), present and future, grant nothing until resumed.
    void pause(const std::string& database);
    /// False when it was not paused. "" undoes pause("") only: a database paused by name stays so.
    bool resume(const std::string& database);
    bool paused(const std::string& database) const;
    /// Paused by its own name, whatever holds for all.
    bool paused_by_name(const std::string& database) const;

    Totals& database_totals(const std::string& database);
    Totals& user_totals(const std::string& user);

    /// A new configuration, the first one too: pools take their limits, changed entries have their
    /// servers replaced. Entries with a forced user and a min_pool_size get their pool without any
    /// client, as in PgBouncer.
    void apply(const config::ConfigPtr& config);

    /// A shared limit (per database or user) stands in the way of `wanting`: closes an idle server
    /// of a pool that shares it. False when there is none.
    bool make_room(Pool& wanting, Worker& here);
    /// A connection under a shared limit is gone: pools that wait for that may go on.
    void room_made(Worker& here);
    void note_starved() { starved_.store(true, std::memory_order_relaxed); }

private:
    std::vector<Pool*> all_pools() const;
    bool in_use(const std::string& database) const;
    std::optional<Aim> aim_for(const config::Database& entry, const std::string& node) const;
    Pool& find_or_make(const config::Config& config, const config::Database& database,
                       Pool::Key key);

    const std::vector<Worker*> workers_;
    mutable std::mutex mutex_;
    std::map<Pool::Key, std::unique_ptr<Pool>> pools_;
    std::map<std::string, Aims> aims_;                             // by cluster
    std::map<std::string, Totals> database_totals_, user_totals_;  // a map's nodes do not move
    bool all_paused_ = false;
    std::set<std::string> paused_;
    std::atomic<bool> starved_ = false;
};

}  // namespace pgweir::pool

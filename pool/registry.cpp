#include "pool/registry.hpp"

#include "pool/net/log.hpp"

namespace pgweir::pool {

namespace {

/// A forced user's secret stands in the configuration, whoever the clients are.
void know_forced_user(Pool& pool, const config::Config& config, const config::Database& entry) {
    if (entry.user != pool.user()) return;
    pool.change_credentials([&](ServerCredentials credentials) {
        credentials.user = pool.user();
        const config::Credential* const known = config.credential(pool.user());
        if (entry.password) {
            credentials.secret = *entry.password;
        } else if (known) {
            credentials.secret = known->secret;
            credentials.listed = true;
        }
        return credentials;
    });
}

/// What the password file has said of its user is what it says now.
void know_listed_user(Pool& pool, const config::Config& config) {
    pool.change_credentials([&](ServerCredentials credentials) {
        if (!credentials.listed) return credentials;
        const config::Credential* const known = config.credential(credentials.user);
        credentials.listed = known != nullptr;
        credentials.secret = known ? known->secret : protocol::Secret();
        return credentials;
    });
}

}  // namespace

Pool& Registry::pool(const config::Config& config, const config::Database& database,
                     const std::string& user) {
    const std::lock_guard lock(mutex_);
    return find_or_make(config, database, {database.name, user, {}});
}

Pool& Registry::read_pool(const config::Config& config, Pool& primary,
                          const config::Endpoint& node) {
    const auto entry = config.entry_for(primary.database());
    const std::lock_guard lock(mutex_);
    Pool& pool = find_or_make(config, entry.value_or(primary.entry()),
                              {primary.database(), primary.user(), node_name(node)});
    pool.share_credentials(primary);
    return pool;
}

Pool& Registry::find_or_make(const config::Config& config, const config::Database& database,
                             Pool::Key key) {
    std::unique_ptr<Pool>& place = pools_[key];
    if ((!place || place->dormant()) && !config.databases.contains(database.name) &&
        !in_use(database.name)) {
        net::log::print(net::log::Level::log, {}, "registered new auto-database: db={}",
                        database.name);
    }
    if (place) place->wake();
    if (!place) {
        const std::string user = key.user, node = key.node;
        place = std::make_unique<Pool>(*this, std::move(key),
                                       make_pool_settings(config, database, user),
                                       database_totals_[database.name], user_totals_[user]);
        know_forced_user(*place, config, database);
        if (const auto aims = aims_.find(database.cluster); aims != aims_.end())
            place->aim(aims->second.of(node));
        if (all_paused_ || paused_.contains(database.name)) place->pause();
    }
    return *place;
}

/// Somebody uses a pool of this entry, or did a while ago.
bool Registry::in_use(const std::string& database) const {
    for (auto at = pools_.lower_bound({database, {}, {}});
         at != pools_.end() && at->first.database == database; ++at) {
        if (at->second && !at->second->dormant()) return true;
    }
    return false;
}

void Registry::look_for_use(const config::Config& config, std::int64_t now_us) {
    const std::int64_t any_us = config.settings.pool_idle_timeout.count();
    const std::int64_t auto_us = config.settings.autodb_idle_timeout.count();
    const std::lock_guard lock(mutex_);
    for (const auto& [key, pool] : pools_) {
        const bool automatic = !config.databases.contains(key.database);
        const bool earlier = automatic && auto_us > 0 && (any_us == 0 || auto_us < any_us);
        pool->look_for_use(now_us, earlier ? auto_us : any_us);
    }
}

std::vector<Pool*> Registry::pools() const {
    std::vector<Pool*> awake = all_pools();
    std::erase_if(awake, [](const Pool* pool) { return pool->dormant(); });
    return awake;
}

std::vector<Pool*> Registry::all_pools() const {
    const std::lock_guard lock(mutex_);
    std::vector<Pool*> all;
    all.reserve(pools_.size());
    for (const auto& [key, pool] : pools_) all.push_back(pool.get());
    return all;
}

std::vector<std::string> Registry::databases() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [key, pool] : pools_) {
        if (pool->dormant()) continue;
        if (names.empty() || names.back() != key.database) names.push_back(key.database);
    }
    return names;
}

void Registry::pause(const std::string& database) {
    {
        const std::lock_guard lock(mutex_);
        if (database.empty()) {
            all_paused_ = true;
        } else {
            paused_.insert(database);
        }
    }
    for (Pool* const pool : all_pools()) {
        if (database.empty() || pool->database() == database) pool->pause();
    }
}

bool Registry::resume(const std::string& database) {
    bool was;
    {
        const std::lock_guard lock(mutex_);
        if (database.empty()) {
            was = std::exchange(all_paused_, false);
        } else {
            was = paused_.erase(database) > 0;
        }
    }
    for (Pool* const pool : all_pools()) {
        const bool meant = database.empty() || pool->database() == database;
        if (meant && !paused(pool->database())) pool->resume();
    }
    return was;
}

bool Registry::paused(const std::string& database) const {
    const std::lock_guard lock(mutex_);
    return all_paused_ || paused_.contains(database);
}

bool Registry::paused_by_name(const std::string& database) const {
    const std::lock_guard lock(mutex_);
    return paused_.contains(database);
}

std::optional<Aim> Registry::aim_for(const config::Database& entry, const std::string& node) const {
    const std::lock_guard lock(mutex_);
    const auto aims = aims_.find(entry.cluster);
    return aims == aims_.end() ? std::nullopt : std::optional(aims->second.of(node));
}

void Registry::aim(const std::string& cluster, Aims aims) {
    std::vector<std::pair<Pool*, Aim>> changes;
    {
        const std::lock_guard lock(mutex_);
        Aims& known = aims_[cluster];
        known = std::move(aims);
        for (const auto& [key, pool] : pools_) {
            if (pool->cluster() == cluster) changes.emplace_back(pool.get(), known.of(key.node));
        }
    }
    for (const auto& [pool, aim] : changes) pool->aim(aim);
}

Totals& Registry::database_totals(const std::string& database) {
    const std::lock_guard lock(mutex_);
    return database_totals_[database];
}

Totals& Registry::user_totals(const std::string& user) {
    const std::lock_guard lock(mutex_);
    return user_totals_[user];
}

void Registry::apply(const config::ConfigPtr& config) {
    for (Pool* const pool : all_pools()) {
        const auto entry = config->entry_for(pool->database());
        if (entry) {
            know_forced_user(*pool, *config, *entry);
            know_listed_user(*pool, *config);
            pool->apply(make_pool_settings(*config, *entry, pool->user()));
            if (const auto aim = aim_for(*entry, pool->node())) pool->aim(*aim);
        } else {
            pool->retire();
        }
    }
    for (const auto& [name, entry] : config->databases) {
        if (name == "*" || !entry.user) continue;
        const config::User* const user = config->user(*entry.user);
        if (config::limits_of(*config, entry, user).min_size > 0) pool(*config, entry, *entry.user);
    }
}

bool Registry::make_room(Pool& wanting, Worker& here) {
    for (Pool* const pool : pools()) {
        if (pool == &wanting) continue;
        if (pool->database() != wanting.database() && pool->user() != wanting.user()) continue;
        if (pool->evict(here)) return true;
    }
    note_starved();
    return false;
}

void Registry::room_made(Worker& here) {
    if (!starved_.exchange(false, std::memory_order_relaxed)) return;
    for (Pool* const pool : pools()) pool->open_wanted(here);
}

}  // namespace pgweir::pool

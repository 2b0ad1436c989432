#include "proxy/catalogs.hpp"

#include "proxy/catalog_keeper.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

Catalogs::Catalogs(Process& process) : process_(process) {}

Catalogs::~Catalogs() = default;

std::shared_ptr<std::atomic<std::uint64_t>> Catalogs::want(const CatalogKey& key) {
    std::shared_ptr<std::atomic<std::uint64_t>> changes;
    {
        const std::lock_guard lock(mutex_);
        auto& known = changes_[key];
        if (known) return known;
        known = std::make_shared<std::atomic<std::uint64_t>>(0);
        changes = known;
    }
    process_.main().worker.loop.post([this, key, changes, alive = process_.loops_live()] {
        if (!alive.expired()) make_keeper(key, changes);
    });
    return changes;
}

void Catalogs::make_keeper(const CatalogKey& key,
                           std::shared_ptr<std::atomic<std::uint64_t>> changes) {
    keepers_[key] =
        std::make_unique<CatalogKeeper>(process_, key, std::move(changes), aims_[key.first]);
}

void Catalogs::changed(const CatalogKey& key) {
    {
        const std::lock_guard lock(mutex_);
        const auto found = changes_.find(key);
        if (found == changes_.end()) return;
        found->second->fetch_add(1, std::memory_order_relaxed);
    }
    process_.main().worker.loop.post([this, key, alive = process_.loops_live()] {
        if (alive.expired()) return;
        if (const auto found = keepers_.find(key); found != keepers_.end())
            found->second->look_now();
    });
}

void Catalogs::aim(const std::string& cluster, const pool::Aim& primary) {
    pool::Aim& known = aims_[cluster];
    if (known == primary) return;
    known = primary;
    for (const auto& [key, keeper] : keepers_) {
        if (key.first != cluster) continue;
        keeper->aim(primary);
        keeper->look_now();
    }
}

void Catalogs::renew(const std::string& cluster) {
    for (const auto& [key, keeper] : keepers_) {
        if (key.first == cluster) keeper->read_anew();
    }
}

void Catalogs::apply(const config::Config& config) {
    for (const auto& [key, keeper] : keepers_) keeper->read_anew();
    for (const auto& [name, entry] : config.databases) {
        const config::Cluster* const cluster = config.cluster(entry.cluster);
        if (cluster && cluster->reads.split && !entry.dbname.empty())
            want({cluster->name, entry.dbname});
    }
}

void Catalogs::stop() { keepers_.clear(); }

}  // namespace pgweir::proxy

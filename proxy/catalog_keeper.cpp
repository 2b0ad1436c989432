#include "proxy/catalog_keeper.hpp"

#include <fmt/format.h>

#include "pool/net/log.hpp"
#include "proxy/catalog_reader.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

namespace {

/// The account that probes; an empty one when the cluster has gone from the configuration.
config::Health account_of(const config::Config& config, const CatalogKey& key) {
    const config::Cluster* const cluster = config.cluster(key.first);
    return cluster ? cluster->health : config::Health{.user = {}};
}

std::shared_ptr<const pool::PoolSettings> settings_for(const config::Config& config,
                                                       const CatalogKey& key) {
    config::Database entry;
    entry.name = entry.dbname = key.second;
    entry.cluster = key.first;
    entry.pool_size = 1;
    entry.pool_mode = config::PoolMode::transaction;
    entry.startup_parameters = {{"application_name", "pgweir catalog"}};
    entry.user = account_of(config, key).user;
    return pool::make_pool_settings(config, entry, *entry.user);
}

pool::ServerCredentials credentials_for(const config::Config& config, const CatalogKey& key) {
    const config::Health account = account_of(config, key);
    return {.user = account.user, .secret = account.password, .client_key = {}, .server_key = {}};
}

}  // namespace

CatalogKeeper::CatalogKeeper(Process& process, CatalogKey key,
                             std::shared_ptr<std::atomic<std::uint64_t>> changes,
                             const pool::Aim& aim)
    : net::Timer(process.main().worker.loop),
      process_(process),
      key_(std::move(key)),
      changes_(std::move(changes)),
      pool_(process.registry(), {key_.second, account_of(*process.config(), key_).user, {}},
            settings_for(*process.config(), key_), totals_, totals_) {
    pool_.internal = true;
    pool_.set_credentials(credentials_for(*process.config(), key_));
    pool_.aim(aim);
    look_now();
    expire_in(tick_us);
}

CatalogKeeper::~CatalogKeeper() {
    story_.cancel();
    auto& servers = process_.main().worker.servers;
    std::vector<std::uint32_t> own;
    for (const auto& [id, server] : servers) {
        if (&server->pool() == &pool_) own.push_back(id);
    }
    for (const std::uint32_t id : own) {
        if (const auto found = servers.find(id); found != servers.end())
            found->second->close("the catalog is not wanted any more");
    }
}

void CatalogKeeper::look_now() {
    if (story_.running()) {
        again_ = true;
        return;
    }
    story_.start(process_.main().worker.loop, look());
}

void CatalogKeeper::read_anew() {
    pool_.set_credentials(credentials_for(*process_.config(), key_));
    pool_.apply(settings_for(*process_.config(), key_));
    forget_ = true;
    look_now();
}

void CatalogKeeper::expired() {
    pool::Worker& here = process_.main().worker;
    pool_.tick(here);
    if (!story_.running() && here.loop.now_us() >= look_at_us_) look_now();
    expire_in(tick_us);
}

net::Task<void> CatalogKeeper::look() {
    bool good = true;
    do {
        again_ = false;
        good = co_await read();
    } while (again_ && good);
    look_at_us_ = process_.main().worker.loop.now_us() + look_every_us;
}

/// Nothing is read when what is known holds. False: that could not be found out.
net::Task<bool> CatalogKeeper::read() {
    pool::Worker& here = process_.main().worker;
    const std::uint64_t as_of = changes_->load(std::memory_order_relaxed);
    const bool anew = std::exchange(forget_, false);  // a RELOAD meanwhile asks for it again
    CatalogReader reader(here, pool_);
    if (catalog_ && !anew && as_of == as_of_) {
        const protocol::Result<std::string> version = co_await reader.poll();
        if (version.has_error()) {
            complain(version.error());
            co_return false;
        }
        if (*version == catalog_->version()) co_return true;
    }
    router::CatalogLists lists;
    if (const config::Cluster* const cluster = process_.config()->cluster(key_.first)) {
        lists.replica_safe_functions = cluster->reads.replica_safe_functions;
        lists.primary_functions = cluster->reads.primary_functions;
        lists.foreign_tables = cluster->reads.foreign_tables;
    }
    const protocol::Result<router::CatalogPtr> catalog = co_await reader.load(std::move(lists));
    if (catalog.has_error()) {
        forget_ |= anew;
        complain(catalog.error());
        co_return false;
    }
    complained_ = false;
    publish(*catalog, as_of);
    co_return true;
}

void CatalogKeeper::publish(router::CatalogPtr catalog, std::uint64_t as_of) {
    if (!catalog_) {
        net::log::print(net::log::Level::log, {}, "cluster {}: database {}: its catalog is known",
                        key_.first, key_.second);
    }
    catalog_ = std::move(catalog);
    as_of_ = as_of;
    for (const auto& shard : process_.shards()) {
        shard->worker.loop.post([here = shard.get(), key = key_, known = catalog_, as_of] {
            KnownCatalog& place = here->catalog(key);
            place.catalog = known;
            place.as_of = as_of;
        });
    }
}

void CatalogKeeper::complain(const protocol::Error& error) {
    if (std::exchange(complained_, true)) return;
    net::log::print(net::log::Level::warning, {},
                    "cluster {}: database {}: its catalog cannot be read, statements that need it "
                    "go to the primary: {}",
                    key_.first, key_.second, error.message);
}

}  // namespace pgweir::proxy

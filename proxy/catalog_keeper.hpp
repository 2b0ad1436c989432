// Keeps the catalog of one database: reads it, asks now and then whether it still holds.
#pragma once

#include <memory>

#include "pool/net/task.hpp"
#include "pool/pool.hpp"
#include "proxy/catalogs.hpp"

namespace pgweir::proxy {

/// Resource; on the main thread. Has one connection to the primary, by the account that probes.
class CatalogKeeper final : private net::Timer {
public:
    CatalogKeeper(Process& process, CatalogKey key,
                  std::shared_ptr<std::atomic<std::uint64_t>> changes, const pool::Aim& aim);
    ~CatalogKeeper() override;

    void aim(const pool::Aim& aim) { pool_.aim(aim); }
    /// What is known may not hold.
    void look_now();
    /// By other rules, perhaps with another account.
    void read_anew();

private:
    static constexpr std::int64_t look_every_us = 1'000'000, tick_us = 100'000;

    void expired() override;
    net::Task<void> look();
    net::Task<bool> read();
    void publish(router::CatalogPtr catalog, std::uint64_t as_of);
    void complain(const protocol::Error& error);

    Process& process_;
    const CatalogKey key_;
    std::shared_ptr<std::atomic<std::uint64_t>> changes_;
    pool::Totals totals_;
    pool::Pool pool_;
    router::CatalogPtr catalog_;
    std::uint64_t as_of_ = 0;
    std::int64_t look_at_us_ = 0;
    bool again_ = false;       // what was asked for while a look was under way
    bool forget_ = false;      // the one that there is was made by other rules
    bool complained_ = false;  // since it last worked
    net::Story story_;
};

}  // namespace pgweir::proxy

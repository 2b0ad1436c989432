#include "proxy/drain.hpp"

#include <atomic>
#include <memory>

#include <fmt/format.h>

#include "proxy/cluster_watch.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

Drain::Drain(ClusterWatch& watch) : watch_(watch), loop_(watch.process().main().worker.loop) {
    watch_.hold_writes(true);
}

Drain::~Drain() {
    if (!watch_.process().loops_live().expired()) watch_.hold_writes(false);
}

net::Task<Trouble> Drain::run(std::int64_t limit_us) {
    constexpr std::int64_t look_us = 5'000;
    for (const pool::Pool* const pool : watch_.process().registry().pools()) {
        if (pool->cluster() == watch_.config().name && pool->node().empty()) pools_.insert(pool);
    }
    const std::int64_t until_us = net::monotonic_us() + limit_us;
    while (const int busy = co_await count_busy()) {
        if (net::monotonic_us() > until_us) {
            co_return fmt::format("{} transactions are still under way after {} ms", busy,
                                  limit_us / 1000);
        }
        co_await net::Sleep(loop_, look_us);
    }
    // Who keeps a server between transactions could still write there.
    co_await take_back();
    over_us_ = net::monotonic_us();
    co_return std::nullopt;
}

net::Task<int> Drain::count_busy() {
    struct Round {
        std::atomic<int> busy = 0;
        std::atomic<bool> over = false;
    };
    const auto round = std::make_shared<Round>();
    watch_.process().visit_shards(
        [round, pools = pools_](Shard& shard) {
            round->busy.fetch_add(pool::Pool::busy(pools, shard.worker));
        },
        [round] { round->over = true; });
    while (!round->over) co_await net::Sleep(loop_, 1'000);
    co_return round->busy.load();
}

net::Task<bool> Drain::take_back() {
    const auto over = std::make_shared<std::atomic<bool>>(false);
    watch_.process().visit_shards(
        [pools = pools_](Shard& shard) { pool::Pool::take_back(pools, shard.worker); },
        [over] { *over = true; });
    while (!*over) co_await net::Sleep(loop_, 1'000);
    co_return true;
}

}  // namespace pgweir::proxy

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
    if (watch_.process().loops_live().expired()) return;
    watch_.hold_reads(false);
    watch_.hold_writes(false);
}

net::Task<Trouble> Drain::run(std::int64_t limit_us) {
    const Pools primary = pools(false);
    if (const int busy = co_await wait(primary, limit_us)) {
        co_return fmt::format("{} transactions are still under way after {} ms", busy,
                              limit_us / 1000);
    }
    // Who keeps a server between transactions could still write there.
    co_await take_back(primary);
    over_us_ = net::monotonic_us();
    co_return std::nullopt;
}

net::Task<Trouble> Drain::run_reads(std::int64_t limit_us) {
    watch_.hold_reads(true);
    co_await wait(pools(true), limit_us);
    co_return std::nullopt;
}

Drain::Pools Drain::pools(bool of_replicas) const {
    Pools found;
    for (const pool::Pool* const pool : watch_.process().registry().pools()) {
        const bool of_replica = !pool->node().empty();
        if (pool->cluster() == watch_.config().name && of_replica == of_replicas)
            found.insert(pool);
    }
    return found;
}

/// How many are still at it when the time is up.
net::Task<int> Drain::wait(Pools pools, std::int64_t limit_us) {
    constexpr std::int64_t look_us = 5'000;
    const std::int64_t until_us = net::monotonic_us() + limit_us;
    while (true) {
        const int busy = co_await count_busy(pools);
        if (busy == 0 || net::monotonic_us() > until_us) co_return busy;
        co_await net::Sleep(loop_, look_us);
    }
}

net::Task<int> Drain::count_busy(Pools pools) {
    struct Round {
        std::atomic<int> busy = 0;
        std::atomic<bool> over = false;
    };
    const auto round = std::make_shared<Round>();
    watch_.process().visit_shards(
        [round, pools](Shard& shard) {
            round->busy.fetch_add(pool::Pool::busy(pools, shard.worker));
        },
        [round] { round->over = true; });
    while (!round->over) co_await net::Sleep(loop_, 1'000);
    co_return round->busy.load();
}

net::Task<bool> Drain::take_back(Pools pools) {
    const auto over = std::make_shared<std::atomic<bool>>(false);
    watch_.process().visit_shards(
        [pools](Shard& shard) { pool::Pool::take_back(pools, shard.worker); },
        [over] { *over = true; });
    while (!*over) co_await net::Sleep(loop_, 1'000);
    co_return true;
}

}  // namespace pgweir::proxy

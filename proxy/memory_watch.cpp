#include "proxy/memory_watch.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "pool/net/log.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

using net::log::Level;

namespace {

constexpr std::int64_t recount_us = 300'000;  // by then every shard has counted again

std::int64_t held_by(const Client& client) {
    return static_cast<std::int64_t>(client.held_bytes());
}

protocol::Error too_much(std::int64_t held, std::string_view setting, std::int64_t limit) {
    return {protocol::sqlstate::out_of_memory, protocol::Origin::client,
            "this connection is closed because it takes too much memory",
            fmt::format("It takes {} bytes, and {} is {} bytes.", held, setting, limit),
            "Close prepared statements that are not needed, and read what was asked for."};
}

}  // namespace

bool MemoryWatch::count(Shard& shard) {
    const std::int64_t one_max = shard.worker.config->native.client_memory_limit;
    const std::int64_t all_max = shard.worker.config->native.memory_limit;
    if (one_max == 0 && all_max == 0) return false;
    std::int64_t all = 0, most = 0;
    std::vector<std::uint32_t> greedy;
    for (const auto& [id, client] : shard.clients) {
        const std::int64_t held = held_by(*client);
        if (one_max > 0 && held > one_max) {
            greedy.push_back(id);
            continue;
        }
        all += held;
        most = std::max(most, held);
    }
    for (const std::uint32_t id : greedy) {
        const auto found = shard.clients.find(id);
        if (found == shard.clients.end()) continue;
        const std::int64_t held = held_by(*found->second);
        close(*found->second, held, too_much(held, "workers.client_memory_limit", one_max));
    }
    shard.held_memory.all.store(all, std::memory_order_relaxed);
    shard.held_memory.most.store(most, std::memory_order_relaxed);
    // As fast as a client can make it grow, a second is long.
    return (one_max > 0 && most > one_max / 16) || (all_max > 0 && held() > all_max / 4);
}

std::int64_t MemoryWatch::held() const {
    std::int64_t sum = 0;
    for (const auto& shard : process_.shards())
        sum += shard->held_memory.all.load(std::memory_order_relaxed);
    return sum;
}

void MemoryWatch::tick(std::int64_t now_us) {
    const std::int64_t limit = process_.config()->native.memory_limit;
    if (limit == 0 || now_us < next_us_) return;
    const std::int64_t excess = held() - limit;
    if (excess <= 0) return;
    next_us_ = now_us + recount_us;
    const auto& shards = process_.shards();
    Shard& worst = **std::ranges::max_element(shards, {}, [](const auto& shard) {
        return shard->held_memory.most.load(std::memory_order_relaxed);
    });
    worst.worker.loop.post([this, &worst, excess] { shed(worst, excess); });
}

/// Those of this shard that hold most, until `excess` bytes are free.
void MemoryWatch::shed(Shard& shard, std::int64_t excess) {
    const std::int64_t limit = shard.worker.config->native.memory_limit;
    std::vector<std::pair<std::int64_t, std::uint32_t>> clients;
    for (const auto& [id, client] : shard.clients) clients.emplace_back(held_by(*client), id);
    std::ranges::sort(clients, std::greater());
    std::int64_t freed = 0;
    for (const auto& [held, id] : clients) {
        if (freed >= excess) break;
        const auto found = shard.clients.find(id);
        if (found == shard.clients.end()) continue;
        freed += held;
        close(*found->second, held, too_much(held, "workers.memory_limit", limit));
    }
}

void MemoryWatch::close(Client& client, std::int64_t held, const protocol::Error& error) {
    closed_.fetch_add(1, std::memory_order_relaxed);
    client.log(Level::warning, "closed for the memory it takes: {} bytes", held);
    client.close(error);
}

}  // namespace pgweir::proxy

#include "proxy/fresh_wait.hpp"

#include <algorithm>
#include <utility>

#include "proxy/client.hpp"
#include "proxy/shard.hpp"

namespace pgweir::proxy {

FreshWait::FreshWait(Shard& shard) : net::Timer(shard.worker.loop), shard_(shard) {}

void FreshWait::add(std::uint32_t client, std::int64_t until_us) {
    waiting_.push_back({client, until_us});
    set_timer();
}

void FreshWait::look_again() {
    if (waiting_.empty()) return;
    const std::vector<Entry> entries = std::exchange(waiting_, {});
    wake(entries);
    set_timer();
}

/// Those whose time is up.
void FreshWait::expired() {
    const std::int64_t now_us = shard_.worker.loop.now_us();
    std::vector<Entry> due;
    std::erase_if(waiting_, [&](const Entry& entry) {
        if (entry.until_us > now_us) return false;
        due.push_back(entry);
        return true;
    });
    wake(due);
    set_timer();
}

void FreshWait::wake(const std::vector<Entry>& entries) {
    for (const Entry& entry : entries) {
        const auto found = shard_.clients.find(entry.client);
        if (found != shard_.clients.end()) found->second->look_for_replica();
    }
}

void FreshWait::set_timer() {
    if (waiting_.empty()) return cancel();
    const auto first = std::ranges::min_element(waiting_, {}, &Entry::until_us);
    expire_in(std::max<std::int64_t>(first->until_us - shard_.worker.loop.now_us(), 1));
}

}  // namespace pgweir::proxy

#include "proxy/failure_delay.hpp"

#include <algorithm>

#include <netinet/in.h>

namespace pgweir::proxy {

namespace {

constexpr std::size_t records_max = 100'000;
constexpr std::int64_t growth_max = 64;  // times the first delay

/// Empty: an address that is never delayed.
std::string key_of(const net::Address& from) {
    const auto first_bytes = [](const auto& address, std::size_t size) {
        return std::string(reinterpret_cast<const char*>(&address), size);
    };
    if (const sockaddr_in* const v4 = from.v4())
        return first_bytes(v4->sin_addr, sizeof v4->sin_addr);
    constexpr std::size_t network_size = 8;  // bytes: what one customer is given
    if (const sockaddr_in6* const v6 = from.v6()) return first_bytes(v6->sin6_addr, network_size);
    return {};
}

}  // namespace

std::int64_t FailureDelay::wait_us(const net::Address& from, std::int64_t now_us) {
    const std::lock_guard lock(mutex_);
    const auto found = records_.find(key_of(from));
    if (found == records_.end()) return 0;
    Record& record = found->second;
    if (now_us >= record.forget_us) {
        records_.erase(found);
        return 0;
    }
    const std::int64_t begins_us = std::max(now_us, record.next_us);
    record.next_us = begins_us + record.delay_us;
    record.forget_us = std::max(record.forget_us, record.next_us + record.delay_us);
    return begins_us - now_us;
}

void FailureDelay::failed(const net::Address& from, std::int64_t delay_us, std::int64_t now_us) {
    const std::string key = key_of(from);
    if (key.empty() || delay_us <= 0) return;
    const std::lock_guard lock(mutex_);
    if (records_.size() >= records_max) sweep(now_us);
    Record& record = records_[key];
    const bool again = now_us < record.forget_us;
    record.delay_us = again ? std::min(2 * record.delay_us, growth_max * delay_us) : delay_us;
    record.next_us = std::max(record.next_us, now_us + record.delay_us);
    record.forget_us = record.next_us + record.delay_us;
}

void FailureDelay::sweep(std::int64_t now_us) {
    std::erase_if(records_, [&](const auto& item) { return now_us >= item.second.forget_us; });
    if (records_.size() >= records_max) records_.clear();
}

}  // namespace pgweir::proxy

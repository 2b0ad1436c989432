#include "proxy/node_names.hpp"

#include <algorithm>
#include <utility>

#include "pool/net/address.hpp"

namespace pgweir::proxy {

namespace {

constexpr std::int64_t shortest_us = 1'000'000;

}  // namespace

void NodeNames::watch(std::vector<config::Node> nodes) {
    story_.cancel();
    wanted_ = std::move(nodes);
    any_ = std::ranges::any_of(wanted_,
                               [](const config::Node& node) { return health::is_name(node.at); });
    any_ ? expire_in(1) : cancel();
}

void NodeNames::trouble(bool is_there) {
    if (std::exchange(trouble_, is_there) || !is_there || !any_) return;
    expire_in(shortest_us);
}

std::int64_t NodeNames::interval_us() const {
    const std::int64_t ttl_us = worker_.config->settings.dns_max_ttl.count();
    return trouble_ ? shortest_us : std::max(ttl_us, shortest_us);
}

void NodeNames::expired() {
    if (story_.running()) return;  // it takes its time, and sees to the next
    std::vector<std::string> names;
    for (const config::Node& node : wanted_) {
        const bool listed = std::ranges::find(names, node.at.host) != names.end();
        if (health::is_name(node.at) && !listed) names.push_back(node.at.host);
    }
    story_.start(worker_.loop, look_up(std::move(names)));
}

net::Task<void> NodeNames::look_up(std::vector<std::string> names) {
    for (const std::string& name : names) {
        const auto found = co_await net::resolve(worker_.loop, worker_.shared.offload, name, 0);
        std::vector<std::string> addresses;
        if (found.has_value()) {
            // A server may have an address of each family: what the system likes better counts.
            for (const net::Address& one : *found)
                if (one.family() == found->front().family()) addresses.push_back(one.host());
        }
        std::sort(addresses.begin(), addresses.end());  // turned round it is the same list
        addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
        std::vector<std::string>& known = addresses_[name];
        if (!addresses.empty()) known = std::move(addresses);
    }
    expire_in(interval_us());
    changed_();
}

}  // namespace pgweir::proxy

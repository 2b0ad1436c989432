#include "pool/net/dns.hpp"

#include <algorithm>
#include <set>

#include "pool/net/log.hpp"

namespace pgweir::net {

namespace {

constexpr std::size_t hosts_max = 10'000;

protocol::Error no_address() {
    return {protocol::sqlstate::connection_failure, protocol::Origin::server,
            "server DNS lookup failed"};
}

/// To be asked by a thread that may block: of the name servers of that file.
template <class Ask>
auto question(const Ask& ask, const std::string& name, const std::string& resolv_conf) {
    return [ask, name, resolv_conf] {
        const NameServers servers(resolv_conf);
        return ask(name);
    };
}

/// Empty: it is in none that could be asked about.
std::string zone_of(const std::string& host) {
    const std::size_t dot = host.find('.');
    return dot == std::string::npos ? std::string() : host.substr(dot + 1);
}

}  // namespace

void Dns::set_resolv_conf(std::string path) {
    const std::lock_guard lock(mutex_);
    resolv_conf_ = std::move(path);
}

Task<protocol::Result<Address>> Dns::resolve(Loop& loop, std::string host, int port) {
    if (const auto numeric = numeric_address(host, port); numeric.has_value()) co_return *numeric;
    {
        const std::lock_guard lock(mutex_);
        const auto found = hosts_.find(host);
        const bool known = found != hosts_.end();
        // While somebody asks, the old ones do.
        const bool asked = known && found->second.asking && !found->second.addresses.empty();
        if (known && (asked || loop.now_us() < found->second.until_us))
            co_return pick(found->second, port);
    }
    co_await look_up(loop, host);
    const std::lock_guard lock(mutex_);
    const auto found = hosts_.find(host);
    if (found == hosts_.end()) co_return no_address();
    co_return pick(found->second, port);
}

protocol::Result<Address> Dns::pick(Host& host, int port) {
    if (host.missing || host.addresses.empty()) return no_address();
    Address chosen = host.addresses[host.next++ % host.addresses.size()];
    chosen.set_port(port);
    return chosen;
}

Task<void> Dns::look_up(Loop& loop, std::string host) {
    std::string resolv_conf;
    {
        const std::lock_guard lock(mutex_);
        if (hosts_.size() >= hosts_max) hosts_.clear();  // they are asked for again
        hosts_[host].asking = true;
        resolv_conf = resolv_conf_;
    }
    struct Asking {  // the story may end before the answer comes
        Dns& dns;
        const std::string& host;
        ~Asking() {
            const std::lock_guard lock(dns.mutex_);
            dns.hosts_[host].asking = false;
        }
    } asking{*this, host};
    auto ask = question(ask_, host, resolv_conf);
    const Lookup answer = co_await offload_.run<Lookup>(loop, std::move(ask));
    learn(host, answer, loop.now_us());
}

void Dns::learn(const std::string& host, const Lookup& answer, std::int64_t now_us) {
    const std::lock_guard lock(mutex_);
    Host& known = hosts_[host];
    const bool good = !answer.addresses.empty();
    known.until_us = now_us + (good ? found_us_ : not_found_us_).load(std::memory_order_relaxed);
    if (good && !known.addresses.empty()) {
        for (const Address& before : known.addresses) {
            const bool stays =
                std::ranges::find(answer.addresses, before) != answer.addresses.end();
            if (!stays) {
                log::print(log::Level::log, {}, "host {} has no longer the address {}", host,
                           before.host());
            }
        }
    }
    known.missing = answer.no_such_name;
    // Who cannot be asked is not gone.
    if (good) known.addresses = answer.addresses;
}

bool Dns::has(const std::string& host, const Address& address) {
    const std::lock_guard lock(mutex_);
    const auto found = hosts_.find(host);
    if (found == hosts_.end()) return true;
    Host& known = found->second;
    known.used = true;
    if (known.addresses.empty()) return true;
    Address plain = address;
    plain.set_port(0);
    return std::ranges::find(known.addresses, plain) != known.addresses.end();
}

void Dns::refresh(Loop& loop) {
    std::vector<std::string> due;
    {
        const std::lock_guard lock(mutex_);
        for (auto& [name, host] : hosts_) {
            const bool used = std::exchange(host.used, false);
            if (used && !host.asking && loop.now_us() >= host.until_us) due.push_back(name);
        }
    }
    for (const std::string& name : due) detach(loop, look_up(loop, name));
    for (const std::string& zone : zones_due(loop.now_us())) detach(loop, look_at_zone(loop, zone));
}

std::vector<std::string> Dns::zones_due(std::int64_t now_us) {
    const std::lock_guard lock(mutex_);
    if (zone_period_us_.load(std::memory_order_relaxed) == 0) {
        zones_.clear();
        return {};
    }
    std::set<std::string> wanted;
    for (const auto& [name, host] : hosts_) wanted.insert(zone_of(name));
    wanted.erase("");
    std::erase_if(zones_, [&](const auto& zone) { return !wanted.contains(zone.first); });
    std::vector<std::string> due;
    for (const std::string& name : wanted) {
        const Zone& zone = zones_[name];
        if (!zone.asking && now_us >= zone.next_us) due.push_back(name);
    }
    return due;
}

Task<void> Dns::look_at_zone(Loop& loop, std::string name) {
    std::string resolv_conf;
    {
        const std::lock_guard lock(mutex_);
        Zone& zone = zones_[name];
        zone.asking = true;
        zone.next_us = loop.now_us() + zone_period_us_.load(std::memory_order_relaxed);
        resolv_conf = resolv_conf_;
    }
    auto ask = question(ask_serial_, name, resolv_conf);
    using Serial = std::optional<std::uint32_t>;
    const Serial serial = co_await offload_.run<Serial>(loop, std::move(ask));
    const std::lock_guard lock(mutex_);
    const auto found = zones_.find(name);
    if (found == zones_.end()) co_return;
    Zone& zone = found->second;
    zone.asking = false;
    if (!serial) co_return;
    const bool changed = zone.serial && *zone.serial != *serial;
    if (changed) {
        log::print(log::Level::log, {}, "zone {} serial changed: old={} new={}", name, *zone.serial,
                   *serial);
    }
    zone.serial = serial;
    if (!changed) co_return;
    for (auto& [host, known] : hosts_) {
        if (zone_of(host) == name) known.until_us = 0;
    }
}

std::vector<Dns::KnownZone> Dns::zones() const {
    const std::lock_guard lock(mutex_);
    std::vector<KnownZone> all;
    for (const auto& entry : zones_) {
        const auto is_in = [&entry](const auto& host) {
            return zone_of(host.first) == entry.first;
        };
        all.push_back({entry.first, entry.second.serial.value_or(0),
                       static_cast<std::size_t>(std::ranges::count_if(hosts_, is_in))});
    }
    return all;
}

Dns::Pending Dns::pending() const {
    const std::lock_guard lock(mutex_);
    const auto asking = [](const auto& entry) { return entry.second.asking; };
    return {static_cast<std::size_t>(std::ranges::count_if(hosts_, asking)),
            static_cast<std::size_t>(std::ranges::count_if(zones_, asking))};
}

std::vector<Dns::Known> Dns::known(std::int64_t now_us) const {
    const std::lock_guard lock(mutex_);
    std::vector<Known> all;
    for (const auto& [name, host] : hosts_) {
        const std::int64_t left_us = std::max<std::int64_t>(host.until_us - now_us, 0);
        all.push_back({name, left_us, host.missing ? std::vector<Address>() : host.addresses});
    }
    return all;
}

}  // namespace pgweir::net

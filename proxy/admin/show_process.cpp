// SHOW HELP, VERSION, STATE, CONFIG, MEM, DNS_HOSTS, DNS_ZONES.
#include <fmt/format.h>

#include "config/settings.hpp"
#include "pool/pool.hpp"
#include "proxy/admin/show.hpp"
#include "proxy/client.hpp"
#include "proxy/options.hpp"

namespace pgweir::proxy::admin {

namespace {

constexpr Type int4 = Type::int4;

constexpr Column version_columns[] = {{"version"}};
constexpr Column state_columns[] = {{"key"}, {"value"}};
constexpr Column config_columns[] = {{"key"}, {"value"}, {"default"}, {"changeable"}};
constexpr Column mem_columns[] = {
    {"name"}, {"size", int4}, {"used", int4}, {"free", int4}, {"memtotal", int4}};
constexpr Column dns_hosts_columns[] = {{"hostname"}, {"ttl", Type::int8}, {"addrs"}};
constexpr Column dns_zones_columns[] = {{"zonename"}, {"serial", Type::int8}, {"count", int4}};

Rows version_rows(const Snapshot&) { return {{version_text()}}; }

Rows state_rows(const Snapshot& snapshot) {
    const auto word = [](bool yes) { return text(yes ? "yes" : "no"); };
    return {{"active", word(!snapshot.paused && !snapshot.suspended)},
            {"paused", word(snapshot.paused)},
            {"suspended", word(snapshot.suspended)}};
}

Rows config_rows(const Snapshot& snapshot) {
    Rows rows;
    for (const config::SettingRow& row : config::show_config(snapshot.config->settings)) {
        rows.push_back({row.key, row.value, row.default_value, row.changeable ? "yes" : "no"});
    }
    return rows;
}

/// The large objects by number and size; each is allocated when it is needed, so none is free.
Rows mem_rows(const Snapshot& snapshot) {
    const auto row = [](const char* name, std::size_t size, std::size_t used) {
        return Row{name, number(size), number(used), "0", number(size * used)};
    };
    return {
        row("user_cache", sizeof(config::User), snapshot.users.size()),
        row("db_cache", sizeof(config::Database), snapshot.databases.size()),
        row("pool_cache", sizeof(pool::Pool), snapshot.pools.size()),
        row("server_cache", sizeof(pool::Server), static_cast<std::size_t>(snapshot.servers)),
        row("client_cache", sizeof(Client), static_cast<std::size_t>(snapshot.clients)),
    };
}

Rows dns_hosts_rows(const Snapshot& snapshot) {
    Rows rows;
    for (const net::Dns::Known& host : snapshot.hosts) {
        std::vector<std::string> addresses;
        for (const net::Address& address : host.addresses) addresses.push_back(address.text());
        rows.push_back({host.host, number(host.ttl_us / 1'000'000),
                        fmt::format("{}", fmt::join(addresses, ","))});
    }
    return rows;
}

Rows dns_zones_rows(const Snapshot& snapshot) {
    Rows rows;
    for (const net::Dns::KnownZone& zone : snapshot.zones)
        rows.push_back({zone.zone, number(zone.serial), number(zone.hosts)});
    return rows;
}

constexpr unsigned counted = Snapshot::pools_part | Snapshot::databases_part | Snapshot::users_part;

constexpr Show shows[] = {
    {"help", Access::stats, Snapshot::nothing, {}, nullptr},
    {"version", Access::stats, Snapshot::nothing, version_columns, version_rows},
    {"state", Access::stats, Snapshot::state_part, state_columns, state_rows},
    {"config", Access::stats, Snapshot::nothing, config_columns, config_rows},
    {"mem", Access::stats, counted, mem_columns, mem_rows},
    {"dns_hosts", Access::stats, Snapshot::hosts_part, dns_hosts_columns, dns_hosts_rows},
    {"dns_zones", Access::stats, Snapshot::hosts_part, dns_zones_columns, dns_zones_rows},
};

}  // namespace

std::span<const Show> process_shows() { return shows; }

}  // namespace pgweir::proxy::admin

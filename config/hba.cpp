#include "config/hba.hpp"

#include <algorithm>

namespace pgweir::config {

namespace {

bool comes_from(const HbaRule& rule, const HbaClient& client) {
    switch (rule.type) {
        case HbaType::local: return !client.address;
        case HbaType::host: break;
        case HbaType::hostssl:
            if (!client.tls) return false;
            break;
        case HbaType::hostnossl:
            if (client.tls) return false;
            break;
    }
    return client.address && (rule.any_address || rule.network.covers(*client.address));
}

bool has_database(const HbaNames& databases, const HbaClient& client) {
    if (client.physical_replication) return databases.replication;
    return databases.all || (databases.sameuser && client.database == client.user) ||
           databases.names.contains(client.database);
}

}  // namespace

const HbaRule* match(const Hba& hba, const HbaClient& client) {
    const auto found = std::ranges::find_if(hba.rules, [&](const HbaRule& rule) {
        return comes_from(rule, client) && has_database(rule.databases, client) &&
               (rule.users.all || rule.users.names.contains(client.user));
    });
    return found == hba.rules.end() ? nullptr : &*found;
}

bool may_be(const Hba& hba, const HbaRule& rule, std::string_view system_user,
            std::string_view user) {
    if (rule.map.empty()) return system_user == user;
    const auto map = hba.maps.find(rule.map);
    if (map == hba.maps.end()) return false;
    return std::ranges::any_of(map->second, [&](const IdentRule& line) {
        return line.system_user == system_user && (line.any_user || line.user == user);
    });
}

}  // namespace pgweir::config

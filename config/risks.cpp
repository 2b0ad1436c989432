// What works and is unsafe: `pgweir check` says it, the program does not.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "config/finish.hpp"
#include "config/hba.hpp"
#include "config/listen_address.hpp"
#include "config/units.hpp"

namespace pgweir::config {

namespace {

constexpr std::string_view md5_text = "whoever gets hold of a stored md5 secret can log in with "
                                      "it; scram-sha-256 has no such secrets";

/// What a PostgreSQL of which nothing else is known has room for: max_connections = 100, of which
/// superuser_reserved_connections = 3 are kept back.
constexpr std::int64_t usual_room = 97;

/// Whether nobody from another host can connect to this address.
bool is_loopback(const std::string& listen_addr) {
    const auto address = parse_address(listen_addr);
    return address ? is_loopback(*address) : same_word(listen_addr, "localhost");
}

/// Whether the rule lets in from this host only.
bool is_loopback(const HbaRule& rule) {
    if (rule.type == HbaType::local) return true;
    const auto& [address, mask] = rule.network;
    const bool narrow = mask[0] == 0xff && (!address.v6 || mask[15] == 0xff);
    return !rule.any_address && narrow && is_loopback(address);
}

void look_at_rules(const Draft& draft, Findings& findings) {
    if (!draft.config.hba) return;
    for (const HbaRule& rule : draft.config.hba->rules) {
        const Place at{draft.config.settings.auth_hba_file, rule.line};
        if (rule.method == AuthType::trust && !is_loopback(rule)) {
            findings.warning(at, "trust: these hosts need no password");
        }
        if (rule.method == AuthType::md5) findings.warning(at, fmt::format("md5: {}", md5_text));
    }
}

/// How many servers one user's pool of this entry may have on a node; 0 = no limit.
std::int64_t servers_of(const Database& database, const Settings& settings) {
    const int size = database.pool_size.value_or(settings.default_pool_size);
    const int reserve = database.reserve_pool_size.value_or(settings.reserve_pool_size);
    const int most = database.max_db_connections.value_or(settings.max_db_connections);
    const std::int64_t all = size == 0 ? 0 : std::int64_t{size} + reserve;
    if (most == 0) return all;
    return all == 0 ? most : std::min<std::int64_t>(all, most);
}

/// Whose max_connections the entry's pools count against.
std::vector<std::string> servers_behind(const Database& database) {
    if (!database.cluster.empty()) {
        std::vector<std::string> sides;
        if (database.role != TargetRole::replica) sides.push_back("the primary of ");
        if (database.role != TargetRole::primary) sides.push_back("each replica of ");
        for (std::string& side : sides) side += database.cluster;
        return sides;
    }
    if (database.endpoints.size() != 1) return {};  // who gets how many is not known
    const Endpoint& only = database.endpoints.front();
    return {fmt::format("{}:{}", only.host, only.port)};
}

/// All pools of a server together, told of once: at the entry with which they are too many.
void look_at_sizes(const Draft& draft, Findings& findings) {
    const Settings& settings = draft.config.settings;
    std::map<std::string, std::int64_t> sums;
    for (const auto& [name, database] : draft.config.databases) {
        for (const std::string& where : servers_behind(database)) {
            std::int64_t& sum = sums[where];
            const bool told = sum > usual_room;
            sum += servers_of(database, settings);
            if (settings.max_user_connections > 0)
                sum = std::min<std::int64_t>(sum, settings.max_user_connections);
            if (told || sum <= usual_room) continue;
            findings.warning(
                draft.where("databases." + name),
                fmt::format("with this entry the pools for {} come to {} connections for each "
                            "user; a PostgreSQL whose max_connections is 100 has room for {}",
                            where, sum, usual_room));
        }
    }
}

}  // namespace

std::vector<Problem> risks(const Draft& draft) {
    Findings findings;
    const Settings& settings = draft.config.settings;
    const bool lets_in =
        settings.auth_type == AuthType::trust || settings.auth_type == AuthType::any;
    const auto far = std::ranges::find_if_not(
        settings.listen_addr, [](const std::string& address) { return is_loopback(address); });
    const bool in_clear =
        settings.auth_type == AuthType::plain && settings.client_tls.sslmode < SslMode::require;
    if (in_clear && far != settings.listen_addr.end()) {
        findings.warning(draft.where("auth_type"),
                         fmt::format("plain: passwords come to listen_addr \"{}\" in clear where a "
                                     "client does not ask for TLS; client_tls_sslmode = require "
                                     "has it do so",
                                     *far));
    }
    if (lets_in && far != settings.listen_addr.end()) {
        findings.warning(draft.where("auth_type"),
                         fmt::format("{}: whoever can connect to listen_addr \"{}\" needs no "
                                     "password",
                                     word_for(settings.auth_type), *far));
    }
    if (settings.auth_type == AuthType::md5) {
        findings.warning(draft.where("auth_type"), fmt::format("md5: {}", md5_text));
    }
    const bool unlimited = settings.default_pool_size == 0 && settings.max_db_connections == 0 &&
                           settings.max_user_connections == 0;
    if (unlimited) {
        findings.warning(draft.where("default_pool_size"),
                         "no limit on server connections: each client may take one");
    }
    const std::string& http = draft.config.native.http;
    const auto http_at = parse_listen_address(http);
    if (http_at.has_value() && !is_loopback(http_at->host)) {
        findings.warning(draft.where("admin.http"),
                         fmt::format("http: whoever can connect to {} sees metrics, addresses and "
                                     "the texts of statements without a password",
                                     http));
    }
    look_at_sizes(draft, findings);
    look_at_rules(draft, findings);
    return std::move(findings.warnings);
}

}  // namespace pgweir::config

// What works and is unsafe: `pgweir check` says it, the program does not.
#include <algorithm>

#include <fmt/format.h>

#include "config/finish.hpp"
#include "config/hba.hpp"
#include "config/listen_address.hpp"
#include "config/units.hpp"

namespace pgweir::config {

namespace {

constexpr std::string_view md5_text = "whoever gets hold of a stored md5 secret can log in with "
                                      "it; scram-sha-256 has no such secrets";

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

}  // namespace

std::vector<Problem> risks(const Draft& draft) {
    Findings findings;
    const Settings& settings = draft.config.settings;
    const bool lets_in =
        settings.auth_type == AuthType::trust || settings.auth_type == AuthType::any;
    const auto far = std::ranges::find_if_not(
        settings.listen_addr, [](const std::string& address) { return is_loopback(address); });
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
    look_at_rules(draft, findings);
    return std::move(findings.warnings);
}

}  // namespace pgweir::config

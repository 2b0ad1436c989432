// Checking passwords by binding to an LDAP server with them.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "protocol/cleanse.hpp"
#include "protocol/error.hpp"

namespace pgweir::proxy {

/// What auth_ldap_options, or an HBA line behind its method ldap, says; the names and their
/// meanings are PostgreSQL's. Value.
struct LdapOptions {
    std::string servers{};  // names between blanks; empty: the library's default
    std::string scheme = "ldap";
    int port = 0;  // 0: the scheme's
    bool start_tls = false;
    // Simple bind: as prefix + user + suffix.
    std::string prefix{}, suffix{};
    // Search and bind: as the one entry found.
    std::string base_dn{}, bind_dn{};
    protocol::Secret bind_password{};
    std::string search_attribute{}, search_filter{};
    int scope = 2;  // LDAP_SCOPE_SUBTREE

    friend bool operator==(const LdapOptions&, const LdapOptions&) = default;
};

/// Reads `key=value` words; a value with blanks or commas in it is in double quotes.
/// Errors   F0000: a word is unknown or they do not go together.
protocol::Result<LdapOptions> parse_ldap_options(std::string_view text);

/// The URIs to connect to, between blanks.
std::string ldap_uris(const LdapOptions& options);
/// What is searched for: the user's name is data in it, whatever it looks like.
std::string ldap_filter(const LdapOptions& options, std::string_view user);

/// Whether to give up: it is too late, or the program ends.
using GiveUp = std::function<bool()>;

/// Does the server let `user` in with `password`, which must not be empty? Blocks, until `give_up`
/// says so at the latest.
/// Errors   28000 with the reason, for the log.
protocol::Result<void> ldap_check(const LdapOptions& options, const std::string& user,
                                  const std::string& password, const GiveUp& give_up);

}  // namespace pgweir::proxy

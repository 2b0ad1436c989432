// Host-based rules: who may log in from where, and how they must prove it; and the maps from names
// in certificates and of system users to names of database users. Read once, matched purely.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "config/draft.hpp"

namespace pgweir::config {

/// The names a rule is for.
struct HbaNames {
    bool all = false;
    bool sameuser = false;     // databases only: the one named as the user
    bool replication = false;  // databases only: physical replication, which `all` does not mean
    std::set<std::string, std::less<>> names;
};

enum class HbaType : std::uint8_t { local, host, hostssl, hostnossl };

struct HbaRule {
    HbaType type = HbaType::local;
    HbaNames databases, users;
    bool any_address = false;        // of the host types: "all"
    Network network;                 // likewise, when not any
    std::optional<AuthType> method;  // nullopt = reject
    std::string map;                 // of cert and peer; "" = the names must be equal
    protocol::Secret options;        // of ldap
    int line = 0;                    // in the file
};

/// One line of an ident map file.
struct IdentRule {
    std::string system_user;
    std::string user;  // of the database; "all" written without quotes stands for any
    bool any_user = false;
};

/// A pair of files, parsed. Immutable once loaded.
struct Hba {
    std::vector<HbaRule> rules;
    std::map<std::string, std::vector<IdentRule>, std::less<>> maps;
};

/// Who wants to log in.
struct HbaClient {
    std::optional<IpAddress> address{};  // nullopt = a Unix socket
    bool tls = false;
    bool physical_replication = false;
    std::string_view database{}, user{};
};

/// The first rule for this client; nullptr when there is none, which means "no".
const HbaRule* match(const Hba& hba, const HbaClient& client);

/// Whether the rule's map (or, without one, equality) lets `system_user` be `user`.
bool may_be(const Hba& hba, const HbaRule& rule, std::string_view system_user,
            std::string_view user);

/// The rules of an HBA file. `read` gives the files that @names stand for, which are relative to
/// the folder of `file`. A line that makes no sense is left out with a warning.
std::vector<HbaRule> parse_hba(std::string_view text, const std::string& file, const ReadFile& read,
                               Findings& findings);

/// The maps of an ident file, likewise.
std::map<std::string, std::vector<IdentRule>, std::less<>> parse_ident(std::string_view text,
                                                                       const std::string& file,
                                                                       Findings& findings);

}  // namespace pgweir::config

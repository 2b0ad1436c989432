// The entries of [databases], [users] and [peers]: the table of their keys, which the ini and the
// TOML share, and their reading from an ini.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "config/draft.hpp"
#include "config/ini.hpp"

namespace pgweir::config {

/// The names that always mean the admin console.
inline constexpr std::string_view console_database = "pgbouncer";

/// Where a key of an entry lives.
template <class Owner>
using EntryMember =
    std::variant<std::string Owner::*, std::optional<std::string> Owner::*,
                 std::optional<protocol::Secret> Owner::*, std::optional<int> Owner::*,
                 std::optional<Duration> Owner::*, std::optional<PoolMode> Owner::*,
                 std::optional<SessionState> Owner::*, std::optional<SslMode> Owner::*,
                 std::optional<SslNegotiation> Owner::*>;

/// One key of an entry.
template <class Owner>
struct EntryKey {
    std::string_view name;  // PgBouncer's; "" = TOML only
    std::string_view toml;  // path below the entry in the native TOML
    EntryMember<Owner> member;
};

// The keys that are one member each; hosts, port and the startup parameters are not.
std::span<const EntryKey<Database>> database_keys();
std::span<const EntryKey<User>> user_keys();

/// What a server is told when it logs a client in: the names of Database::startup_parameters.
std::span<const std::string_view> startup_parameter_keys();

// One entry of the section each, into draft.config. A later entry of one name replaces the earlier.
void read_database(const IniEntry& entry, Draft& draft);
void read_user(const IniEntry& entry, Draft& draft);
void read_peer(const IniEntry& entry, Draft& draft);

}  // namespace pgweir::config

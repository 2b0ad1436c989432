#include "config/entries.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "config/conninfo.hpp"
#include "config/nearest.hpp"
#include "config/units.hpp"

namespace pgweir::config {

namespace {

constexpr EntryKey<Database> database_table[] = {
    {"dbname", "dbname", &Database::dbname},
    {"user", "user", &Database::user},
    {"password", "password", &Database::password},
    {"auth_user", "auth_user", &Database::auth_user},
    {"auth_query", "auth_query", &Database::auth_query},
    {"auth_dbname", "auth_dbname", &Database::auth_dbname},
    {"pool_size", "pool.size", &Database::pool_size},
    {"min_pool_size", "pool.min_size", &Database::min_pool_size},
    {"reserve_pool_size", "pool.reserve_size", &Database::reserve_pool_size},
    {"reserve_pool", "", &Database::reserve_pool_size},
    {"pool_mode", "pool.mode", &Database::pool_mode},
    {"max_db_connections", "pool.max_db_connections", &Database::max_db_connections},
    {"max_db_client_connections", "pool.max_db_client_connections",
     &Database::max_db_client_connections},
    {"server_lifetime", "pool.lifetime", &Database::server_lifetime},
    {"query_wait_timeout", "pool.wait_timeout", &Database::query_wait_timeout},
    {"connect_query", "connect_query", &Database::connect_query},
    {"sslmode", "tls.mode", &Database::sslmode},
    {"sslnegotiation", "tls.negotiation", &Database::sslnegotiation},
    {"sslrootcert", "tls.ca_file", &Database::sslrootcert},
    {"sslcert", "tls.cert_file", &Database::sslcert},
    {"sslkey", "tls.key_file", &Database::sslkey},
    {"", "tls.protocols", &Database::ssl_protocols},
    {"", "tls.ciphers", &Database::ssl_ciphers},
    {"", "tls.tls13_ciphers", &Database::ssl_tls13_ciphers},
    {"", "pool.max_connections", &Database::max_db_connections},
    {"", "pool.max_client_connections", &Database::max_db_client_connections},
    {"", "pool.idle_timeout", &Database::server_idle_timeout},
    {"", "pool.reserve_timeout", &Database::reserve_pool_timeout},
    {"", "pool.query_timeout", &Database::query_timeout},
    {"", "pool.transaction_timeout", &Database::transaction_timeout},
    {"", "pool.idle_transaction_timeout", &Database::idle_transaction_timeout},
    {"", "pool.client_idle_timeout", &Database::client_idle_timeout},
    {"", "pool.session_state", &Database::session_state},
};

constexpr EntryKey<User> user_table[] = {
    {"pool_mode", "mode", &User::pool_mode},
    {"pool_size", "size", &User::pool_size},
    {"reserve_pool_size", "reserve_size", &User::reserve_pool_size},
    {"max_user_connections", "max_user_connections", &User::max_user_connections},
    {"max_user_client_connections", "max_user_client_connections",
     &User::max_user_client_connections},
    {"query_timeout", "query_timeout", &User::query_timeout},
    {"query_wait_timeout", "wait_timeout", &User::query_wait_timeout},
    {"idle_transaction_timeout", "idle_transaction_timeout", &User::idle_transaction_timeout},
    {"transaction_timeout", "transaction_timeout", &User::transaction_timeout},
    {"client_idle_timeout", "client_idle_timeout", &User::client_idle_timeout},
    {"", "max_connections", &User::max_user_connections},
    {"", "max_client_connections", &User::max_user_client_connections},
    {"", "session_state", &User::session_state},
};

constexpr std::array<std::string_view, 4> startup_keys = {"client_encoding", "datestyle",
                                                          "timezone", "application_name"};

/// One pair of one entry, and where to complain about it.
struct Pair {
    const ConninfoPair& text;
    const Place& at;
    Findings& findings;

    /// The value as PgBouncer reads it, with C's atoi: what is not a number counts as 0.
    std::int64_t number() const {
        const std::string_view digits = text.value;
        std::int64_t value = 0;
        const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (end.ec != std::errc{} || end.ptr != digits.data() + digits.size()) {
            findings.warning(at, fmt::format("{}: expected a whole number, got \"{}\"; read as {}, "
                                             "as PgBouncer does",
                                             text.key, text.value, value));
        }
        return value;
    }

    /// A number of at least 0. -1 is PgBouncer's way to say that nothing is set.
    std::optional<std::int64_t> count(std::int64_t max) const {
        const std::int64_t value = number();
        if (value >= 0 && value <= max) return value;
        if (value != -1) {
            findings.problem(at, fmt::format("{}: expected a whole number from 0 to {}, got \"{}\"",
                                             text.key, max, text.value));
        }
        return std::nullopt;
    }

    int port() const {
        const std::int64_t value = number();
        if (value > 0 && value <= 65535) return static_cast<int>(value);
        findings.problem(at, fmt::format("invalid port: {}; expected 1 to 65535", text.value));
        return 5432;
    }

    void read(std::string& value) const { value = text.value; }
    void read(std::optional<std::string>& value) const { value = text.value; }
    void read(std::optional<protocol::Secret>& value) const { value = text.value; }
    void read(std::optional<int>& value) const {
        const auto size = count(std::numeric_limits<int>::max());
        value = size ? std::optional(static_cast<int>(*size)) : std::nullopt;
    }
    void read(std::optional<Duration>& value) const {
        const auto seconds = count(seconds_max);
        value = seconds ? std::optional(Duration(std::chrono::seconds(*seconds))) : std::nullopt;
    }
    template <class Word>
    void read(std::optional<Word>& value) const {
        const auto word = parse_word<Word>(text.value);
        if (word.has_error()) {
            findings.problem(at, fmt::format("{}: {}", text.key, word.error().message));
        } else {
            value = *word;
        }
    }
};

/// Reads the pair into the member its key names. Returns false when no key of the table matches.
template <class Owner>
bool read_member(const Pair& pair, std::span<const EntryKey<Owner>> keys, Owner& owner) {
    const auto key = std::ranges::find(keys, pair.text.key, &EntryKey<Owner>::name);
    if (key == keys.end() || key->name.empty()) return false;
    std::visit([&](const auto member) { pair.read(owner.*member); }, key->member);
    return true;
}

template <class Owner>
std::vector<std::string_view> names_in(std::span<const EntryKey<Owner>> keys) {
    std::vector<std::string_view> names;
    for (const EntryKey<Owner>& key : keys) {
        if (!key.name.empty()) names.push_back(key.name);
    }
    return names;
}

bool read_special(const Pair& pair, Database& database) {
    const auto& [key, value] = pair.text;
    if (key == "host") {
        database.hosts = split_list(value);
    } else if (key == "port") {
        database.port = pair.port();
    } else if (key == "load_balance_hosts") {
        const auto word = parse_word<LoadBalanceHosts>(value);
        if (word.has_value())
            database.load_balance_hosts = *word;
        else
            pair.findings.problem(pair.at, fmt::format("{}: {}", key, word.error().message));
    } else if (std::ranges::find(startup_keys, key) != startup_keys.end()) {
        database.startup_parameters.insert_or_assign(key, value);
    } else {
        return false;
    }
    return true;
}

std::vector<ConninfoPair> pairs_of(const IniEntry& entry, Draft& draft) {
    auto pairs = parse_conninfo(entry.value);
    if (pairs.has_value()) return *std::move(pairs);
    draft.findings.problem(entry.at, fmt::format("{}: {}", entry.key, pairs.error().message));
    return {};
}

}  // namespace

std::span<const EntryKey<Database>> database_keys() { return database_table; }
std::span<const EntryKey<User>> user_keys() { return user_table; }
std::span<const std::string_view> startup_parameter_keys() { return startup_keys; }

void read_database(const IniEntry& entry, Draft& draft) {
    Database database{.name = entry.key, .dbname = {}};
    for (const ConninfoPair& text : pairs_of(entry, draft)) {
        const Pair pair{text, entry.at, draft.findings};
        if (read_special(pair, database)) continue;
        if (read_member(pair, database_keys(), database)) continue;
        auto names = names_in(database_keys());
        names.insert(names.end(), {"host", "port", "load_balance_hosts"});
        names.insert(names.end(), startup_keys.begin(), startup_keys.end());
        draft.findings.problem(entry.at, fmt::format("unrecognized connection parameter: {}{}",
                                                     text.key, did_you_mean(text.key, names)));
    }
    draft.put("databases." + entry.key, entry.at);
    draft.config.databases.insert_or_assign(entry.key, std::move(database));
}

void read_user(const IniEntry& entry, Draft& draft) {
    User user{.name = entry.key};
    for (const ConninfoPair& text : pairs_of(entry, draft)) {
        if (read_member(Pair{text, entry.at, draft.findings}, user_keys(), user)) continue;
        draft.findings.problem(entry.at,
                               fmt::format("unrecognized user parameter: {}{}", text.key,
                                           did_you_mean(text.key, names_in(user_keys()))));
    }
    draft.put("users." + entry.key, entry.at);
    draft.config.users.insert_or_assign(entry.key, std::move(user));
}

void read_peer(const IniEntry& entry, Draft& draft) {
    const auto id = parse_integer(entry.key, 1, 65535);
    if (id.has_error()) {
        draft.findings.problem(entry.at, "id of a peer: " + id.error().message);
        return;
    }
    Peer peer{.id = static_cast<int>(*id), .host = {}};
    for (const ConninfoPair& text : pairs_of(entry, draft)) {
        const Pair pair{text, entry.at, draft.findings};
        if (text.key == "host")
            peer.host = text.value;
        else if (text.key == "port")
            peer.port = pair.port();
        else if (text.key == "pool_size")
            pair.read(peer.pool_size);
        else
            draft.findings.problem(entry.at, "unrecognized connection parameter: " + text.key);
    }
    if (peer.host.empty()) {
        draft.findings.problem(entry.at, fmt::format("host was not provided for peer {}", peer.id));
    }
    draft.config.peers.insert_or_assign(peer.id, std::move(peer));
}

}  // namespace pgweir::config

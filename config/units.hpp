// Numbers, times, sizes and words as the operator writes them, and back again. The ini's spelling
// is PgBouncer's (plain seconds, 0 and 1, C integers), the native TOML's has units.
// Errors of every parser here: Origin::proxy, F0000, a text that says what was expected.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "protocol/error.hpp"

namespace pgweir::config {

using protocol::Result;

/// F0000 with "expected WHAT, got "TEXT"" (TEXT cut to a readable length).
protocol::Error expected(std::string_view what, std::string_view text);

/// The longest time the configuration can hold: 31 700 years, far from overflowing a Duration.
inline constexpr std::int64_t seconds_max = 1'000'000'000'000;

/// A C integer: decimal, 0x hexadecimal or 0 octal, nothing after it.
Result<std::int64_t> parse_integer(std::string_view text, std::int64_t min, std::int64_t max);

/// 0 is false, any other integer true: PgBouncer keeps its booleans as integers.
Result<bool> parse_flag(std::string_view text);

/// Decimal seconds, fractions and exponents allowed ("0.25", "1e1").
Result<Duration> parse_seconds(std::string_view text);

/// Whole milliseconds.
Result<Duration> parse_milliseconds(std::string_view text);

/// A number with a unit: us ms s m (or min) h d. Without a unit, seconds.
Result<Duration> parse_duration(std::string_view text);

/// Bytes, or a number with KB MB GB (powers of 1000) or KiB MiB GiB (powers of 1024).
Result<std::int64_t> parse_size(std::string_view text, std::int64_t min, std::int64_t max);

/// The parts between commas, blanks around them removed, empty ones left out.
std::vector<std::string> split_list(std::string_view text);

/// The parts joined by ", ".
std::string join_list(std::span<const std::string> parts);

/// Seconds as PgBouncer prints them: six significant digits, "0.25", "1e+06".
std::string show_seconds(Duration time);

/// The same for people: "250ms", "5s", "1h"; in the largest unit that divides it.
std::string show_duration(Duration time);

/// Cuts a quoted text off `rest`, which starts with the opening quote of either kind; a doubled one
/// inside stands for one. Returns nullopt, with `rest` as it was, when the closing quote is
/// missing.
std::optional<std::string> cut_quoted(std::string_view& rest);

std::string_view trim(std::string_view text);
bool same_word(std::string_view left, std::string_view right);  // ASCII letter case ignored

/// One word of an enumeration, as it is written.
template <class Value>
struct Named {
    std::string_view name;
    Value value;
};

inline constexpr Named<PoolMode> pool_mode_names[] = {
    {"session", PoolMode::session},
    {"transaction", PoolMode::transaction},
    {"statement", PoolMode::statement},
};
inline constexpr Named<AuthType> auth_type_names[] = {
    {"any", AuthType::any},
    {"trust", AuthType::trust},
    {"plain", AuthType::plain},
    {"md5", AuthType::md5},
    {"scram-sha-256", AuthType::scram_sha_256},
    {"cert", AuthType::cert},
    {"hba", AuthType::hba},
    {"ldap", AuthType::ldap},
    {"pam", AuthType::pam},
    {"peer", AuthType::peer},
};
inline constexpr Named<SslMode> ssl_mode_names[] = {
    {"disable", SslMode::disable},     {"allow", SslMode::allow},
    {"prefer", SslMode::prefer},       {"require", SslMode::require},
    {"verify-ca", SslMode::verify_ca}, {"verify-full", SslMode::verify_full},
};
inline constexpr Named<SslNegotiation> ssl_negotiation_names[] = {
    {"postgres", SslNegotiation::postgres},
    {"direct", SslNegotiation::direct},
};
inline constexpr Named<SessionState> session_state_names[] = {
    {"track", SessionState::track},
    {"off", SessionState::off},
};
inline constexpr Named<Cleartext> cleartext_names[] = {
    {"always", Cleartext::always},
    {"local", Cleartext::local},
    {"tls", Cleartext::tls},
};
inline constexpr Named<LoadBalanceHosts> load_balance_names[] = {
    {"round-robin", LoadBalanceHosts::round_robin},
    {"disable", LoadBalanceHosts::disable},
};
inline constexpr Named<LogFormat> log_format_names[] = {
    {"text", LogFormat::text},
    {"json", LogFormat::json},
};
inline constexpr Named<LogLevel> log_level_names[] = {
    {"debug", LogLevel::debug},
    {"info", LogLevel::info},
    {"warning", LogLevel::warning},
    {"error", LogLevel::error},
};
inline constexpr Named<TargetRole> target_role_names[] = {
    {"any", TargetRole::any},
    {"primary", TargetRole::primary},
    {"replica", TargetRole::replica},
};
inline constexpr Named<NodeRole> node_role_names[] = {
    {"auto", NodeRole::automatic},
    {"primary", NodeRole::primary},
    {"replica", NodeRole::replica},
};
inline constexpr Named<Consistency> consistency_names[] = {
    {"eventual", Consistency::eventual},
    {"session", Consistency::session},
    {"global", Consistency::global},
};
inline constexpr Named<Balance> balance_names[] = {
    {"least_latency", Balance::least_latency},
    {"least_connections", Balance::least_connections},
    {"round_robin", Balance::round_robin},
    {"random", Balance::random},
};

// The words of an enumeration, found by its type.
constexpr std::span<const Named<PoolMode>> names_of(PoolMode) { return pool_mode_names; }
constexpr std::span<const Named<AuthType>> names_of(AuthType) { return auth_type_names; }
constexpr std::span<const Named<SslMode>> names_of(SslMode) { return ssl_mode_names; }
constexpr std::span<const Named<SslNegotiation>> names_of(SslNegotiation) {
    return ssl_negotiation_names;
}
constexpr std::span<const Named<SessionState>> names_of(SessionState) {
    return session_state_names;
}
constexpr std::span<const Named<Cleartext>> names_of(Cleartext) { return cleartext_names; }
constexpr std::span<const Named<LoadBalanceHosts>> names_of(LoadBalanceHosts) {
    return load_balance_names;
}
constexpr std::span<const Named<LogFormat>> names_of(LogFormat) { return log_format_names; }
constexpr std::span<const Named<LogLevel>> names_of(LogLevel) { return log_level_names; }
constexpr std::span<const Named<TargetRole>> names_of(TargetRole) { return target_role_names; }
constexpr std::span<const Named<NodeRole>> names_of(NodeRole) { return node_role_names; }
constexpr std::span<const Named<Consistency>> names_of(Consistency) { return consistency_names; }
constexpr std::span<const Named<Balance>> names_of(Balance) { return balance_names; }

/// The word for `value`, as SHOW CONFIG prints it.
template <class Value>
std::string_view word_for(Value value) {
    for (const auto& named : names_of(value)) {
        if (named.value == value) return named.name;
    }
    return {};
}

/// All words of the enumeration, as "a, b, c".
template <class Value>
std::string words_of() {
    std::vector<std::string> words;
    for (const auto& named : names_of(Value{})) words.emplace_back(named.name);
    return join_list(words);
}

/// The value `text` names, letter case ignored as in PgBouncer.
template <class Value>
Result<Value> parse_word(std::string_view text) {
    for (const auto& named : names_of(Value{})) {
        if (same_word(named.name, text)) return named.value;
    }
    return expected("one of " + words_of<Value>(), text);
}

}  // namespace pgweir::config

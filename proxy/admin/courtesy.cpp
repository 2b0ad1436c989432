#include "proxy/admin/courtesy.hpp"

#include <algorithm>
#include <string>

#include "protocol/vars.hpp"

namespace pgweir::proxy::admin {

namespace {

constexpr Courtesy setting(std::string_view name, std::string_view value) {
    return {.name = name, .column = {name}, .value = value};
}

constexpr Courtesy settings[] = {
    setting("client_encoding", "UTF-8"),
    setting("default_transaction_isolation", "read committed"),
    setting("standard_conforming_strings", "on"),
    setting("datestyle", "ISO"),
    setting("timezone", "GMT"),
    // Not in PgBouncer:
    setting("application_name", ""),
    setting("bytea_output", "hex"),
    setting("client_min_messages", "notice"),
    setting("default_transaction_read_only", "off"),
    setting("extra_float_digits", "2"),
    setting("in_hot_standby", "off"),
    setting("intervalstyle", "postgres"),
    setting("lock_timeout", "0"),
    setting("search_path", ""),
    setting("statement_timeout", "0"),
    setting("transaction_isolation", "read committed"),
    setting("transaction_read_only", "off"),
};

constexpr Courtesy in_recovery(std::string_view text) {
    return {.name = text, .column = {"pg_is_in_recovery"}, .value = "f", .tag = "SELECT 1"};
}

constexpr Courtesy sentences[] = {
    {.name = "select 1", .column = {"?column?", Type::int4}, .value = "1", .tag = "SELECT 1"},
    in_recovery("select pg_is_in_recovery()"),
    in_recovery("select pg_catalog.pg_is_in_recovery()"),
    {.name = "show transaction isolation level",
     .column = {"transaction_isolation"},
     .value = "read committed",
     .tag = "SHOW"},
};

/// How a statement begins, and nothing more needs to be known.
constexpr Courtesy beginnings[] = {
    {.name = "begin", .tag = "BEGIN"},
    {.name = "start transaction", .tag = "START TRANSACTION"},
    {.name = "commit", .tag = "COMMIT"},
    {.name = "end", .tag = "COMMIT"},
    {.name = "rollback", .tag = "ROLLBACK"},
    {.name = "abort", .tag = "ROLLBACK"},
    {.name = "discard all", .tag = "DISCARD ALL"},
    {.name = "reset all", .tag = "RESET"},
    {.name = "reset role", .tag = "RESET"},
    {.name = "reset session authorization", .tag = "RESET"},
    {.name = "set session characteristics", .tag = "SET"},
    {.name = "set transaction", .tag = "SET"},
    {.name = "set time zone", .tag = "SET"},
    {.name = "set names", .tag = "SET"},
};

/// In lower case, with single blanks, without a semicolon at the end.
std::string plain(std::string_view text) {
    std::string words;
    bool blank = false;
    for (const char c : text) {
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            blank = true;
            continue;
        }
        if (blank && !words.empty()) words += ' ';
        blank = false;
        words += c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    }
    if (words.ends_with(';')) words.pop_back();
    while (words.ends_with(' ')) words.pop_back();
    return words;
}

bool begins(std::string_view text, std::string_view with) {
    return text.starts_with(with) && (text.size() == with.size() || text[with.size()] == ' ');
}

/// `set [session|local] NAME …` of a setting that drivers set, whatever the value is.
bool sets_courtesy(std::string_view text) {
    if (!begins(text, "set")) return false;
    text.remove_prefix(std::min<std::size_t>(text.size(), 4));
    for (const std::string_view scope : {"session ", "local "}) {
        if (text.starts_with(scope)) text.remove_prefix(scope.size());
    }
    const std::string_view name = text.substr(0, text.find_first_of(" ="));
    const std::string_view rest = text.substr(name.size());
    const bool value = rest.starts_with('=') || rest.starts_with(" =") || rest.starts_with(" to ");
    return value && find_courtesy(name);
}

/// `reset NAME`, likewise.
bool resets_courtesy(std::string_view text) {
    return begins(text, "reset") && text.size() > 6 && find_courtesy(text.substr(6));
}

constexpr Courtesy ignored_setting{.name = "set", .tag = "SET"};
constexpr Courtesy ignored_reset{.name = "reset", .tag = "RESET"};

const Courtesy* find(std::span<const Courtesy> among, std::string_view name) {
    const auto found = std::find_if(among.begin(), among.end(), [&](const Courtesy& one) {
        return protocol::same_name(one.name, name);
    });
    return found == among.end() ? nullptr : &*found;
}

}  // namespace

const Courtesy* find_courtesy(std::string_view name) { return find(settings, name); }

const Courtesy* find_sentence(std::string_view text) {
    const std::string words = plain(text);
    if (words.find(';') != std::string::npos) return nullptr;  // more than one
    if (const Courtesy* const whole = find(sentences, words)) return whole;
    for (const Courtesy& one : beginnings) {
        if (begins(words, one.name)) return &one;
    }
    if (resets_courtesy(words)) return &ignored_reset;
    return sets_courtesy(words) ? &ignored_setting : nullptr;
}

Answer set_ignored() {
    Answer answer = done("SET");
    answer.notice = "SET ignored";
    return answer;
}

}  // namespace pgweir::proxy::admin

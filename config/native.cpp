#include "config/native.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "config/entries.hpp"
#include "config/listen_address.hpp"
#include "config/settings.hpp"

namespace pgweir::config {

namespace {

using View = std::string_view;

/// Reads one setting of the table from what TOML has for it.
struct SettingReader {
    const Setting& setting;
    const TomlValue& value;
    const std::string& file;
    Settings& settings;

    Result<void> read(bool& to) const { return store(flag_in(value), to); }
    Result<void> read(Duration& to) const { return store(duration_in(value), to); }
    Result<void> read(std::vector<std::string>& to) const {
        const auto* const text = std::get_if<std::string>(&value.data);
        if (text) settings.list_texts.insert_or_assign(std::string(setting.name), *text);
        return store(list_in(value), to);
    }
    Result<void> read(std::int64_t& to) const { return store(number(), to); }
    Result<void> read(int& to) const {
        const auto parsed = number();
        if (parsed.has_error()) return parsed.error();
        to = static_cast<int>(*parsed);
        return {};
    }
    /// Everything else is a word or a text, which the ini spells the same.
    template <class Other>
    Result<void> read(Other&) const {
        const auto text = text_in(value);
        if (text.has_error()) return text.error();
        if (text->empty() && setting.toml == "auth.query") return {};  // "" = the usual query
        const bool path = setting.unit == Unit::path || setting.unit == Unit::nullable_path;
        return assign(settings, setting, path ? beside(file, *text) : *text);
    }

    Result<std::int64_t> number() const {
        const auto [min, max] = std::pair(setting.min, setting.max);
        const std::string* const text = std::get_if<std::string>(&value.data);
        if (setting.unit == Unit::bytes) return size_in(value, min, max);
        if (setting.unit == Unit::mode && text) return parse_integer(*text, min, max);
        return integer_in(value, min, max);
    }

    template <class Value>
    static Result<void> store(Result<Value> parsed, Value& to) {
        if (parsed.has_error()) return parsed.error();
        to = *std::move(parsed);
        return {};
    }
};

void read_setting(TableReader& table, View key, const Setting& setting, Draft& draft) {
    const TomlValue* const value = table.take(key);
    if (!value) return;
    const Place at = table.place(*value);
    Settings& settings = draft.config.settings;
    const SettingReader reader{setting, *value, at.file, settings};
    const auto done =
        std::visit([&](const auto& member) { return reader.read(value_at(settings, member)); },
                   setting.member);
    if (done.has_error()) table.problem(key, *value, done.error().message);
    draft.put(std::string(setting.name), at);
}

/// The settings whose path is a key of this table.
void read_settings(TableReader& table, Draft& draft) {
    for (const Setting& setting : all_settings()) {
        const std::size_t dot = std::min(setting.toml.rfind('.'), setting.toml.size());
        if (setting.toml.empty() || setting.toml.substr(0, dot) != table.path()) continue;
        read_setting(table, setting.toml.substr(dot + 1), setting, draft);
    }
}

void read_admin(TableReader table, Draft& draft) {
    table.read("http", draft.config.native.http);
    constexpr int query_shapes_max = 100'000;
    table.read("query_shapes", draft.config.native.query_shapes, 0, query_shapes_max);
    if (const TomlValue* const http = table.take("http")) {
        draft.put("admin.http", table.place(*http));
        const std::string& address = draft.config.native.http;
        const auto parsed = parse_listen_address(address);
        if (!address.empty() && parsed.has_error())
            table.problem("http", *http, parsed.error().message);
    }
    read_settings(table, draft);
    table.finish();
}

void read_log(TableReader table, Draft& draft) {
    Native& native = draft.config.native;
    table.read_word("format", native.log_format);
    table.read("slow_query", native.slow_query);
    table.read("slow_query_literals", native.slow_query_literals);
    table.read_word("level", native.log_level);
    if (native.log_level == LogLevel::debug) draft.config.settings.verbose = 1;
    read_settings(table, draft);
    table.finish();
}

void read_pool(TableReader table, Draft& draft) {
    table.read_word("session_state", draft.config.native.session_state);
    table.read("cache_unnamed", draft.config.native.cache_unnamed);
    table.read("pin_warn_after", draft.config.native.pin_warn_after);
    read_settings(table, draft);
    table.finish();
}

void read_workers(TableReader table, Draft& draft) {
    constexpr int threads_max = 1024;
    table.read("threads", draft.config.native.threads, 0, threads_max);
    table.read("core_dumps", draft.config.native.core_dumps);
    table.read_size("client_memory_limit", draft.config.native.client_memory_limit);
    table.read_size("memory_limit", draft.config.native.memory_limit);
    table.read("io_uring", draft.config.native.io_uring);
    read_settings(table, draft);
    table.finish();
}

/// "TLSv1.2" as PgBouncer's list of that version and those above.
Result<std::string> protocols_from(View version) {
    struct Known {
        View version, protocols;
    };
    constexpr std::array<Known, 4> versions = {{{"TLSv1.0", "all"},
                                                {"TLSv1.1", "tlsv1.1,tlsv1.2,tlsv1.3"},
                                                {"TLSv1.2", "secure"},
                                                {"TLSv1.3", "tlsv1.3"}}};
    for (const Known& known : versions) {
        if (same_word(known.version, version)) return std::string(known.protocols);
    }
    return expected("one of TLSv1.0, TLSv1.1, TLSv1.2, TLSv1.3", version);
}

void read_names(const TableReader& names, Tls& tls) {
    for (const auto& [name, value] : names.entries()) {
        TableReader table = names.table(name, value);
        if (!table.exists()) continue;
        Tls::Certificate& certificate = tls.names[name];
        for (const auto& [key, file] :
             {std::pair<View, std::string*>{"cert_file", &certificate.cert_file},
              {"key_file", &certificate.key_file}}) {
            table.read(key, *file);
            *file = beside(table.file(), *file);
            if (file->empty())
                table.problem(key, value, fmt::format("expected the {} of {}", key, name));
        }
        table.finish();
    }
}

void read_tls(TableReader table, Tls& tls, Draft& draft) {
    if (const TomlValue* const value = table.take("min_protocol")) {
        const auto version = text_in(*value);
        auto protocols = version.has_value() ? protocols_from(*version) : version;
        if (protocols.has_error())
            table.problem("min_protocol", *value, protocols.error().message);
        else
            tls.protocols = *std::move(protocols);
    }
    read_settings(table, draft);
    if (table.path() == "tls.client") {
        read_names(table.table("names"), tls);
    } else {
        table.read_word("negotiation", tls.negotiation);
    }
    table.finish();
}

/// One value of an entry's table, by the type of its member.
struct EntryReader {
    TableReader& table;
    View key;

    template <class Value>
    void read(std::optional<Value>& to) const {
        if (!table.take(key)) return;
        Value value{};
        read_value(value);
        to = std::move(value);
    }
    void read(std::string& to) const { table.read(key, to); }

    void read_value(std::string& to) const { table.read(key, to); }
    void read_value(protocol::Secret& to) const { table.read(key, to); }
    void read_value(int& to) const { table.read(key, to, 0); }
    void read_value(Duration& to) const { table.read(key, to); }
    template <class Word>
    void read_value(Word& to) const {
        table.read_word(key, to);
    }
};

template <class Owner>
void read_key(TableReader& table, View key, const EntryKey<Owner>& entry, Owner& owner) {
    if (key.empty()) return;
    const EntryReader reader{table, key};
    std::visit([&](const auto member) { reader.read(owner.*member); }, entry.member);
}

/// The keys of an entry: in its own table under PgBouncer's names or the native ones, in [X.pool]
/// under those of [pool].
template <class Owner>
void read_keys(TableReader& table, TableReader& pool, TableReader& tls,
               std::span<const EntryKey<Owner>> keys, Owner& owner) {
    constexpr View in_pool = "pool.", in_tls = "tls.";
    for (const EntryKey<Owner>& key : keys) {
        if (key.toml.starts_with(in_pool))
            read_key(pool, key.toml.substr(in_pool.size()), key, owner);
        else if (key.toml.starts_with(in_tls))
            read_key(tls, key.toml.substr(in_tls.size()), key, owner);
        else
            read_key(table, key.toml, key, owner);
        if (key.name != key.toml) read_key(table, key.name, key, owner);
    }
}

void read_database(TableReader table, const std::string& name, Draft& draft) {
    Database& database = draft.config.databases[name];
    database.name = name;
    TableReader pool = table.table("pool"), tls = table.table("tls");
    read_keys(table, pool, tls, database_keys(), database);
    for (auto* const path : {&database.sslrootcert, &database.sslcert, &database.sslkey}) {
        if (*path) **path = beside(table.file(), **path);
    }
    table.read("host", database.hosts);
    table.read("port", database.port, 1, 65535);
    table.read_word("load_balance_hosts", database.load_balance_hosts);
    table.read("cluster", database.cluster);
    table.read_word("role", database.role);
    for (const View key : startup_parameter_keys()) {
        std::string value;
        table.read(key, value);
        if (!value.empty()) database.startup_parameters.insert_or_assign(std::string(key), value);
    }
    for (const View key : {"cluster", "role", "host"}) {
        const TomlValue* const value = table.take(key);
        if (value) draft.put(fmt::format("databases.{}.{}", name, key), table.place(*value));
    }
    pool.finish();
    tls.finish();
    table.finish();
}

void read_user(TableReader table, const std::string& name, Draft& draft) {
    User& user = draft.config.users[name];
    user.name = name;
    TableReader pool = table.table("pool");
    for (TableReader* const reader : {&table, &pool}) {
        read_keys(*reader, *reader, *reader, user_keys(), user);
    }
    if (table.take("password")) {
        Credential credential{name, {}};
        table.read("password", credential.secret);
        draft.config.userlist.insert_or_assign(name, std::move(credential));
    }
    pool.finish();
    table.finish();
}

void read_peer(TableReader table, const std::string& name, const TomlValue& at, Draft& draft) {
    const auto id = parse_integer(name, 1, 65535);
    if (id.has_error()) return table.problem("", at, "id of a peer: " + id.error().message);
    Peer& peer = draft.config.peers[static_cast<int>(*id)];
    peer.id = static_cast<int>(*id);
    table.read("host", peer.host);
    table.read("port", peer.port, 1, 65535);
    EntryReader{table, "pool_size"}.read(peer.pool_size);
    table.finish();
    if (peer.host.empty()) table.problem("host", at, "expected the host of the peer");
}

/// Calls `read` for every table of a table whose keys are names.
template <class Read>
void each(const TableReader& tables, Draft& draft, const Read& read) {
    for (const auto& [name, value] : tables.entries()) {
        TableReader table = tables.table(name, value);
        if (!table.exists()) continue;
        draft.put(fmt::format("{}.{}", tables.path(), name), table.place(value));
        read(std::move(table), name, value);
    }
}

}  // namespace

void read_native(const TomlValue::Table& root, const std::string& file, Draft& draft) {
    TableReader top(&root, "", file, draft.findings);
    read_admin(top.table("admin"), draft);
    read_log(top.table("log"), draft);
    read_pool(top.table("pool"), draft);
    read_workers(top.table("workers"), draft);
    for (const View name : {"listen", "auth", "dns"}) {
        TableReader table = top.table(name);
        if (name == "auth") {
            table.read("failure_delay", draft.config.native.auth_failure_delay);
            table.read_word("server_cleartext", draft.config.native.server_cleartext);
        }
        if (name == "listen") table.read("proxy_protocol", draft.config.native.proxy_protocol);
        read_settings(table, draft);
        table.finish();
    }
    TableReader tls = top.table("tls");
    read_tls(tls.table("client"), draft.config.settings.client_tls, draft);
    read_tls(tls.table("server"), draft.config.settings.server_tls, draft);
    tls.finish();
    read_clusters(top.table("clusters"), draft);
    each(top.table("databases"), draft, [&](TableReader table, const std::string& name, auto&) {
        read_database(std::move(table), name, draft);
    });
    each(top.table("users"), draft, [&](TableReader table, const std::string& name, auto&) {
        read_user(std::move(table), name, draft);
    });
    each(top.table("peers"), draft,
         [&](TableReader table, const std::string& name, const TomlValue& at) {
             read_peer(std::move(table), name, at, draft);
         });
    top.finish();
}

std::string beside(const std::string& file, const std::string& name) {
    const std::size_t slash = file.rfind('/');
    const bool stays = name.empty() || name.starts_with('/') || name.starts_with("~/");
    if (stays || slash == std::string::npos) return name;
    return file.substr(0, slash + 1) + name;
}

}  // namespace pgweir::config

// A configuration as the text of a native TOML: the opposite of config/native.cpp, from the same
// tables.
#include <arpa/inet.h>
#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "config/entries.hpp"
#include "config/import.hpp"
#include "config/preference.hpp"
#include "config/settings.hpp"
#include "config/units.hpp"
#include "protocol/utf8.hpp"

namespace pgweir::config {

namespace {

using View = std::string_view;

/// The tables in the order of the file; those of entries follow.
constexpr View tables[] = {"listen",     "admin", "log",  "auth",   "tls.client",
                           "tls.server", "dns",   "pool", "workers"};

bool is_utf8(View text) {
    while (!text.empty()) {
        const std::size_t size = protocol::character_size(text);
        if (size == 0) return false;
        text.remove_prefix(size);
    }
    return true;
}

std::string in_quotes(View text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            out += {'\\', c};
        else if (byte < 0x20 || byte == 0x7f)
            out += fmt::format("\\u{:04x}", byte);
        else
            out += c;
    }
    return out + '"';
}

/// A string value: ${ would be taken for a variable.
std::string quoted(View text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text.substr(i).starts_with("${")) out += '$';
        out += text[i];
    }
    return in_quotes(out);
}

/// A key, in quotes when it has to be.
std::string bare(View key) {
    const bool plain = !key.empty() && std::ranges::all_of(key, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-';
    });
    return plain ? std::string(key) : in_quotes(key);
}

/// A line of a comment: whatever might end it is replaced.
std::string comment(View text) {
    std::string out = "# ";
    while (!text.empty()) {
        const std::size_t size = protocol::character_size(text);
        const bool shown = size > 1 || (size == 1 && text[0] >= ' ' && text[0] != '\x7f');
        out += shown ? std::string(text.substr(0, size)) : "?";
        text.remove_prefix(std::max<std::size_t>(size, 1));
    }
    return out + '\n';
}

std::string value_text(bool value) { return value ? "true" : "false"; }
std::string value_text(std::int64_t value) { return fmt::format("{}", value); }
std::string value_text(int value) { return fmt::format("{}", value); }
std::string value_text(Duration value) { return quoted(show_duration(value)); }
std::string value_text(const std::string& value) { return quoted(value); }
std::string value_text(const std::vector<std::string>& value) {
    std::string out = "[";
    for (const std::string& element : value) out += (out == "[" ? "" : ", ") + quoted(element);
    return out + "]";
}
/// The texts of such networks, for parse_networks().
std::vector<std::string> network_texts(const Networks& all) {
    std::vector<std::string> texts;
    for (const Network& network : all.networks) {
        char address[INET6_ADDRSTRLEN] = "";
        inet_ntop(network.address.v6 ? AF_INET6 : AF_INET, network.address.bytes.data(), address,
                  sizeof(address));
        int bits = 0;
        for (const std::uint8_t byte : network.mask) bits += std::popcount(byte);
        texts.push_back(fmt::format("{}/{}", address, bits));
    }
    if (all.unix_sockets) texts.emplace_back("unix");
    return texts;
}
std::string value_text(const std::vector<Preference>& value) {
    std::vector<std::string> texts;
    for (const Preference& one : value) texts.push_back(preference_text(one));
    return value_text(texts);
}
std::string value_text(const Networks& value) { return value_text(network_texts(value)); }
template <class Word>
requires std::is_enum_v<Word> std::string value_text(Word value) { return quoted(word_for(value)); }

class NativeWriter {
public:
    explicit NativeWriter(Draft& draft) : draft_(draft), config_(draft.config) {}

    std::string write() {
        for (const View table : tables) {
            heading_ = fmt::format("[{}]", table);
            settings(table);
            natives(table);
        }
        for (const auto& [name, cluster] : config_.clusters) write_cluster(cluster);
        for (const auto& [name, database] : config_.databases) write_database(database);
        for (const auto& [name, user] : config_.users) write_user(user);
        for (const auto& [id, peer] : config_.peers) write_peer(peer);
        return std::move(out_);
    }

private:
    /// Starts the table of an entry, which is written even when it is empty.
    void begin(View kind, View name) {
        place_ = fmt::format("{}.{}", kind, name);
        check_text(name);
        out_ += fmt::format("\n[{}.{}]\n", kind, bare(name));
        heading_.clear();
    }

    void line(View key, const std::string& value, View note = {}) {
        if (!heading_.empty()) out_ += "\n" + heading_ + "\n";
        heading_.clear();
        check_text(value);
        out_ += fmt::format("{} = {}{}{}\n", key, value, note.empty() ? "" : "  # ", note);
    }

    void check_text(View text) {
        if (is_utf8(text)) return;
        draft_.problem(
            place_, fmt::format("{}: expected UTF-8, which is all that a TOML can hold", place_));
    }

    template <class Value>
    void changed(View key, const Value& value, const Value& preset) {
        if (value != preset) line(key, value_text(value));
    }

    // ---- [listen] to [workers]

    void settings(View table) {
        const Settings native = native_settings();
        for (const Setting& setting : all_settings()) {
            const std::size_t dot = std::min(setting.toml.rfind('.'), setting.toml.size());
            if (setting.toml.empty() || setting.toml.substr(0, dot) != table) continue;
            const bool said = draft_.places.contains(setting.name);
            const bool same = show(config_.settings, setting) == show(native, setting);
            // Without a word about it a TOML reads the userlist.txt beside it.
            const bool wanted = said || !same || setting.name == "auth_file";
            if (!wanted) continue;
            place_ = setting.name;
            const View note = said   ? ""
                              : same ? "a userlist.txt beside this file is not read"
                                     : "the default of a pgbouncer.ini";
            line(setting.toml.substr(dot + 1), value_of(setting), note);
        }
    }

    std::string value_of(const Setting& setting) const {
        const Settings& settings = config_.settings;
        if (setting.unit == Unit::mode) {
            return fmt::format("0o{:o}", settings.*std::get<int Settings::*>(setting.member));
        }
        using List = std::vector<std::string> Settings::*;
        if (const auto* const list = std::get_if<List>(&setting.member)) {
            const std::string text = show(settings, setting).value_or("");
            if (text != join_list(settings.**list)) return quoted(text);  // as SHOW CONFIG has it
        }
        return std::visit(
            [&](const auto& member) { return value_text(value_at(settings, member)); },
            setting.member);
    }

    void natives(View table) {
        const Native& native = config_.native;
        const Native preset;
        place_ = table;
        if (table == "listen") {
            changed("proxy_protocol", native.proxy_protocol, preset.proxy_protocol);
        }
        if (table == "admin") {
            changed("http", native.http, preset.http);
            changed("query_shapes", native.query_shapes, preset.query_shapes);
        }
        if (table == "auth") {
            changed("failure_delay", native.auth_failure_delay, preset.auth_failure_delay);
            changed("server_cleartext", native.server_cleartext, preset.server_cleartext);
        }
        if (table == "workers") {
            changed("threads", native.threads, preset.threads);
            changed("core_dumps", native.core_dumps, preset.core_dumps);
            changed("client_memory_limit", native.client_memory_limit, preset.client_memory_limit);
            changed("memory_limit", native.memory_limit, preset.memory_limit);
            changed("io_uring", native.io_uring, preset.io_uring);
        }
        if (table == "log") {
            changed("level", native.log_level, preset.log_level);
            changed("format", native.log_format, preset.log_format);
            changed("slow_query", native.slow_query, preset.slow_query);
            changed("slow_query_literals", native.slow_query_literals, preset.slow_query_literals);
        }
        if (table == "pool") {
            changed("session_state", native.session_state, preset.session_state);
            changed("cache_unnamed", native.cache_unnamed, preset.cache_unnamed);
            changed("pin_warn_after", native.pin_warn_after, preset.pin_warn_after);
        }
        if (table == "tls.server") {
            changed("negotiation", config_.settings.server_tls.negotiation, Tls().negotiation);
        }
        if (table == "tls.client") certificates();
    }

    void certificates() {
        for (const auto& [name, certificate] : config_.settings.client_tls.names) {
            const std::string key = fmt::format("names.{}.", bare(name));
            line(key + "cert_file", quoted(certificate.cert_file));
            line(key + "key_file", quoted(certificate.key_file));
        }
    }

    // ---- entries

    void write_cluster(const Cluster& cluster) {
        const Cluster preset;
        begin("clusters", cluster.name);
        out_ += "nodes = [\n";
        for (const Node& node : cluster.nodes) {
            check_text(node.at.host);
            out_ += fmt::format("  {{ host = {}, port = {}", quoted(node.at.host), node.at.port);
            if (node.weight != 1) out_ += fmt::format(", weight = {}", node.weight);
            if (node.role != NodeRole::automatic) out_ += ", role = " + value_text(node.role);
            if (!node.zone.empty()) out_ += ", zone = " + quoted(node.zone);
            out_ += " },\n";
        }
        out_ += "]\n";
        write_health(cluster.health, draft_.password_files.find(cluster.name));
        changed("reads.split", cluster.reads.split, preset.reads.split);
        changed("reads.max_lag", cluster.reads.max_lag, preset.reads.max_lag);
        changed("reads.max_lag_bytes", cluster.reads.max_lag_bytes, preset.reads.max_lag_bytes);
        changed("reads.consistency", cluster.reads.consistency, preset.reads.consistency);
        changed("reads.balance", cluster.reads.balance, preset.reads.balance);
        changed("reads.wait", cluster.reads.wait, preset.reads.wait);
        changed("reads.zone", cluster.reads.zone, preset.reads.zone);
        changed("reads.slow_start", cluster.reads.slow_start, preset.reads.slow_start);
        changed("reads.ejection", cluster.reads.ejection, preset.reads.ejection);
        changed("reads.replica_safe_functions", cluster.reads.replica_safe_functions,
                preset.reads.replica_safe_functions);
        changed("reads.primary_functions", cluster.reads.primary_functions,
                preset.reads.primary_functions);
        changed("reads.foreign_tables", cluster.reads.foreign_tables, preset.reads.foreign_tables);
        changed("reads.prefer_application", cluster.reads.prefer_application, {});
        changed("reads.prefer_database", cluster.reads.prefer_database, {});
        changed("reads.prefer_user", cluster.reads.prefer_user, {});
        changed("failover.hold", cluster.failover.hold, preset.failover.hold);
        changed("failover.max_held", cluster.failover.max_held, preset.failover.max_held);
        changed("failover.state_file", cluster.failover.state_file, preset.failover.state_file);
        changed("failover.peers", cluster.failover.peers, preset.failover.peers);
        changed("failover.peers_ca_file", cluster.failover.peers_ca_file,
                preset.failover.peers_ca_file);
        changed("failover.retry_reads", cluster.failover.retry_reads, preset.failover.retry_reads);
        changed("failover.hook", cluster.failover.hook, preset.failover.hook);
        changed("failover.switchover_command", cluster.failover.switchover_command,
                preset.failover.switchover_command);
        changed("failover.switchover_timeout", cluster.failover.switchover_timeout,
                preset.failover.switchover_timeout);
    }

    void write_health(const Health& health,
                      std::map<std::string, std::string>::const_iterator password_file) {
        const Health preset;
        changed("health.user", health.user, preset.user);
        changed("health.password", health.password, preset.password);
        if (password_file != draft_.password_files.end()) {
            line("health.password_file", quoted(password_file->second));
        }
        changed("health.dbname", health.dbname, preset.dbname);
        changed("health.interval", health.interval, preset.interval);
        changed("health.fast_interval", health.fast_interval, preset.fast_interval);
        changed("health.timeout", health.timeout, preset.timeout);
        changed("health.failures", health.failures, preset.failures);
        changed("health.patroni", health.patroni, preset.patroni);
        changed("health.patroni_ca_file", health.patroni_ca_file, preset.patroni_ca_file);
    }

    /// The keys of an entry that are one member each. Of two keys for one member the first counts.
    template <class Owner>
    void keys(std::span<const EntryKey<Owner>> keys, const Owner& owner) {
        for (auto key = keys.begin(); key != keys.end(); ++key) {
            const auto first = std::ranges::find(keys, key->member, &EntryKey<Owner>::member);
            if (key->toml.empty() || first != key) continue;
            std::visit([&](const auto member) { member_line(key->toml, owner.*member); },
                       key->member);
        }
    }
    void member_line(View key, const std::string& value) {
        if (!value.empty()) line(key, quoted(value));
    }
    template <class Value>
    void member_line(View key, const std::optional<Value>& value) {
        if (value) line(key, value_text(*value));
    }

    void write_database(const Database& database) {
        const Database preset;
        begin("databases", database.name);
        if (!database.cluster.empty()) {
            line("cluster", quoted(database.cluster));
            changed("role", database.role, preset.role);
        } else {
            if (database.hosts.size() == 1) line("host", quoted(database.hosts.front()));
            if (database.hosts.size() > 1) line("host", value_text(database.hosts));
            changed("port", database.port, preset.port);
        }
        changed("load_balance_hosts", database.load_balance_hosts, preset.load_balance_hosts);
        keys(database_keys(), database);
        for (const auto& [key, value] : database.startup_parameters) {
            if (!value.empty()) line(key, quoted(value));
        }
    }

    void write_user(const User& user) {
        begin("users", user.name);
        const auto known = config_.userlist.find(user.name);
        if (known != config_.userlist.end()) line("password", quoted(known->second.secret));
        keys(user_keys(), user);
    }

    void write_peer(const Peer& peer) {
        begin("peers", fmt::format("{}", peer.id));
        line("host", quoted(peer.host));
        line("port", value_text(peer.port));
        member_line("pool_size", peer.pool_size);
    }

    Draft& draft_;
    const Config& config_;
    std::string out_;
    std::string heading_;  // of the table whose first line is still to come
    std::string place_;    // what is being written, as a key of draft_.places
};

}  // namespace

std::string write_native(Draft& draft, const std::vector<Problem>& remarks) {
    std::string out = comment("Made by pgweir import from " + draft.file);
    if (!remarks.empty()) out += "#\n" + comment("What is said otherwise here, or not at all:");
    for (const Problem& remark : remarks) out += comment(text(remark));
    return out + NativeWriter(draft).write();
}

}  // namespace pgweir::config

// docs/settings.md, made from the tables that the readers use.
#include <type_traits>

#include <fmt/format.h>

#include "config/entries.hpp"
#include "config/settings.hpp"

namespace pgweir::config {

namespace {

constexpr std::string_view introduction =
    R"(# Settings

This page is made from the tables in `config/`; a unit test keeps it up to date.

A `pgbouncer.ini` takes the names of the first column in its `[pgbouncer]` section. The native TOML
takes the paths of the second: `pool.size` is `size` in `[pool]`. A setting without a path has no
meaning in the native format. `SET` and `SHOW CONFIG` on the console use the first column whatever
the file's format is.

- Times: the ini has decimal seconds (`tcp_user_timeout` whole milliseconds), the TOML a string with
  a unit (`"250ms"`, `"5s"`, `"1h"`) or a number of seconds.
- Sizes: the ini has bytes, the TOML bytes or `"64KiB"`, `"16MB"`.
- Booleans: the ini has `0` and `1`, the TOML `true` and `false`.
- Lists: names between commas; the TOML takes an array too.
- Files: names in an ini are relative to the working directory, names in a TOML to its own folder;
  `~/` is the home directory in both.
- `${NAME}` in a string of a TOML is replaced from the environment; a missing variable is an error.
  `$${` stands for `${`.

"Restart" marks what is read at start only: a reload and `SET` leave it alone.

)";

constexpr std::string_view native_introduction =
    R"(
## Only in TOML

These stand in a native TOML, or beside an ini in its companion: `pgbouncer.pgweir.toml` beside
`pgbouncer.ini`. A companion may hold any table; it changes only what it names.

| TOML | default | what it does |
|---|---|---|
)";

struct NativeKey {
    std::string_view path, preset, help;
};

constexpr NativeKey native_keys[] = {
    {"admin.http", R"("")", "address of /metrics and the status page; empty = off"},
    {"log.level", R"("info")", "debug, info, warning or error"},
    {"log.format", R"("text")", "text (PgBouncer's line) or json"},
    {"log.slow_query", R"("1s")", "log queries that take longer; 0 = off"},
    {"pool.session_state", R"("track")", "whether session state follows a client: track or off"},
    {"pool.cache_unnamed", "true", "a repeated unnamed Parse becomes a shared statement"},
    {"tls.client.min_protocol", R"("TLSv1.2")", "lowest version; `protocols` wins over it"},
    {"tls.server.min_protocol", R"("TLSv1.2")", "lowest version; `protocols` wins over it"},
    {"workers.threads", "0", "threads; 0 = number of cores"},
    {"clusters.X.nodes", "", R"(list of `{ host, port = 5432, weight = 1, role = "auto" }`)"},
    {"clusters.X.nodes[].weight", "1", "share of the reads; 0 = only when nothing else is left"},
    {"clusters.X.nodes[].role", R"("auto")", "auto, primary, or replica: never promoted by pgweir"},
    {"clusters.X.health.user", R"("pgweir")", "who probes; pg_monitor is enough"},
    {"clusters.X.health.password", R"("")", "its password; empty = the one in the auth file"},
    {"clusters.X.health.password_file", R"("")", "file whose first line is that password"},
    {"clusters.X.health.dbname", R"("postgres")", "database the probe connects to"},
    {"clusters.X.health.interval", R"("200ms")", "time between probes"},
    {"clusters.X.health.fast_interval", R"("25ms")",
     "the same while no primary is known or a node is suspect"},
    {"clusters.X.health.timeout", R"("500ms")", "how long a probe may take"},
    {"clusters.X.health.failures", "2", "failed probes in a row that make a node count as down"},
    {"clusters.X.health.patroni", "[]", "base URLs of Patroni's REST endpoints"},
    {"clusters.X.reads.split", "true", "send reads to replicas"},
    {"clusters.X.reads.max_lag", R"("10s")", "a replica further behind gets no reads"},
    {"clusters.X.reads.max_lag_bytes", R"("64MiB")", "the same in bytes of the log"},
    {"clusters.X.reads.consistency", R"("session")", "eventual, session or global"},
    {"clusters.X.reads.balance", R"("least_latency")",
     "least_latency, least_connections, round_robin or random"},
    {"clusters.X.failover.hold", R"("30s")", "how long a request may wait for a primary"},
    {"clusters.X.failover.max_held", "10000", "how many requests may wait"},
    {"clusters.X.failover.state_file", R"("")", "where the highest timeline seen is kept"},
    {"clusters.X.failover.retry_reads", "true",
     "run an autocommit read again elsewhere when its server dies"},
    {"databases.X.cluster", R"("")", "the cluster to connect to, instead of `host` and `port`"},
    {"databases.X.role", R"("any")", "any, primary or replica"},
    {"users.X.password", "", "as a line of the auth file; wins over it"},
};

constexpr std::string_view entries_introduction =
    R"(
## Databases and users

In an ini these are `key=value` pairs in the value of an entry; numbers are whole, and `-1` stands
for "not set". In TOML they are keys of `[databases.X]` and `[users.X]`.

)";

constexpr std::string_view precedence =
    R"(
Beside these an ini's entry in `[databases]` takes `host` (a list is used in turn), `port`,
`load_balance_hosts` (round-robin or disable), `client_encoding`, `datestyle`, `timezone` and
`application_name`; so does `[databases.X]`. `*` is the entry for all other names; `pgbouncer` is
reserved for the console. `[peers]` has entries `ID = host=… port=… pool_size=…`.

## What applies to a pool

- pool mode, pool size, reserve size, query_wait_timeout: the user's, else the database's, else the
  global one.
- min_pool_size, server_lifetime and the caps per database: the database's, else the global one.
- query, transaction, idle transaction and client idle timeouts: the user's, else the database's
  (TOML only), else the global one.
- The caps per user: the user's, else the global one.
- A cap, a lifetime or one of these four timeouts of 0 in an entry means "not set"; a size of 0
  means "no limit".
)";

/// A value as it is written in the native TOML.
struct TomlWriter {
    std::string operator()(bool value) const { return value ? "true" : "false"; }
    std::string operator()(std::int64_t value) const { return fmt::format("{}", value); }
    std::string operator()(int value) const { return fmt::format("{}", value); }
    std::string operator()(Duration value) const {
        return fmt::format("\"{}\"", show_duration(value));
    }
    std::string operator()(const std::string& value) const { return fmt::format("\"{}\"", value); }
    std::string operator()(const std::vector<std::string>& value) const {
        std::string list;
        for (const std::string& part : value) {
            list += fmt::format("{}\"{}\"", list.empty() ? "" : ", ", part);
        }
        return "[" + list + "]";
    }
    template <class Word>
    requires std::is_enum_v<Word> std::string operator()(Word word) const {
        return fmt::format("\"{}\"", word_for(word));
    }
};

std::string toml_text(const Settings& settings, const Setting& setting) {
    if (setting.unit == Unit::mode) {
        return fmt::format("0o{:o}", settings.unix_socket_mode);
    }
    return std::visit([&](const auto& member) { return TomlWriter{}(value_at(settings, member)); },
                      setting.member);
}

std::string code(std::string_view text) {
    return text.empty() ? std::string() : fmt::format("`{}`", text);
}

void write_settings(std::string& page) {
    const Settings native = native_settings();
    page += "| ini | TOML | default in an ini | default in TOML | | what it does |\n"
            "|---|---|---|---|---|---|\n";
    for (const Setting& setting : all_settings()) {
        const bool in_toml = !setting.toml.empty();
        page += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", setting.name, code(setting.toml),
                            code(setting.preset.value_or("")),
                            in_toml ? code(toml_text(native, setting)) : "",
                            setting.changeable ? "" : "restart", setting.help);
    }
}

template <class Owner>
void write_keys(std::string& page, std::string_view section,
                std::span<const EntryKey<Owner>> keys) {
    page += fmt::format("| [{}] | TOML |\n|---|---|\n", section);
    for (const EntryKey<Owner>& key : keys) {
        page += fmt::format("| {} | {} |\n", code(key.name), code(key.toml));
    }
}

}  // namespace

std::string settings_page() {
    std::string page(introduction);
    write_settings(page);
    page += native_introduction;
    for (const NativeKey& key : native_keys) {
        page += fmt::format("| `{}` | {} | {} |\n", key.path, code(key.preset), key.help);
    }
    page += entries_introduction;
    write_keys(page, "databases", database_keys());
    page += '\n';
    write_keys(page, "users", user_keys());
    page += precedence;
    return page;
}

}  // namespace pgweir::config

// docs/settings.md, made from the tables that the readers use.
#include <type_traits>

#include <fmt/format.h>

#include "config/entries.hpp"
#include "config/native_keys.hpp"
#include "config/settings_page.hpp"

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

## TLS

- An entry's `sslmode`, `sslnegotiation`, `sslrootcert`, `sslcert` and `sslkey` (libpq's words), or
  its table `[databases.X.tls]`, stand in for the `server_tls_…` setting of that meaning.
- `direct` negotiation is for PostgreSQL from 17 on and for pgweir itself. It wants the mode
  require, verify-ca or verify-full, and a server that agrees on ALPN.
- A client that asks for a name (SNI) which `[tls.client.names]` does not have is shown
  `client_tls_cert_file`, as one that asks for none.
- Clients may resume their sessions, on every thread; after RELOAD too, for up to a day, unless
  there is a `client_tls_ca_file`: then certificates are asked for anew. What a server gives to
  resume a session serves the next connection to its address. PostgreSQL gives nothing.

## Without a file

Started without a file, the program reads its environment. Defaults are those of an ini, but for
`listen_addr` (`*`), `auth_type` (`scram-sha-256`) and `admin_users` (the user below). Later ones
of this list win:

- `POSTGRESQL_HOST`: the server, or several between commas: they become the cluster `main`. Each may
  have its own `:port`; `POSTGRESQL_PORT` (`5432`) is for those without.
- `POSTGRESQL_USERNAME` (`postgres`), `POSTGRESQL_PASSWORD` or `POSTGRESQL_PASSWORD_FILE`: a user
  known to pgweir, who also probes the nodes of the cluster.
- `PGBOUNCER_DATABASE`: what clients connect to; without it `POSTGRESQL_DATABASE`, else any name.
  `POSTGRESQL_DATABASE`: its name at the server.
- `PGBOUNCER_PORT`, `PGBOUNCER_LISTEN_ADDRESS`, and `PGBOUNCER_` before the name of any other
  setting of the ini (but `user` and `conffile`) in capitals: `PGBOUNCER_POOL_MODE`.
- `PGWEIR_` before a path of the TOML in capitals, with `_` for `.`: `PGWEIR_POOL_SIZE`,
  `PGWEIR_CLUSTERS_MAIN_READS_SPLIT`.

Empty variables, and what Kubernetes says of services (`tcp://…`), count as unset.
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

std::string toml_text(const Settings& settings, const Setting& setting) {
    if (setting.unit == Unit::mode) {
        return fmt::format("0o{:o}", settings.unix_socket_mode);
    }
    return std::visit([&](const auto& member) { return TomlWriter{}(value_at(settings, member)); },
                      setting.member);
}

std::string settings_page() {
    std::string page(introduction);
    write_settings(page);
    page += native_introduction;
    for (const NativeKey& key : native_keys()) {
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

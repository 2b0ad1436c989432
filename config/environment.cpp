#include "config/environment.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "config/native.hpp"
#include "config/native_keys.hpp"
#include "config/nearest.hpp"
#include "config/settings.hpp"
#include "config/toml.hpp"
#include "config/units.hpp"

namespace pgweir::config {

namespace {

using Table = TomlValue::Table;
constexpr std::string_view cluster_name = "main";

std::string capitals(std::string_view text) {
    std::string name;
    for (const char c : text) {
        const bool letter = c >= 'a' && c <= 'z';
        const bool separator = c == '.' || c == '-';
        name += letter ? static_cast<char>(c - 'a' + 'A') : separator ? '_' : c;
    }
    return name;
}

/// Kubernetes' NAME_SERVICE_HOST=…, NAME_SERVICE_PORT_… and NAME_PORT…=tcp://….
bool is_of_service(std::string_view name, std::string_view value) {
    return value.starts_with("tcp://") || name.starts_with("PGWEIR_SERVICE_") ||
           name.starts_with("PGWEIR_PORT_");
}

TomlValue text_value(std::string text) {
    return {.data = std::move(text), .line = 0, .loose = true};
}

/// The table at `path` below `table`, made when it is not there.
Table& table_at(Table& table, std::span<const std::string_view> path) {
    if (path.empty()) return table;
    auto found = std::ranges::find(table, path.front(), &TomlEntry::key);
    if (found == table.end()) {
        table.push_back({std::string(path.front()), TomlValue{Table{}}});
        found = table.end() - 1;
    }
    return table_at(std::get<Table>(found->value.data), path.subspan(1));
}

/// Puts a value in; one that is there already stays.
void put(Table& root, std::vector<std::string_view> path, TomlValue value) {
    const std::string_view key = path.back();
    path.pop_back();
    Table& table = table_at(root, path);
    if (std::ranges::find(table, key, &TomlEntry::key) != table.end()) return;
    table.push_back({std::string(key), std::move(value)});
}

std::vector<std::string_view> split_path(std::string_view path) {
    std::vector<std::string_view> parts;
    for (;;) {
        const std::size_t dot = path.find('.');
        parts.push_back(path.substr(0, dot));
        if (dot == std::string_view::npos) return parts;
        path.remove_prefix(dot + 1);
    }
}

/// The environment, read variable by variable into a native TOML.
class Reader {
public:
    Reader(Draft& draft, const Sources& sources) : draft_(draft), sources_(sources) {}

    void read() {
        defaults();
        pgbouncer_settings();
        pgweir_paths();
        const std::string user = variable("POSTGRESQL_USERNAME").value_or("postgres");
        const auto password = secret("POSTGRESQL_PASSWORD");
        servers(user, password);
        if (password) put(root_, {"users", user, "password"}, text_value(*password));
        if (draft_.config.settings.admin_users.empty()) {
            put(root_, {"admin", "users"}, text_value(user));
        }
        read_native(root_, std::string(environment_file), draft_);
    }

private:
    void defaults() {
        draft_.config.settings.listen_addr = {"*"};
        draft_.config.settings.auth_type = AuthType::scram_sha_256;
    }

    /// A variable's value. An empty one counts as unset: that is how compose files write "nothing".
    /// So does what Kubernetes tells every container about a service of the name "pgbouncer".
    std::optional<std::string> variable(std::string_view name) const {
        const auto found = sources_.environment.find(name);
        if (found == sources_.environment.end() || found->second.empty()) return std::nullopt;
        if (is_of_service(name, found->second)) return std::nullopt;
        return found->second;
    }

    /// The same, or the first line of the file that NAME_FILE names.
    std::optional<std::string> secret(const std::string& name) {
        if (auto value = variable(name)) return value;
        const auto path = variable(name + "_FILE");
        if (!path) return std::nullopt;
        const auto text = sources_.read(*path);
        if (text.has_value() && *text) return (*text)->substr(0, (*text)->find_first_of("\r\n"));
        problem(name + "_FILE", fmt::format("cannot read \"{}\"", *path));
        return std::nullopt;
    }

    void problem(std::string_view name, std::string_view text) {
        draft_.problem(environment_file, fmt::format("{}: {}", name, text));
    }

    void pgbouncer_settings() {
        for (const Setting& setting : all_settings()) {
            if (setting.name == "user" || setting.name == "conffile") continue;
            assign_from("PGBOUNCER_" + capitals(setting.name), setting);
        }
        assign_from("PGBOUNCER_PORT", *find_setting("listen_port"));
        assign_from("PGBOUNCER_LISTEN_ADDRESS", *find_setting("listen_addr"));
    }

    void assign_from(const std::string& name, const Setting& setting) {
        const auto value = variable(name);
        if (!value) return;
        const auto done = assign(draft_.config.settings, setting, *value);
        if (done.has_error()) problem(name, done.error().message);
    }

    void pgweir_paths() {
        std::vector<std::string> known;
        const auto read = [&](std::string_view path) {
            known.push_back("PGWEIR_" + capitals(path));
            if (auto value = variable(known.back())) {
                put(root_, split_path(path), text_value(*std::move(value)));
            }
        };
        for (const Setting& setting : all_settings()) {
            if (!setting.toml.empty()) read(setting.toml);
        }
        constexpr std::string_view cluster_prefix = "clusters.X.";
        for (const NativeKey& key : native_keys()) {
            if (key.path.find("X.") == std::string_view::npos) read(key.path);
            if (!key.path.starts_with(cluster_prefix) || key.path.ends_with("nodes")) continue;
            if (key.path.find("[]") != std::string_view::npos) continue;
            read(fmt::format("clusters.{}.{}", cluster_name,
                             key.path.substr(cluster_prefix.size())));
        }
        const std::vector<std::string_view> names(known.begin(), known.end());
        for (const auto& [name, value] : sources_.environment) {
            if (!name.starts_with("PGWEIR_") || is_of_service(name, value)) continue;
            if (std::ranges::find(known, name) != known.end()) continue;
            draft_.warning(environment_file,
                           fmt::format("unknown variable {}{}", name, did_you_mean(name, names)));
        }
    }

    /// "host" or "host:port"; an IPv6 address has more than one colon and so no port.
    TomlValue node(const std::string& text, const std::string& port) const {
        const std::size_t colon = text.find(':');
        const bool own_port = colon != std::string::npos && text.find(':', colon + 1) == text.npos;
        Table table;
        table.push_back({"host", text_value(text.substr(0, own_port ? colon : text.npos))});
        table.push_back({"port", text_value(own_port ? text.substr(colon + 1) : port)});
        return TomlValue{std::move(table)};
    }

    void servers(const std::string& user, const std::optional<std::string>& password) {
        const auto hosts = split_list(variable("POSTGRESQL_HOST").value_or(""));
        if (hosts.empty()) {
            return problem("POSTGRESQL_HOST", "expected the host of a server, or several between "
                                              "commas (there is no configuration file)");
        }
        const std::string port = variable("POSTGRESQL_PORT").value_or("5432");
        const auto dbname = variable("POSTGRESQL_DATABASE");
        const std::string database = variable("PGBOUNCER_DATABASE").value_or(dbname.value_or("*"));
        if (dbname) put(root_, {"databases", database, "dbname"}, text_value(*dbname));
        const bool cluster = std::ranges::find(root_, "clusters", &TomlEntry::key) != root_.end() ||
                             hosts.size() > 1;
        if (!cluster) {
            TomlValue only = node(hosts.front(), port);
            for (TomlEntry& entry : std::get<Table>(only.data)) {
                put(root_, {"databases", database, entry.key}, std::move(entry.value));
            }
            return;
        }
        TomlValue::Array nodes;
        for (const std::string& host : hosts) nodes.push_back(node(host, port));
        put(root_, {"clusters", cluster_name, "nodes"}, TomlValue{std::move(nodes)});
        put(root_, {"clusters", cluster_name, "health", "user"}, text_value(user));
        if (password) {
            put(root_, {"clusters", cluster_name, "health", "password"}, text_value(*password));
        }
        put(root_, {"databases", database, "cluster"}, text_value(std::string(cluster_name)));
    }

    Draft& draft_;
    const Sources& sources_;
    Table root_;
};

}  // namespace

void read_environment(Draft& draft, const Sources& sources) { Reader(draft, sources).read(); }

}  // namespace pgweir::config

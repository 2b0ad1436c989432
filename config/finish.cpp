#include "config/finish.hpp"

#include <fmt/format.h>

#include "config/entries.hpp"
#include "config/hba.hpp"
#include "config/nearest.hpp"
#include "config/settings.hpp"
#include "config/userlist.hpp"

namespace pgweir::config {

namespace {

/// "~/x" is x in the home directory, as in PgBouncer.
void expand_home(Draft& draft, const Sources& sources) {
    const auto home = sources.environment.find("HOME");
    if (home == sources.environment.end()) return;
    for (const Setting& setting : all_settings()) {
        if (setting.unit != Unit::path && setting.unit != Unit::nullable_path) continue;
        const auto path = show(draft.config.settings, setting);
        if (!path || !path->starts_with("~/")) continue;
        (void)assign(draft.config.settings, setting, home->second + path->substr(1));
    }
    const auto expand = [&](std::string& path) {
        if (path.starts_with("~/")) path.replace(0, 1, home->second);
    };
    for (auto& [name, database] : draft.config.databases) {
        for (auto* const path : {&database.sslrootcert, &database.sslcert, &database.sslkey})
            if (*path) expand(**path);
    }
    for (auto& [name, certificate] : draft.config.settings.client_tls.names) {
        expand(certificate.cert_file);
        expand(certificate.key_file);
    }
}

/// The text of a file the configuration names. A missing one is a warning: PgBouncer runs without.
std::optional<std::string> read_named(Draft& draft, const Sources& sources,
                                      std::string_view setting, const std::string& path) {
    auto text = sources.read(path);
    if (text.has_value() && *text) return *std::move(text);
    draft.warning(setting, fmt::format("{}: cannot read \"{}\": {}", setting, path,
                                       text.has_error() ? text.error().message : "no such file"));
    return std::nullopt;
}

void read_users(Draft& draft, const Sources& sources) {
    const std::string& path = draft.config.settings.auth_file;
    if (path.empty()) return;
    if (const auto text = read_named(draft, sources, "auth_file", path)) {
        for (auto& [name, user] : parse_userlist(*text, path, draft.findings)) {
            draft.config.userlist.try_emplace(name, std::move(user));  // [users] may know better
        }
    }
}

void read_hba(Draft& draft, const Sources& sources) {
    const Settings& settings = draft.config.settings;
    if (settings.auth_type != AuthType::hba) return;
    auto hba = std::make_shared<Hba>();
    const std::string& rules = settings.auth_hba_file;
    if (!rules.empty()) {
        if (const auto text = read_named(draft, sources, "auth_hba_file", rules)) {
            hba->rules = parse_hba(*text, rules, sources.read, draft.findings);
        }
    }
    const std::string& maps = settings.auth_ident_file;
    if (!maps.empty()) {
        if (const auto text = read_named(draft, sources, "auth_ident_file", maps)) {
            hba->maps = parse_ident(*text, maps, draft.findings);
        }
    }
    for (HbaRule& rule : hba->rules) {
        if (rule.map.empty() || hba->maps.contains(rule.map)) continue;
        rule.method.reset();  // nor is a line behind it to admit whom it was not meant for
        draft.findings.warning({rules, rule.line},
                               fmt::format("line rejects: there is no ident map \"{}\"", rule.map));
    }
    draft.config.hba = std::move(hba);
}

/// The password of a cluster's health probe: its own, else from its file, else from the userlist.
void complete_cluster(Cluster& cluster, Draft& draft, const Sources& sources) {
    protocol::Secret& password = cluster.health.password;
    const auto file = draft.password_files.find(cluster.name);
    if (file != draft.password_files.end()) {
        const std::string key = fmt::format("clusters.{}.health.password_file", cluster.name);
        const auto text = sources.read(file->second);
        const bool read = text.has_value() && text->has_value();
        if (read)
            password = (*text)->substr(0, (*text)->find_first_of("\r\n"));
        else
            draft.problem(key, fmt::format("{}: cannot read \"{}\"", key, file->second));
    } else if (const Credential* user = draft.config.credential(cluster.health.user)) {
        if (password.empty()) password = user->secret;
    }
}

void complete_database(Database& database, const Config& config) {
    if (database.dbname.empty() && database.name != "*") database.dbname = database.name;
    if (!database.endpoints.empty()) return;
    if (const Cluster* const cluster = config.cluster(database.cluster)) {
        database.hosts.clear();
        for (const Node& node : cluster->nodes) {
            database.hosts.push_back(node.at.host);
            database.endpoints.push_back(node.at);
        }
        if (!cluster->nodes.empty()) database.port = cluster->nodes.front().at.port;
        return;
    }
    for (const std::string& host : database.hosts) {
        database.endpoints.push_back({host, database.port});
    }
    if (database.hosts.empty()) {
        database.endpoints.push_back({config.settings.unix_socket_dir, database.port});
    }
}

void validate_tls(Draft& draft) {
    const Settings& settings = draft.config.settings;
    const Tls& client = settings.client_tls;
    if (client.sslmode != SslMode::disable &&
        (client.key_file.empty() || client.cert_file.empty())) {
        draft.problem("client_tls_sslmode",
                      "To allow TLS connections from clients, client_tls_key_file and "
                      "client_tls_cert_file must be set.");
    }
    const bool verifies =
        client.sslmode == SslMode::verify_ca || client.sslmode == SslMode::verify_full;
    if (settings.auth_type == AuthType::cert && !verifies) {
        draft.problem("auth_type", "auth_type=cert: expected client_tls_sslmode=verify-full, got " +
                                       std::string(word_for(client.sslmode)));
    }
}

/// As libpq: who would do without TLS cannot begin with it.
void validate_negotiation(Draft& draft) {
    const Settings& settings = draft.config.settings;
    const auto weak = [](const Tls& tls) {
        return tls.negotiation == SslNegotiation::direct && tls.sslmode < SslMode::require &&
               tls.sslmode != SslMode::disable;
    };
    const auto text = [](const Tls& tls) {
        return fmt::format(
            "direct negotiation: expected mode require, verify-ca or verify-full, got {}",
            word_for(tls.sslmode));
    };
    if (weak(settings.server_tls))
        return draft.problem("server_tls_sslmode", text(settings.server_tls));
    for (const auto& [name, database] : draft.config.databases) {
        const Tls tls = server_tls(settings, database);
        if (weak(tls)) draft.problem("databases." + name, fmt::format("{}: {}", name, text(tls)));
    }
}

void validate_auth(Draft& draft) {
    const Settings& settings = draft.config.settings;
    const std::string reserved =
        fmt::format("cannot use the reserved \"{}\" database as an auth_dbname", console_database);
    if (settings.auth_dbname == console_database) draft.problem("auth_dbname", reserved);
    for (const auto& [name, database] : draft.config.databases) {
        if (database.auth_dbname == console_database) {
            draft.warning(
                "databases." + name,
                fmt::format("{}: auth_dbname is the console, which has no secrets: who is "
                            "not in auth_file cannot log in",
                            name));
        }
    }
    if (settings.auth_type == AuthType::hba && settings.auth_hba_file.empty()) {
        draft.warning("auth_type", "auth_type=hba without auth_hba_file: nobody can log in");
    }
    const bool needs_secrets = settings.auth_type == AuthType::md5 ||
                               settings.auth_type == AuthType::plain ||
                               settings.auth_type == AuthType::scram_sha_256;
    bool looks_up = !settings.auth_user.empty();
    for (const auto& [name, database] : draft.config.databases) {
        looks_up |= database.auth_user.has_value();
    }
    if (draft.findings.problems.empty() && needs_secrets && draft.config.userlist.empty() &&
        !looks_up) {
        draft.warning("auth_type", "no user has a password here and there is no auth_user to look "
                                   "them up: nobody can log in");
    }
}

void validate_databases(Draft& draft) {
    if (draft.config.database(console_database)) {
        draft.problem(fmt::format("databases.{}", console_database),
                      fmt::format("database name \"{}\" is reserved", console_database));
    }
    for (const auto& [name, database] : draft.config.databases) {
        const std::string key = "databases." + name;
        const bool both =
            draft.places.contains(key + ".cluster") && draft.places.contains(key + ".host");
        if (both) draft.problem(key + ".host", key + ": expected either cluster or host, got both");
        if (database.role != TargetRole::any && database.cluster.empty()) {
            draft.problem(key + ".role", key + ".role: means nothing without a cluster");
        }
        if (name.empty()) draft.problem(key, "the name of a database is empty");
        if (database.cluster.empty() || draft.config.cluster(database.cluster)) continue;
        std::vector<std::string_view> names;
        for (const auto& [cluster, ignored] : draft.config.clusters) names.push_back(cluster);
        draft.problem(key + ".cluster",
                      fmt::format("there is no cluster \"{}\"{}", database.cluster,
                                  did_you_mean(database.cluster, names)));
    }
}

}  // namespace

void complete(Draft& draft, const Sources& sources) {
    expand_home(draft, sources);
    read_users(draft, sources);
    read_hba(draft, sources);
    for (auto& [name, cluster] : draft.config.clusters) complete_cluster(cluster, draft, sources);
    for (auto& [name, database] : draft.config.databases) {
        complete_database(database, draft.config);
    }
}

void validate(Draft& draft) {
    validate_tls(draft);
    validate_negotiation(draft);
    validate_auth(draft);
    validate_databases(draft);
}

}  // namespace pgweir::config

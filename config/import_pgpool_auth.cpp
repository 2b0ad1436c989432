// Who may log in to pgpool and how, and TLS on both sides.
#include <algorithm>

#include <fmt/format.h>

#include "config/hba.hpp"
#include "config/import_pgpool.hpp"
#include "config/native.hpp"
#include "config/units.hpp"

namespace pgweir::config {

namespace {

using View = std::string_view;

bool is_md5(View secret) {
    return secret.size() == 35 && secret.starts_with("md5") &&
           secret.find_first_not_of("0123456789abcdef", 3) == View::npos;
}

/// The lines `name:secret` of pool_passwd as [users].
void read_passwords(const std::string& file, View text, Foreign& foreign) {
    Config& config = foreign.draft.config;
    for (Place at{file, 1}; !text.empty(); ++at.line) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const View line = trim(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty()) continue;
        const std::size_t colon = line.find(':');
        const std::string name(line.substr(0, colon));
        const auto remark = [&](std::string said) {
            foreign.remarks.push_back({at.file, at.line, std::move(said)});
        };
        if (colon == View::npos || colon == 0) {
            foreign.draft.findings.problem(at, "expected name:secret");
            continue;
        }
        const auto secret = pgpool_secret(line.substr(colon + 1));
        if (!secret) {
            remark(fmt::format("the password of {} is encrypted with pgpool's key: give it as "
                               "password in [users.{}]",
                               name, name));
            continue;
        }
        if (secret->empty()) {
            remark(fmt::format("{} has no password here", name));
            continue;
        }
        config.users[name].name = name;
        config.userlist.insert_or_assign(name, Credential{name, *secret});
        foreign.draft.put("users." + name, at);
    }
}

void read_hba_file(PgpoolConf& conf, const std::string& path, const Sources& sources,
                   Foreign& foreign) {
    const std::string file = beside(path, "pool_hba.conf");
    conf.set("auth_type", "hba", "enable_pool_hba");
    conf.set("auth_hba_file", file, "enable_pool_hba");
    const auto text = sources.read(file);
    if (text.has_error() || !*text) {
        conf.remark("enable_pool_hba",
                    fmt::format("cannot read {}: without it nobody can log in", file));
        return;
    }
    Findings findings;
    parse_hba(**text, file, sources.read, findings);
    for (Problem& warning : findings.warnings) {
        warning.text = "pgweir's HBA rules are PgBouncer's: " + warning.text;
        foreign.remarks.push_back(std::move(warning));
    }
}

void read_tls(PgpoolConf& conf, const std::string& path) {
    const bool on = conf.flag("ssl", false);
    conf.set("client_tls_sslmode", on ? "prefer" : "disable", "ssl");
    conf.set("server_tls_sslmode", on ? "prefer" : "disable", "ssl");
    if (!on) return;
    struct Carried {
        View pgpool, setting;
        bool file = true;
    };
    constexpr Carried carried[] = {{"ssl_key", "client_tls_key_file"},
                                   {"ssl_cert", "client_tls_cert_file"},
                                   {"ssl_ca_cert", "client_tls_ca_file"},
                                   {"ssl_ca_cert", "server_tls_ca_file"},
                                   {"ssl_ciphers", "client_tls_ciphers", false},
                                   {"ssl_ecdh_curve", "client_tls_ecdhcurve", false}};
    for (const Carried& one : carried) {
        const std::string value = conf.text(one.pgpool, "");
        if (!value.empty())
            conf.set(one.setting, one.file ? beside(path, value) : value, one.pgpool);
    }
    if (!conf.text("ssl_ca_cert", "").empty()) {
        conf.remark("ssl_ca_cert", "certificates are verified when tls.client.mode or "
                                   "tls.server.mode is verify-ca or verify-full");
    }
}

}  // namespace

std::optional<std::string> pgpool_secret(View text) {
    if (text.starts_with("AES")) return std::nullopt;
    if (text.starts_with("TEXT")) text.remove_prefix(4);
    return std::string(text);
}

void read_pgpool_auth(PgpoolConf& conf, const std::string& path, const Sources& sources,
                      Foreign& foreign) {
    const std::string file = conf.text("pool_passwd", "pool_passwd");
    if (!file.empty()) {
        const std::string full = beside(path, file);
        const auto text = sources.read(full);
        if (text.has_value() && *text) {
            read_passwords(full, **text, foreign);
        } else if (conf.take("pool_passwd")) {
            conf.remark("pool_passwd", fmt::format("cannot read {}", full));
        }
    }
    const auto& userlist = foreign.draft.config.userlist;
    const bool any_md5 =
        std::ranges::any_of(userlist, [](const auto& user) { return is_md5(user.second.secret); });
    if (conf.flag("enable_pool_hba", false)) {
        read_hba_file(conf, path, sources, foreign);
    } else {
        conf.set("auth_type", any_md5 ? "md5" : "scram-sha-256", "enable_pool_hba");
        conf.remark("enable_pool_hba",
                    "pgpool left it to PostgreSQL how clients log in; here auth.method says it");
    }
    if (any_md5) {
        conf.remark("pool_passwd", "with an md5 secret pgweir can log in to PostgreSQL only where "
                                   "that asks for md5 as well; for SCRAM give the password");
    }
    if (userlist.empty()) {
        conf.remark("pool_passwd", "no user has a password here: give [users.NAME] password, or "
                                   "auth.user to look them up in PostgreSQL with auth.query");
    }
    read_tls(conf, path);
}

}  // namespace pgweir::config

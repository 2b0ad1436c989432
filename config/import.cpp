#include "config/import.hpp"

#include <algorithm>
#include <ostream>

#include <fmt/format.h>

#include "config/import_pgpool.hpp"
#include "config/load.hpp"
#include "config/settings.hpp"
#include "config/units.hpp"

namespace pgweir::config {

namespace {

/// Whether this is a pgpool.conf: settings without a section around them.
bool is_pgpool(const std::string& path, std::string_view text) {
    if (path.ends_with(".ini")) return false;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = trim(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty() || line[0] == '#') continue;
        return line[0] != '[' && line[0] != ';' && line[0] != '%';
    }
    return path.ends_with(".conf");
}

Foreign read_pgbouncer(const std::string& path, const Sources& sources) {
    Foreign foreign{read_draft(path, sources), {}};
    const Draft& draft = foreign.draft;
    foreign.remarks = draft.findings.warnings;
    for (const Setting& setting : all_settings()) {
        const auto at = draft.places.find(setting.name);
        if (!setting.toml.empty() || at == draft.places.end()) continue;
        const auto value = show(draft.config.settings, setting);
        foreign.remarks.push_back({at->second.file, at->second.line,
                                   fmt::format("{} = {} has no place in a TOML ({})", setting.name,
                                               value.value_or(""), setting.help)});
    }
    for (const auto& [name, database] : draft.config.databases) {
        for (const auto& [key, value] : database.startup_parameters) {
            if (!value.empty()) continue;
            const Place at = draft.where("databases." + name);
            foreign.remarks.push_back({at.file, at.line,
                                       fmt::format("the empty {} of {} is left out: in a TOML that "
                                                   "means not set",
                                                   key, name)});
        }
    }
    return foreign;
}

/// Makes the relative names of files absolute.
class Absolute {
public:
    Absolute(Foreign& foreign, const std::string& folder) : foreign_(foreign), folder_(folder) {}

    void settings() {
        for (const Setting& setting : all_settings()) {
            const bool path = setting.unit == Unit::path || setting.unit == Unit::nullable_path;
            if (!path || setting.toml.empty()) continue;
            Settings& settings = foreign_.draft.config.settings;
            const auto name = show(settings, setting);
            if (!name || !is_relative(*name)) continue;
            (void)assign(settings, setting, absolute(setting.name, *name));
        }
    }

    void entries() {
        Config& config = foreign_.draft.config;
        for (auto& [name, file] : foreign_.draft.password_files) {
            change(fmt::format("clusters.{}.health.password_file", name), file);
        }
        for (auto& [name, cluster] : config.clusters) {
            change("clusters." + name, cluster.failover.state_file);
        }
        for (auto& [name, database] : config.databases) {
            for (auto* const file : {&database.sslrootcert, &database.sslcert, &database.sslkey}) {
                if (*file) change("databases." + name, **file);
            }
        }
        for (auto& [name, certificate] : config.settings.client_tls.names) {
            change("client_tls_cert_file", certificate.cert_file);
            change("client_tls_cert_file", certificate.key_file);
        }
    }

private:
    static bool is_relative(std::string_view name) {
        return !name.empty() && !name.starts_with('/') && !name.starts_with("~/");
    }

    void change(std::string_view key, std::string& name) {
        if (is_relative(name)) name = absolute(key, name);
    }

    std::string absolute(std::string_view key, const std::string& name) {
        const Place at = foreign_.draft.where(key);
        std::string full = folder_ + (folder_.ends_with('/') ? "" : "/") + name;
        foreign_.remarks.push_back(
            {at.file, at.line,
             fmt::format("\"{}\" has become {}: in a TOML a relative name is relative to the TOML",
                         name, full)});
        return full;
    }

    Foreign& foreign_;
    const std::string& folder_;
};

/// What a loader says to the TOML.
std::vector<Problem> tried(const std::string& toml, const Sources& sources) {
    const std::string name = "imported.toml";
    Sources with = sources;
    with.read = [&](const std::string& path) -> protocol::Result<std::optional<std::string>> {
        if (path == name) return std::optional(toml);
        return sources.read(path);
    };
    return load(name, with).problems;
}

}  // namespace

Imported import_text(const std::string& path, const Sources& sources, const std::string& folder) {
    const auto failed = [&](std::string text) {
        return Imported{"", {{path, 0, std::move(text)}}};
    };
    if (path.ends_with(".toml")) return failed("this is a native TOML already");
    const auto text = sources.read(path);
    if (text.has_error()) return failed("cannot read the file: " + text.error().message);
    if (!*text) return failed("cannot read the file: no such file");
    Foreign foreign =
        is_pgpool(path, **text) ? read_pgpool(path, sources) : read_pgbouncer(path, sources);
    Loaded loaded = finish(foreign.draft, sources);
    if (!loaded.config) return {"", std::move(loaded.problems)};

    if (!folder.empty()) {
        Absolute absolute(foreign, folder);
        absolute.settings();
        absolute.entries();
    }
    std::ranges::stable_sort(foreign.remarks, {}, [&](const Problem& remark) {
        return std::tuple(remark.file != path, remark.file, remark.line);
    });
    Imported result{write_native(foreign.draft, foreign.remarks), {}};
    result.problems = std::move(foreign.draft.findings.problems);
    if (result.problems.empty()) {
        for (Problem& problem : tried(result.toml, sources)) {
            result.problems.push_back(
                {path, 0, "this cannot be said in a TOML: " + std::move(problem.text)});
        }
    }
    if (!result.problems.empty()) result.toml.clear();
    return result;
}

int import_file(const std::string& path, std::ostream& out, std::ostream& errors,
                const Sources& sources, const std::string& folder) {
    const Imported imported = import_text(path, sources, folder);
    for (const Problem& problem : imported.problems) {
        errors << problem.file << ':' << std::max(problem.line, 1) << ": " << problem.text << '\n';
    }
    out << imported.toml;
    out.flush();
    return imported.problems.empty() && out.good() ? 0 : 1;
}

}  // namespace pgweir::config

#include "config/load.hpp"

#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <tuple>

#include <fmt/format.h>

#include "config/entries.hpp"
#include "config/environment.hpp"
#include "config/finish.hpp"
#include "config/ini.hpp"
#include "config/native.hpp"
#include "config/settings.hpp"

namespace pgweir::config {

namespace {

void read_setting(const IniEntry& entry, Draft& draft) {
    const Setting* const setting = find_setting(entry.key);
    if (!setting) {
        draft.findings.problem(entry.at, unknown_setting(entry.key));
        return;
    }
    const auto done = assign(draft.config.settings, *setting, entry.value);
    if (done.has_error()) {
        draft.findings.problem(entry.at,
                               fmt::format("{}: {}", setting->name, done.error().message));
    }
    draft.put(std::string(setting->name), entry.at);
}

void read_ini_file(Draft& draft, const Sources& sources) {
    draft.config.settings.conffile = draft.file;
    draft.config.native.slow_query = Duration(0);  // PgBouncer logs nothing of the kind …
    draft.config.native.server_cleartext = Cleartext::always;  // … and gives what it is asked for
    for (const IniEntry& entry : read_ini(draft.file, sources.read, draft.findings)) {
        if (entry.section == "pgbouncer")
            read_setting(entry, draft);
        else if (entry.section == "databases")
            read_database(entry, draft);
        else if (entry.section == "users")
            read_user(entry, draft);
        else
            read_peer(entry, draft);
    }
}

/// Reads a TOML file into the draft. Returns false when there is none of that name.
bool read_toml_file(const std::string& path, Draft& draft, const Sources& sources) {
    const auto text = sources.read(path);
    if (text.has_error()) {
        draft.findings.problem({path, 0}, "cannot read the file: " + text.error().message);
        return true;
    }
    if (!*text) return false;
    const auto root = parse_toml(**text, path, sources.environment, draft.findings);
    read_native(root, path, draft);
    return true;
}

/// The name of the file that says about an ini what only pgweir understands.
std::string companion_of(const std::string& path) {
    constexpr std::string_view ending = ".ini";
    const bool ini = path.ends_with(ending);
    return path.substr(0, path.size() - (ini ? ending.size() : 0)) + ".pgweir.toml";
}

/// By line, the file the operator named first; what came first stays first on its line.
void sort(std::vector<Problem>& problems, const std::string& path) {
    std::ranges::stable_sort(problems, {}, [&](const Problem& problem) {
        return std::tuple(problem.file != path, problem.file, problem.line);
    });
}

protocol::Error system_error(int code) {
    return {protocol::sqlstate::config_file_error, protocol::Origin::proxy, std::strerror(code)};
}

}  // namespace

protocol::Result<std::optional<std::string>> read_file(const std::string& path) {
    struct Close {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "re"));
    if (!file && errno == ENOENT) return std::optional<std::string>();
    if (!file) return system_error(errno);
    std::setvbuf(file.get(), nullptr, _IONBF, 0);  // there may be secrets in it
    std::string text;
    char buffer[65536];
    while (const std::size_t size = std::fread(buffer, 1, sizeof(buffer), file.get())) {
        if (text.size() + size > file_size_max) return system_error(EFBIG);
        text.append(buffer, size);
    }
    if (std::ferror(file.get())) return system_error(errno);
    return std::optional(std::move(text));
}

Sources system_sources() {
    Sources sources{.read = read_file, .environment = {}};
    for (char** entry = environ; entry && *entry; ++entry) {
        const std::string_view text = *entry;
        const std::size_t equals = text.find('=');
        if (equals == std::string_view::npos) continue;
        sources.environment.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    return sources;
}

Draft read_draft(const std::string& path, const Sources& sources) {
    Draft draft;
    draft.file = path.empty() ? environment_file : path;
    if (path.empty()) {
        read_environment(draft, sources);
    } else if (path.ends_with(".toml")) {
        draft.config.settings = native_settings();
        draft.config.settings.conffile = path;
        const std::string userlist = beside(path, "userlist.txt");
        const auto found = sources.read(userlist);
        if (found.has_value() && *found) draft.config.settings.auth_file = userlist;
        if (!read_toml_file(path, draft, sources)) {
            draft.findings.problem({path, 0}, "cannot read the file: no such file");
        }
    } else {
        read_ini_file(draft, sources);
        read_toml_file(companion_of(path), draft, sources);
    }
    return draft;
}

namespace {

/// A configuration leaves none of its secrets behind, whatever type they are of.
struct Forget {
    void operator()(const Config* config) const {
        const protocol::Cleansing cleansing;
        delete config;
    }
};

}  // namespace

Loaded finish(Draft draft, const Sources& sources) {
    const std::string path = draft.file;
    complete(draft, sources);
    validate(draft);
    sort(draft.findings.problems, path);
    sort(draft.findings.warnings, path);
    std::vector<Problem> unsafe = risks(draft);
    sort(unsafe, path);
    Loaded result{nullptr, std::move(draft.findings.problems), std::move(draft.findings.warnings),
                  std::move(unsafe)};
    if (result.problems.empty()) {
        result.config = {new Config(std::move(draft.config)), Forget()};
    }
    return result;
}

Loaded load(const std::string& path, const Sources& sources) {
    const protocol::Cleansing cleansing;
    return finish(read_draft(path, sources), sources);
}

Loaded reload(const Config& present, const Sources& sources) {
    const protocol::Cleansing cleansing;
    Draft draft = read_draft(present.settings.conffile, sources);
    for (const auto& [name, text] : present.settings.set_texts) {
        if (!draft.places.contains(name)) (void)set(draft.config.settings, name, text);
    }
    return finish(std::move(draft), sources);
}

Loaded from_environment(const Sources& sources) { return load({}, sources); }

}  // namespace pgweir::config

#include "config/load.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <unistd.h>

#include <fmt/format.h>

#include "config/entries.hpp"
#include "config/finish.hpp"
#include "config/ini.hpp"
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
    for (const IniEntry& entry : read_ini(draft.file, sources.read, draft.findings)) {
        if (entry.section == "pgbouncer") read_setting(entry, draft);
        else if (entry.section == "databases") read_database(entry, draft);
        else if (entry.section == "users") read_user(entry, draft);
        else read_peer(entry, draft);
    }
}

Loaded loaded(Draft draft, const Sources& sources) {
    complete(draft, sources);
    validate(draft);
    Loaded result{nullptr, std::move(draft.findings.problems), std::move(draft.findings.warnings)};
    if (result.problems.empty()) {
        result.config = std::make_shared<const Config>(std::move(draft.config));
    }
    return result;
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

Loaded load(const std::string& path, const Sources& sources) {
    Draft draft{.file = path, .config = {}, .findings = {}, .places = {}};
    read_ini_file(draft, sources);
    return loaded(std::move(draft), sources);
}

}  // namespace pgweir::config

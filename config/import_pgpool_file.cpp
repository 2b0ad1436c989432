// The format of pgpool.conf, which is postgresql.conf's: `name = value`, # comments, include.
#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "config/import_pgpool.hpp"
#include "config/included_files.hpp"
#include "config/native.hpp"
#include "config/settings.hpp"
#include "config/units.hpp"
#include "protocol/ascii.hpp"

namespace pgweir::config {

namespace {

using View = std::string_view;

bool is_key_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
}

/// Cuts a value in single quotes off `rest`: two of them stand for one, a backslash for what
/// follows. nullopt when the closing one is missing.
std::optional<std::string> cut_value(View& rest) {
    std::string value;
    for (std::size_t i = 1; i < rest.size(); ++i) {
        const bool escapes =
            i + 1 < rest.size() && (rest[i] == '\\' || (rest[i] == '\'' && rest[i + 1] == '\''));
        if (escapes) {
            value += rest[++i];
        } else if (rest[i] == '\'') {
            rest.remove_prefix(i + 1);
            return value;
        } else {
            value += rest[i];
        }
    }
    return std::nullopt;
}

class FileReader {
public:
    FileReader(const ReadFile& read, Findings& findings)
        : files_(read, findings),
          findings_(findings) {}

    /// `from`, `depth`: see IncludedFiles::read().
    void file(const std::string& path, const Place& from, int depth) {
        const auto text = files_.read(path, from, depth);
        if (!text) return;
        View rest = *text;
        for (Place at{path, 1}; !rest.empty(); ++at.line) {
            const std::size_t end = std::min(rest.find('\n'), rest.size());
            line(trim(rest.substr(0, end)), at, depth);
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
    }

    std::vector<PgpoolEntry> take() { return std::move(entries_); }

private:
    void line(View rest, const Place& at, int depth) {
        if (rest.empty() || rest[0] == '#') return;
        const auto end = std::ranges::find_if_not(rest, is_key_char);
        const View key(rest.begin(), end);
        rest = trim(rest.substr(key.size()));
        if (rest.starts_with('=')) rest = trim(rest.substr(1));
        std::optional<std::string> value;
        if (rest.starts_with('\'')) {
            value = cut_value(rest);
        } else {
            const std::size_t size = std::min(rest.find_first_of(" \t#'"), rest.size());
            value = std::string(rest.substr(0, size));
            rest.remove_prefix(size);
            if (value->empty()) value.reset();
        }
        rest = trim(rest);
        if (key.empty() || !value || !(rest.empty() || rest[0] == '#')) {
            findings_.problem(at, "syntax error: expected name = value, with the value in single "
                                  "quotes when it has other than letters and digits");
            return;
        }
        if (key == "include") return file(beside(at.file, *value), at, depth + 1);
        if (!files_.admits_entry(at)) return;
        entries_.push_back({protocol::folded(key), *std::move(value), at});
    }

    IncludedFiles files_;
    Findings& findings_;
    std::vector<PgpoolEntry> entries_;
};

/// A number, and what stands behind it.
struct Measured {
    double number;
    View unit;
};

std::optional<Measured> measured(View text) {
    const std::size_t size = std::min(text.find_first_not_of("0123456789."), text.size());
    const auto number = parse_seconds(text.substr(0, size));  // a plain decimal number
    if (number.has_error()) return std::nullopt;
    return Measured{static_cast<double>(number->count()) / 1e6, trim(text.substr(size))};
}

}  // namespace

std::vector<PgpoolEntry> read_pgpool_file(const std::string& path, const ReadFile& read,
                                          Findings& findings) {
    FileReader reader(read, findings);
    reader.file(path, Place{path, 0}, 0);
    return reader.take();
}

PgpoolConf::PgpoolConf(std::vector<PgpoolEntry> entries, Foreign& foreign) : foreign_(foreign) {
    for (PgpoolEntry& entry : entries) {
        std::string key = entry.key;
        entries_.insert_or_assign(std::move(key), std::move(entry));
    }
}

const PgpoolEntry* PgpoolConf::find(View key) const {
    const auto found = entries_.find(key);
    return found == entries_.end() ? nullptr : &found->second;
}

const PgpoolEntry* PgpoolConf::take(View key) {
    known_.emplace(key);
    return find(key);
}

Place PgpoolConf::place(View key) const {
    const PgpoolEntry* const entry = find(key);
    return entry ? entry->at : Place{foreign_.draft.file, 0};
}

std::string PgpoolConf::text(View key, View preset) {
    const PgpoolEntry* const entry = take(key);
    return entry ? entry->value : std::string(preset);
}

bool PgpoolConf::flag(View key, bool preset) {
    const PgpoolEntry* const entry = take(key);
    if (!entry) return preset;
    for (const View word : {"on", "true", "yes", "1", "t", "y"}) {
        if (same_word(word, entry->value)) return true;
    }
    for (const View word : {"off", "false", "no", "0", "f", "n"}) {
        if (same_word(word, entry->value)) return false;
    }
    foreign_.draft.findings.problem(
        entry->at, fmt::format("{}: {}", key, expected("on or off", entry->value).message));
    return preset;
}

std::int64_t PgpoolConf::number(View key, std::int64_t preset, std::int64_t max) {
    const PgpoolEntry* const entry = take(key);
    if (!entry) return preset;
    const auto value = parse_integer(entry->value, 0, max);
    if (value.has_value()) return *value;
    foreign_.draft.findings.problem(entry->at, fmt::format("{}: {}", key, value.error().message));
    return preset;
}

Duration PgpoolConf::time(View key, Duration unit, Duration preset) {
    const PgpoolEntry* const entry = take(key);
    if (!entry) return preset;
    const auto value = measured(entry->value);
    if (value && value->unit.empty()) {
        const double time = value->number * static_cast<double>(unit.count());
        if (time <= static_cast<double>(seconds_max) * 1e6) {
            return Duration(static_cast<std::int64_t>(time));
        }
    }
    const auto time = parse_duration(value ? entry->value : "");
    if (time.has_value() && !value->unit.empty()) return *time;
    foreign_.draft.findings.problem(
        entry->at,
        fmt::format("{}: {}", key, expected("a time like 10, 10s or 500ms", entry->value).message));
    return preset;
}

std::int64_t PgpoolConf::bytes(View key, std::int64_t preset) {
    constexpr Named<double> units[] = {
        {"", 1}, {"B", 1}, {"kB", 1024}, {"MB", 1048576}, {"GB", 1073741824}};
    const PgpoolEntry* const entry = take(key);
    if (!entry) return preset;
    const auto value = measured(entry->value);
    const auto unit = std::ranges::find(units, value ? value->unit : "?", &Named<double>::name);
    if (unit != std::end(units) && value->number * unit->value <= 1125899906842624.0) {
        return static_cast<std::int64_t>(value->number * unit->value);
    }
    foreign_.draft.findings.problem(
        entry->at,
        fmt::format("{}: {}", key, expected("a size like 4096 or 16MB", entry->value).message));
    return preset;
}

void PgpoolConf::set(View setting, const std::string& value, View key) {
    Draft& draft = foreign_.draft;
    const Place at = place(key);
    draft.put(std::string(setting), at);
    const auto done = assign(draft.config.settings, *find_setting(setting), value);
    if (done.has_error()) {
        draft.findings.problem(at, fmt::format("{}: {}", key, done.error().message));
    }
}

void PgpoolConf::remark(View key, View text) {
    const Place at = place(key);
    const PgpoolEntry* const entry = find(key);
    const std::string said = entry ? fmt::format("{} = {}", key, entry->value) : std::string(key);
    foreign_.remarks.push_back({at.file, at.line, fmt::format("{}: {}", said, text)});
}

bool PgpoolConf::is_off(View key) const {
    const PgpoolEntry* const entry = find(key);
    if (!entry || entry->value.empty()) return true;
    constexpr View words[] = {"off", "false", "no", "0", "none"};
    return std::ranges::any_of(words, [&](View word) { return same_word(word, entry->value); });
}

void PgpoolConf::remark_rest() {
    for (const auto& [key, entry] : entries_) {
        if (known_.contains(key)) continue;
        const PgpoolDropped* const dropped = pgpool_dropped(key);
        if (!dropped) {
            remark(key, "pgweir does not know this setting of pgpool's");
            continue;
        }
        if (is_off(key) && !dropped->even_off) continue;
        if (!dropped->switch_name.empty() && is_off(dropped->switch_name)) continue;
        remark(key, dropped->reason);
    }
}

}  // namespace pgweir::config

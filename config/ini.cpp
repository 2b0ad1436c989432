#include "config/ini.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "config/included_files.hpp"
#include "config/nearest.hpp"
#include "config/units.hpp"

namespace pgweir::config {

namespace {

constexpr std::array<std::string_view, 4> sections = {"pgbouncer", "databases", "users", "peers"};
constexpr std::string_view include_word = "%include";

bool is_key_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-' || c == '*';
}

bool is_blank(char c) { return c == ' ' || c == '\t'; }

std::optional<std::string> cut_key(std::string_view& line) {
    if (line.front() == '"' || line.front() == '\'') return cut_quoted(line);
    const auto end = std::ranges::find_if_not(line, is_key_char);
    std::string key(line.begin(), end);
    line.remove_prefix(key.size());
    return key;
}

/// Reads one file after another; the section goes on through an included file and out of it again.
class IniReader {
public:
    IniReader(const ReadFile& read, Findings& findings)
        : files_(read, findings),
          findings_(findings) {}

    /// `from`, `depth`: see IncludedFiles::read().
    void file(const std::string& path, const Place& from, int depth) {
        if (const auto text = files_.read(path, from, depth)) lines(path, *text, depth);
    }

    std::vector<IniEntry> take() { return std::move(entries_); }

private:
    void lines(const std::string& path, std::string_view text, int depth) {
        Place at{path, 0};
        while (!text.empty()) {
            const std::size_t end = std::min(text.find('\n'), text.size());
            ++at.line;
            line(trim(text.substr(0, end)), at, depth);
            text.remove_prefix(std::min(end + 1, text.size()));
        }
    }

    void line(std::string_view text, const Place& at, int depth) {
        if (text.find('\0') != std::string_view::npos) {
            findings_.problem(at, "there is a NUL byte in this line");
            return;
        }
        while (text.starts_with('[')) {
            text = section(text.substr(1), at);
        }
        if (text.empty() || text[0] == ';' || text[0] == '#') return;
        const bool include = text.starts_with(include_word) && text.size() > include_word.size() &&
                             is_blank(text[include_word.size()]);
        if (include)
            return file(std::string(trim(text.substr(include_word.size()))), at, depth + 1);
        entry(text, at);
    }

    /// Enters a section. Returns what follows the closing bracket.
    std::string_view section(std::string_view text, const Place& at) {
        const std::size_t end = text.find(']');
        if (end == std::string_view::npos) {
            findings_.problem(at, "expected \"]\" after the name of a section");
            return {};
        }
        section_ = text.substr(0, end);
        known_ = std::ranges::find(sections, *section_) != sections.end();
        if (!known_) {
            findings_.problem(at, fmt::format("unknown section \"{}\"{}", *section_,
                                              did_you_mean(*section_, sections)));
        }
        return trim(text.substr(end + 1));
    }

    void entry(std::string_view text, const Place& at) {
        auto key = cut_key(text);
        text = trim(text);
        if (!key || key->empty() || !text.starts_with('=')) {
            findings_.problem(at, "syntax error: expected \"key = value\", with the key in quotes "
                                  "when it has other than letters, digits and _ . - *");
            return;
        }
        if (!section_) {
            findings_.problem(at, fmt::format("\"{}\" stands before the first [section]", *key));
            return;
        }
        if (!known_) return;
        if (!files_.admits_entry(at)) return;
        entries_.push_back({*section_, *std::move(key), std::string(trim(text.substr(1))), at});
    }

    IncludedFiles files_;
    Findings& findings_;
    std::vector<IniEntry> entries_;
    std::optional<std::string> section_;
    bool known_ = false;  // section_ is one of PgBouncer's
};

}  // namespace

std::vector<IniEntry> read_ini(const std::string& path, const ReadFile& read, Findings& findings) {
    IniReader reader(read, findings);
    reader.file(path, Place{path, 0}, 0);
    return reader.take();
}

}  // namespace pgweir::config

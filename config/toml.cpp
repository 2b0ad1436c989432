#include "config/toml.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <toml++/toml.h>

namespace pgweir::config {

namespace {

bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// From the library's nodes to our values.
class Converter {
public:
    Converter(const std::string& file, const Environment& environment, Findings& findings)
        : file_(file),
          environment_(environment),
          findings_(findings) {}

    TomlValue::Table table(const toml::table& from, int depth) {
        TomlValue::Table entries;
        for (const auto& [key, node] : from) {
            if (auto converted = value(node, line_of(key.source()), depth)) {
                entries.push_back({std::string(key.str()), *std::move(converted)});
            }
        }
        return entries;
    }

private:
    static int line_of(const toml::source_region& region) {
        return static_cast<int>(region.begin.line);
    }

    std::optional<TomlValue> value(const toml::node& node, int line, int depth) {
        const Place at{file_, line};
        if (depth > toml_depth_max) {
            findings_.problem(at, fmt::format("tables are more than {} deep", toml_depth_max));
            return std::nullopt;
        }
        if (const auto* flag = node.as_boolean()) return TomlValue{flag->get(), line};
        if (const auto* number = node.as_integer()) return TomlValue{number->get(), line};
        if (const auto* number = node.as_floating_point()) return TomlValue{number->get(), line};
        if (const auto* text = node.as_string()) return TomlValue{replaced(text->get(), at), line};
        if (const auto* array = node.as_array()) return TomlValue{elements(*array, depth), line};
        if (const auto* inner = node.as_table()) return TomlValue{table(*inner, depth + 1), line};
        findings_.problem(at, "dates and times mean nothing here");
        return std::nullopt;
    }

    TomlValue::Array elements(const toml::array& from, int depth) {
        TomlValue::Array array;
        for (const toml::node& node : from) {
            if (auto converted = value(node, line_of(node.source()), depth + 1)) {
                array.push_back(*std::move(converted));
            }
        }
        return array;
    }

    /// `text` with every ${NAME} replaced.
    std::string replaced(std::string_view text, const Place& at) {
        std::string out;
        while (!text.empty()) {
            const std::size_t start = std::min(text.find("${"), text.size());
            out += text.substr(0, start);
            text.remove_prefix(start);
            if (text.empty()) break;
            if (out.ends_with('$')) {  // "$${" is "${"
                out += '{';
                text.remove_prefix(2);
            } else {
                text.remove_prefix(variable(text, at, out));
            }
        }
        return out;
    }

    /// Appends what the variable at the start of `text` holds. Returns the size of its ${NAME}.
    std::size_t variable(std::string_view text, const Place& at, std::string& out) {
        const auto end = std::find_if_not(text.begin() + 2, text.end(), is_name_char);
        const std::string_view name(text.begin() + 2, end);
        if (name.empty() || end == text.end() || *end != '}') {
            findings_.problem(at, "expected ${NAME}; a literal ${ is written $${");
            return 2;
        }
        const auto found = environment_.find(name);
        if (found == environment_.end()) {
            findings_.problem(at, fmt::format("the environment has no variable {}", name));
        } else {
            out += found->second;
        }
        return name.size() + 3;
    }

    const std::string& file_;
    const Environment& environment_;
    Findings& findings_;
};

/// Looks for what would make the library use too much stack.
bool within_bounds(std::string_view text, const std::string& file, Findings& findings) {
    if (text.size() > toml_size_max) {
        findings.problem({file, 0}, fmt::format("expected at most {} bytes", toml_size_max));
        return false;
    }
    for (Place at{file, 1}; !text.empty(); ++at.line) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        if (std::ranges::count(text.substr(0, end), '.') > toml_dots_max) {
            findings.problem(at, fmt::format("more than {} dots in one line", toml_dots_max));
            return false;
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return true;
}

}  // namespace

TomlValue::Table parse_toml(std::string_view text, const std::string& file,
                            const Environment& environment, Findings& findings) {
    if (!within_bounds(text, file, findings)) return {};
    try {
        const toml::table root = toml::parse(text, std::string_view(file));
        return Converter(file, environment, findings).table(root, 0);
    } catch (const toml::parse_error& error) {
        const auto line = static_cast<int>(error.source().begin.line);
        findings.problem({file, line}, fmt::format("not TOML: {}", error.description()));
        return {};
    }
}

}  // namespace pgweir::config

#include "config/conninfo.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "config/units.hpp"

namespace pgweir::config {

namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'; }

protocol::Error syntax_error(std::string text) {
    return {protocol::sqlstate::config_file_error, protocol::Origin::proxy,
            "syntax error in connection string: " + std::move(text)};
}

std::string_view cut_word(std::string_view& rest, bool up_to_equals) {
    const auto ends = [&](char c) { return is_space(c) || (up_to_equals && c == '='); };
    const auto end = std::ranges::find_if(rest, ends);
    const auto size = static_cast<std::size_t>(end - rest.begin());
    const std::string_view word = rest.substr(0, size);
    rest.remove_prefix(size);
    return word;
}

}  // namespace

Result<std::vector<ConninfoPair>> parse_conninfo(std::string_view text) {
    std::vector<ConninfoPair> pairs;
    for (std::string_view rest = trim(text); !rest.empty(); rest = trim(rest)) {
        ConninfoPair pair{std::string(cut_word(rest, true)), {}};
        rest = trim(rest);
        if (pair.key.empty()) return syntax_error("expected a key before \"=\"");
        if (!rest.starts_with('=')) {
            return syntax_error(fmt::format("expected \"=\" after \"{}\"", pair.key));
        }
        rest = trim(rest.substr(1));
        if (rest.starts_with('\'')) {
            auto value = cut_quoted(rest);
            if (!value) {
                return syntax_error(fmt::format("expected a closing quote for {}", pair.key));
            }
            pair.value = *std::move(value);
            if (!rest.empty() && !is_space(rest.front())) {
                return syntax_error(
                    fmt::format("expected a blank after the closing quote of {}", pair.key));
            }
        } else {
            pair.value = cut_word(rest, false);
            if (pair.value.empty()) {
                return syntax_error(
                    fmt::format("expected a value for {}; an empty one is ''", pair.key));
            }
        }
        pairs.push_back(std::move(pair));
    }
    return pairs;
}

}  // namespace pgweir::config

#include "proxy/admin/suggest.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <vector>

#include <fmt/format.h>

#include "config/nearest.hpp"
#include "proxy/admin/commands.hpp"

namespace pgweir::proxy::admin {

namespace {

using Names = std::vector<std::string_view>;

Names verb_names() {
    Names names{"show"};
    for (const Verb& verb : all_verbs()) names.push_back(verb.name);
    return names;
}

Names show_names() {
    Names names;
    for (const auto section : all_shows()) {
        for (const Show& show : section) names.push_back(show.name);
    }
    return names;
}

/// The first two words in lower case, "" where there are fewer.
std::array<std::string, 2> first_words(std::string_view text) {
    constexpr std::string_view between = " \t\r\n;";
    std::array<std::string, 2> words;
    for (std::string& word : words) {
        text.remove_prefix(std::min(text.find_first_not_of(between), text.size()));
        const std::string_view next = text.substr(0, text.find_first_of(between));
        std::ranges::transform(next, std::back_inserter(word), [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
        });
        text.remove_prefix(next.size());
    }
    return words;
}

std::string hint(std::string_view before, std::string_view name) {
    return name.empty() ? std::string() : fmt::format("Did you mean \"{}{}\"?", before, name);
}

std::string upper_case(std::string_view text) {
    std::string upper(text);
    std::ranges::transform(upper, upper.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c;
    });
    return upper;
}

}  // namespace

std::string command_hint(std::string_view text) {
    const auto [first, second] = first_words(text);
    const Names verbs = verb_names(), shows = show_names();
    const std::string_view verb = first == "select" ? "show" : config::nearest(first, verbs);
    if (verb == "show") return hint("SHOW ", upper_case(config::nearest(second, shows)));
    if (second.empty() && std::ranges::find(shows, first) != shows.end())
        return hint("SHOW ", upper_case(first));
    if (verb != first) return hint("", upper_case(verb));
    const auto known = std::ranges::find(all_verbs(), verb, &Verb::name);
    if (known == all_verbs().end()) return {};
    return hint(upper_case(verb) + ' ', upper_case(config::nearest(second, known->words)));
}

std::string name_hint(std::string_view name, std::span<const std::string_view> names) {
    return hint("", config::nearest(name, names));
}

}  // namespace pgweir::proxy::admin

#include "config/preference.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>
#include <vector>

#include <regex.h>

#include <fmt/format.h>

#include "config/units.hpp"

namespace pgweir::config {

namespace {

constexpr int copies_max = 1000;

/// How often "{2,5}" may repeat; up to copies_max + 1, which is too often.
int most_repeats(std::string_view interval) {
    int most = 1;
    while (!interval.empty()) {
        int number = 0;
        const char* const end = interval.data() + interval.size();
        const auto read = std::from_chars(interval.data(), end, number);
        if (read.ec == std::errc::result_out_of_range) return copies_max + 1;
        most = std::max(most, number);
        interval.remove_prefix(
            std::max<std::size_t>(1, static_cast<std::size_t>(read.ptr - interval.data())));
    }
    return std::min(most, copies_max + 1);
}

/// May regcomp() be given this? It writes what is repeated as often as it may come, in memory:
/// ten `+` in a row are a thousand copies, forty of them more than there is room for.
bool is_small(std::string_view pattern) {
    int copies = 1;
    for (std::size_t i = 0; i < pattern.size() && copies <= copies_max; ++i) {
        if (pattern[i] == '+') copies *= 2;
        if (pattern[i] == '\\') ++i;
        if (i < pattern.size() && pattern[i] == '{')
            copies *= most_repeats(pattern.substr(i + 1, pattern.find('}', i) - i - 1));
    }
    return copies <= copies_max;
}

/// A compiled expression that means the whole of a text. Resource.
class Pattern {
public:
    explicit Pattern(const std::string& text)
        : good_(::regcomp(&regex_, ("^(" + text + ")$").c_str(), REG_EXTENDED | REG_NOSUB) == 0) {}
    ~Pattern() {
        if (good_) ::regfree(&regex_);
    }
    Pattern(const Pattern&) = delete;
    Pattern& operator=(const Pattern&) = delete;

    bool good() const { return good_; }
    bool fits(std::string_view name) {
        return good_ && ::regexec(&regex_, std::string(name).c_str(), 0, nullptr, 0) == 0;
    }

private:
    ::regex_t regex_ = {};
    const bool good_;
};

bool read_target(std::string_view text, Preference& preference) {
    using Target = Preference::Target;
    if (text == "primary" || text == "replica") {
        preference.target = text == "primary" ? Target::primary : Target::replica;
        return true;
    }
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0) return false;
    const std::string_view port = text.substr(colon + 1);
    const auto read = std::from_chars(port.data(), port.data() + port.size(), preference.node.port);
    if (read.ec != std::errc() || read.ptr != port.data() + port.size()) return false;
    std::string_view host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    preference.node.host = host;
    preference.target = Target::node;
    return true;
}

/// Takes "(0.5)" off the end of the text. False: something else is there.
bool take_ratio(std::string_view& text, double& ratio) {
    if (!text.ends_with(')')) return true;
    const std::size_t open = text.rfind('(');
    if (open == std::string_view::npos) return false;
    const std::string_view number = text.substr(open + 1, text.size() - open - 2);
    const auto read = std::from_chars(number.data(), number.data() + number.size(), ratio);
    text = text.substr(0, open);
    return read.ec == std::errc() && read.ptr == number.data() + number.size() && ratio >= 0 &&
           ratio <= 1;
}

}  // namespace

protocol::Result<Preference> parse_preference(std::string_view text) {
    const auto wrong = [&] {
        return expected("PATTERN:primary, PATTERN:replica or PATTERN:host:port, with or without a "
                        "share like (0.5)",
                        text);
    };
    Preference preference;
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos || colon == 0) return wrong();
    preference.pattern = text.substr(0, colon);
    std::string_view target = text.substr(colon + 1);
    if (!take_ratio(target, preference.ratio) || !read_target(target, preference)) return wrong();
    if (!is_small(preference.pattern) || !Pattern(preference.pattern).good())
        return expected("a regular expression before the colon", preference.pattern);
    return preference;
}

std::string preference_text(const Preference& preference) {
    std::string text = preference.pattern + ':';
    switch (preference.target) {
        case Preference::Target::primary: text += "primary"; break;
        case Preference::Target::replica: text += "replica"; break;
        case Preference::Target::node: {
            const std::string& host = preference.node.host;
            const bool bare = host.find(':') == std::string::npos;
            text += bare ? host : '[' + host + ']';
            text += fmt::format(":{}", preference.node.port);
        }
    }
    if (preference.ratio < 1) text += fmt::format("({})", preference.ratio);
    return text;
}

const Preference* find_preference(const Reads& reads, const SessionNames& names) {
    const std::array<std::pair<const std::vector<Preference>*, std::string_view>, 3> lists = {
        {{&reads.prefer_application, names.application},
         {&reads.prefer_database, names.database},
         {&reads.prefer_user, names.user}}};
    for (const auto& [list, name] : lists) {
        for (const Preference& one : *list) {
            if (Pattern(one.pattern).fits(name)) return &one;
        }
    }
    return nullptr;
}

}  // namespace pgweir::config

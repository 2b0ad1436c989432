#include "proxy/text_traits.hpp"

#include <algorithm>
#include <cctype>
#include <cstring>

#include "protocol/vars.hpp"
#include "router/plain.hpp"

namespace pgweir::proxy {

namespace trace = router::trace;
using protocol::same_name;
using router::Traces;

namespace {

/// A constant like 'now' or 'today' is read with the text, once.
bool tells_the_time(std::string_view sql) {
    constexpr std::string_view words[] = {"now", "today", "tomorrow", "yesterday"};
    for (std::size_t i = 0; i < sql.size(); ++i) {
        if (std::strchr("nNtTyY", sql[i]) == nullptr) continue;
        for (const std::string_view word : words) {
            if (!same_name(sql.substr(i, word.size()), word)) continue;
            const std::string_view rest = sql.substr(i + word.size());
            if (!rest.starts_with('(')) return true;
        }
    }
    return false;
}

bool is_shareable(std::string_view sql) {
    constexpr std::string_view verbs[] = {"select", "insert", "update", "delete", "with", "values"};
    const std::size_t start = sql.find_first_not_of(" \t\r\n");
    if (start == std::string_view::npos) return false;
    const std::string_view text = sql.substr(start);
    const bool planned =
        std::any_of(std::begin(verbs), std::end(verbs),
                    [text](std::string_view verb) { return starts_with_word(text, verb); });
    return planned && !tells_the_time(sql);
}

}  // namespace

bool starts_with_word(std::string_view sql, std::string_view word) {
    return sql.size() > word.size() && same_name(sql.substr(0, word.size()), word) &&
           !std::isalnum(static_cast<unsigned char>(sql[word.size()])) && sql[word.size()] != '_';
}

Traces traces_in(std::string_view sql) {
    return router::is_plain(sql) ? 0 : traces_of_no_plain(sql);
}

Traces traces_of_no_plain(std::string_view sql) {
    constexpr std::size_t read_max = 1 << 20;  // bytes
    if (sql.size() > read_max) return trace::anything;
    const Traces traces = router::traces_of(sql);
    const bool same = std::memchr(sql.data(), '\\', sql.size()) == nullptr;
    return same ? traces : traces | router::traces_of(sql, false);
}

Traces traits_of(std::string_view sql) {
    const Traces traces = traces_in(sql);
    return is_shareable(sql) ? traces | trait_shareable : traces;
}

}  // namespace pgweir::proxy

#include "router/plain.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include "router/lexer.hpp"

namespace pgweir::router {

namespace {

constexpr std::array<bool, 256> make_telling() {
    std::array<bool, 256> bytes{};
    for (const char c : std::string_view("(&;pPiI")) bytes[static_cast<std::size_t>(c)] = true;
    return bytes;
}

constexpr std::array<bool, 256> telling = make_telling();

constexpr std::size_t verb_size = 6;  // bytes, of each

/// Six letters as a number, folded.
constexpr std::uint64_t verb(std::string_view word) {
    std::uint64_t packed = 0;
    for (std::size_t i = 0; i < verb_size; ++i)
        packed = packed << 8 | (static_cast<unsigned char>(word[i]) | 0x20u);
    return packed;
}

bool begins(std::string_view text, std::string_view lower) {
    return text.size() >= lower.size() && is_folded(text.substr(0, lower.size()), lower);
}

}  // namespace

bool is_plain(std::string_view sql) {
    if (sql.size() <= verb_size || sql[verb_size] != ' ') return false;
    const std::uint64_t first = verb(sql);
    const bool inserts = first == verb("insert");
    if (!inserts && first != verb("select") && first != verb("update") && first != verb("delete"))
        return false;
    const auto is_telling = [](char c) { return telling[static_cast<unsigned char>(c)]; };
    const char* const end = sql.data() + sql.size();
    const char* at = sql.data() + verb_size;
    while ((at = std::find_if(at, end, is_telling)) != end) {
        const std::string_view rest(at, static_cast<std::size_t>(end - at));
        switch (*at) {
            case 'p':
            case 'P':
                if (begins(rest, "pgw") || begins(rest, "pg_t")) return false;
                break;
            case 'i':
            case 'I':
                if (begins(rest, "into") && !(inserts && rest.size() + verb_size + 1 == sql.size()))
                    return false;
                break;
            case ';': return rest.find_first_not_of("; \t\r\n") == rest.npos;
            default: return false;
        }
        ++at;
    }
    return true;
}

}  // namespace pgweir::router

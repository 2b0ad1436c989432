#include "router/plain.hpp"

#include <algorithm>
#include <array>

#include "router/lexer.hpp"

namespace pgweir::router {

namespace {

enum class Byte : std::uint8_t { plain, telling, p, i, semicolon };

constexpr std::array<Byte, 256> make_bytes() {
    std::array<Byte, 256> bytes{};
    bytes['('] = bytes['&'] = Byte::telling;
    bytes['p'] = bytes['P'] = Byte::p;
    bytes['i'] = bytes['I'] = Byte::i;
    bytes[';'] = Byte::semicolon;
    return bytes;
}

constexpr std::array<Byte, 256> bytes = make_bytes();

bool begins(std::string_view text, std::string_view lower) {
    return text.size() >= lower.size() && is_folded(text.substr(0, lower.size()), lower);
}

}  // namespace

bool is_plain(std::string_view sql) {
    constexpr std::size_t verb_size = 6;  // of each
    if (sql.size() <= verb_size || sql[verb_size] != ' ') return false;
    const bool inserts = begins(sql, "insert");
    if (!inserts && !begins(sql, "select") && !begins(sql, "update") && !begins(sql, "delete"))
        return false;
    for (std::size_t at = verb_size; at < sql.size(); ++at) {
        const Byte byte = bytes[static_cast<unsigned char>(sql[at])];
        if (byte == Byte::plain) continue;
        const std::string_view rest = sql.substr(at);
        switch (byte) {
            case Byte::p:
                if (begins(rest, "pgw") || begins(rest, "pg_t")) return false;
                break;
            case Byte::i:
                if (!inserts && begins(rest, "into")) return false;
                break;
            case Byte::semicolon: return rest.find_first_not_of("; \t\r\n") == rest.npos;
            default: return false;
        }
    }
    return true;
}

}  // namespace pgweir::router

#include "router/recent_texts.hpp"

#include <bit>
#include <cstring>
#include <utility>

#include "router/plain.hpp"

namespace pgweir::router {

namespace {

constexpr std::size_t text_max = 1024;  // bytes of what is remembered
constexpr std::size_t hashed = 24;      // bytes of it that hash_of() reads
constexpr std::uint64_t mixer = 0x9e3779b97f4a7c15U;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_in_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c) ||
           static_cast<unsigned char>(c) >= 128;
}

/// Nothing in it but names, numbers and operators: no digit of it is in quotes or in a comment.
bool has_numbers_only(std::string_view sql) {
    for (const char c : {'\'', '"', '$', '\\'})
        if (sql.find(c) != std::string_view::npos) return false;
    return sql.find("--") == std::string_view::npos && sql.find("/*") == std::string_view::npos;
}

/// Of its beginning, with what numbers there are in it, in few instructions.
std::size_t hash_of(std::string_view sql) {
    std::array<std::uint64_t, hashed / sizeof(std::uint64_t)> words{};
    if (sql.size() >= hashed)
        std::memcpy(words.data(), sql.data(), hashed);
    else
        std::memcpy(words.data(), sql.data(), sql.size());
    std::uint64_t hash = 0;
    for (const std::uint64_t word : words) hash = std::rotl((hash ^ word) * mixer, 29);
    return static_cast<std::size_t>(hash >> 32);
}

}  // namespace

/// Finds the numbers. What is glued to a name or to another literal is none: it has to be the same.
void RecentTexts::Recent::take(std::string_view sql) {
    text = sql;
    numbers = 0;
    std::size_t at = 0;
    while (at < sql.size() && numbers < numbers_max) {
        if (!is_in_name(sql[at])) {
            ++at;
            continue;
        }
        const std::size_t begin = at;
        bool digits = true;
        for (; at < sql.size() && is_in_name(sql[at]); ++at) digits = digits && is_digit(sql[at]);
        if (digits) {
            places[numbers] = {static_cast<std::uint16_t>(begin), static_cast<std::uint16_t>(at)};
            ++numbers;
        }
    }
    const auto end = static_cast<std::uint16_t>(sql.size());
    places[numbers] = {end, end};
}

bool RecentTexts::Recent::matches(std::string_view sql) const {
    const char* at = sql.data();
    const char* const end = at + sql.size();
    std::size_t same = 0;  // where in `text` what has to be the same begins
    for (std::size_t i = 0;; ++i) {
        const Place& place = places[i];
        const std::size_t size = place.begin - same;
        if (static_cast<std::size_t>(end - at) < size) return false;
        if (std::memcmp(text.data() + same, at, size) != 0) return false;
        at += size;
        if (i == numbers) return at == end;
        const char* const digits = at;
        while (at < end && is_digit(*at)) ++at;
        if (at == digits) return false;
        same = place.end;
    }
}

Familiar RecentTexts::look_at(std::string_view sql) {
    if (sql.empty() || sql.size() > text_max) return {is_plain(sql), 0};
    const std::size_t pair = hash_of(sql) & (recent_max - 2);
    for (const std::size_t place : {pair, pair + 1}) {
        const Recent& recent = recent_[place];
        if (recent.familiar.number != 0 && recent.matches(sql)) return recent.familiar;
    }
    return learn(sql, pair);
}

Familiar RecentTexts::learn(std::string_view sql, std::size_t pair) {
    const bool plain = is_plain(sql);
    if (!has_numbers_only(sql)) return {plain, 0};
    Recent& recent = recent_[pair];
    std::swap(recent, recent_[pair + 1]);
    recent.take(sql);
    recent.familiar = {plain, ++issued_ | number_bit};
    return recent.familiar;
}

}  // namespace pgweir::router

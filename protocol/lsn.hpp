// Positions in the write-ahead log: parse, print, compare, subtract.
#pragma once

#include <charconv>
#include <compare>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace pgweir::protocol {

/// A byte position in the write-ahead log. Two may be compared only within one history: same system
/// identifier, and timelines of which one descends from the other. 0 is no position.
struct Lsn {
    std::uint64_t value = 0;

    friend constexpr auto operator<=>(const Lsn&, const Lsn&) = default;
    /// Bytes from `from` to `to`; negative when `to` is behind.
    friend constexpr std::int64_t operator-(const Lsn& to, const Lsn& from) {
        return static_cast<std::int64_t>(to.value - from.value);
    }
};

/// Reads what pg_lsn prints: one to eight hexadecimal digits, a slash, one to eight more.
inline std::optional<Lsn> parse_lsn(std::string_view text) {
    const auto half = [](std::string_view digits) -> std::optional<std::uint32_t> {
        std::uint32_t value = 0;
        if (digits.empty() || digits.size() > 8) return std::nullopt;
        const char* end = digits.data() + digits.size();
        const auto read = std::from_chars(digits.data(), end, value, 16);
        if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
        return value;
    };
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto high = half(text.substr(0, slash));
    const auto low = half(text.substr(slash + 1));
    if (!high || !low) return std::nullopt;
    return Lsn{std::uint64_t{*high} << 32 | *low};
}

/// As pg_lsn prints it: "16/B374D848".
inline std::string format_lsn(const Lsn& lsn) {
    char text[18];  // eight digits, a slash, eight digits, a NUL
    std::snprintf(text, sizeof text, "%X/%X", static_cast<unsigned>(lsn.value >> 32),
                  static_cast<unsigned>(lsn.value & 0xffffffffu));
    return text;
}

/// The position where the next record will begin, without the header of the page that has just been
/// begun (24 bytes, 40 at the start of a segment): no record ends inside a header, and a standby
/// that has replayed everything stands before it. Sizes in bytes.
constexpr Lsn before_page_header(const Lsn& lsn, std::uint64_t page_size,
                                 std::uint64_t segment_size) {
    constexpr std::uint64_t short_header = 24, long_header = 40;
    const std::uint64_t in_page = lsn.value % page_size;
    const std::uint64_t header = lsn.value % segment_size == in_page ? long_header : short_header;
    return in_page <= header ? Lsn{lsn.value - in_page} : lsn;
}

}  // namespace pgweir::protocol

#include "config/units.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "protocol/ascii.hpp"

namespace pgweir::config {

namespace {

constexpr std::size_t quoted_max = 120;  // bytes of the operator's text that a message repeats
constexpr std::string_view blanks = " \t\r\n\v\f";

struct Scale {
    std::string_view name;
    std::int64_t factor;
};

constexpr Scale time_units[] = {
    // in microseconds
    {"us", 1},         {"ms", 1'000},       {"s", 1'000'000},     {"", 1'000'000},
    {"m", 60'000'000}, {"min", 60'000'000}, {"h", 3'600'000'000}, {"d", 86'400'000'000},
};
constexpr Scale size_units[] = {
    // in bytes
    {"", 1},          {"B", 1},          {"kB", 1'000},
    {"KB", 1'000},    {"MB", 1'000'000}, {"GB", 1'000'000'000},
    {"KiB", 1 << 10}, {"MiB", 1 << 20},  {"GiB", 1 << 30},
};

/// Cuts a non-negative decimal number off `text`; nullopt when there is none.
std::optional<double> cut_number(std::string_view& text) {
    if (text.empty() || !((text[0] >= '0' && text[0] <= '9') || text[0] == '.')) return {};
    double number = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
    if (end.ec != std::errc{}) return {};
    text.remove_prefix(static_cast<std::size_t>(end.ptr - text.data()));
    return number;
}

/// The factor of the unit `text` names; 0 when there is no such unit.
std::int64_t factor_of(std::span<const Scale> units, std::string_view text) {
    for (const Scale& unit : units) {
        if (unit.name == text) return unit.factor;
    }
    return 0;
}

/// That many microseconds as a Duration, their fraction dropped.
std::optional<Duration> to_duration(double microseconds) {
    if (!(microseconds >= 0 && microseconds <= static_cast<double>(seconds_max) * 1e6)) return {};
    return Duration(static_cast<std::int64_t>(microseconds));
}

}  // namespace

protocol::Error expected(std::string_view what, std::string_view text) {
    const bool cut = text.size() > quoted_max;
    return {protocol::sqlstate::config_file_error, protocol::Origin::proxy,
            fmt::format("expected {}, got \"{}{}\"", what, text.substr(0, quoted_max),
                        cut ? "..." : "")};
}

Result<std::int64_t> parse_integer(std::string_view text, std::int64_t min, std::int64_t max) {
    std::string_view digits = text;
    const bool negative = digits.starts_with('-');
    if (negative || digits.starts_with('+')) digits.remove_prefix(1);
    int base = 10;
    if (digits.starts_with("0x") || digits.starts_with("0X")) {
        base = 16;
        digits.remove_prefix(2);
    } else if (digits.size() > 1 && digits[0] == '0') {
        base = 8;
    }
    std::int64_t number = -1;
    const char* const end = digits.data() + digits.size();
    const bool signed_twice = digits.starts_with('-');
    const auto read = std::from_chars(digits.data(), end, number, base);
    const bool whole = read.ec == std::errc{} && read.ptr == end && !signed_twice;
    if (negative) number = -number;
    if (whole && number >= min && number <= max) return number;
    if (max == std::numeric_limits<std::int64_t>::max()) {
        return expected(fmt::format("a whole number of at least {}", min), text);
    }
    return expected(fmt::format("a whole number from {} to {}", min, max), text);
}

Result<bool> parse_flag(std::string_view text) {
    constexpr std::int64_t any = std::numeric_limits<int>::max();
    const auto number = parse_integer(text, -any, any);
    if (number.has_error()) return expected("0 or 1", text);
    return *number != 0;
}

Result<Duration> parse_seconds(std::string_view text) {
    std::string_view rest = text;
    if (const auto seconds = cut_number(rest); seconds && rest.empty()) {
        if (const auto time = to_duration(*seconds * 1e6)) return *time;
    }
    return expected("a time in seconds, like 30 or 0.5", text);
}

Result<Duration> parse_milliseconds(std::string_view text) {
    const auto number = parse_integer(text, 0, std::numeric_limits<int>::max());
    if (number.has_error()) return expected("a time in whole milliseconds", text);
    return Duration(std::chrono::milliseconds(*number));
}

Result<Duration> parse_duration(std::string_view text) {
    std::string_view rest = text;
    if (const auto number = cut_number(rest)) {
        const std::int64_t factor = factor_of(time_units, trim(rest));
        const auto time = to_duration(*number * static_cast<double>(factor));
        if (factor != 0 && time) return *time;
    }
    return expected("a duration like \"250ms\", \"5s\" or \"1h\"", text);
}

Result<std::int64_t> parse_size(std::string_view text, std::int64_t min, std::int64_t max) {
    std::string_view rest = text;
    if (const auto number = cut_number(rest)) {
        const double bytes = *number * static_cast<double>(factor_of(size_units, trim(rest)));
        const bool unit = factor_of(size_units, trim(rest)) != 0;
        constexpr double exact_max = 9007199254740992.0;  // 2^53: above, a double skips integers
        if (unit && bytes <= exact_max && bytes == std::floor(bytes)) {
            const auto size = static_cast<std::int64_t>(bytes);
            if (size >= min && size <= max) return size;
        }
    }
    return expected(
        fmt::format("a size from {} to {} bytes, like 4096, \"64KiB\" or \"16MB\"", min, max),
        text);
}

std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> parts;
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        const std::string_view part = trim(text.substr(0, comma));
        if (!part.empty()) parts.emplace_back(part);
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return parts;
}

std::string join_list(std::span<const std::string> parts) {
    return fmt::format("{}", fmt::join(parts, ", "));
}

std::string show_seconds(Duration time) {
    return fmt::format("{:g}", static_cast<double>(time.count()) / 1e6);
}

std::string show_duration(Duration time) {
    constexpr Scale units[] = {
        {"h", 3'600'000'000}, {"m", 60'000'000}, {"s", 1'000'000}, {"ms", 1'000}, {"us", 1}};
    if (time.count() == 0) return "0";
    for (const Scale& unit : units) {
        if (time.count() % unit.factor != 0) continue;
        return fmt::format("{}{}", time.count() / unit.factor, unit.name);
    }
    return fmt::format("{}us", time.count());
}

std::optional<std::string> cut_quoted(std::string_view& rest) {
    const char quote = rest.front();
    std::string text;
    for (std::size_t i = 1; i < rest.size(); ++i) {
        if (rest[i] != quote) {
            text += rest[i];
        } else if (i + 1 < rest.size() && rest[i + 1] == quote) {
            text += rest[i++];
        } else {
            rest.remove_prefix(i + 1);
            return text;
        }
    }
    return std::nullopt;
}

std::string_view trim(std::string_view text) {
    const std::size_t first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

bool same_word(std::string_view left, std::string_view right) {
    const auto folded = [](char c) { return protocol::folded(c); };
    return std::ranges::equal(left, right, {}, folded, folded);
}

}  // namespace pgweir::config

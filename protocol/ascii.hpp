// Words without their case. ASCII's letters are folded and no others: so does PostgreSQL with
// keywords and names, in UTF-8.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace pgweir::protocol {

constexpr char folded(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

inline std::string folded(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = folded(c);
    return out;
}

/// `lower` is part of it when it is folded.
inline bool mentions(std::string_view text, std::string_view lower) {
    return std::search(text.begin(), text.end(), lower.begin(), lower.end(),
                       [](char a, char b) { return folded(a) == b; }) != text.end();
}

}  // namespace pgweir::protocol

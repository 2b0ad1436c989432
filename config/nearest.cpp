#include "config/nearest.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "protocol/ascii.hpp"

namespace pgweir::config {

namespace {

/// How many letters must be changed, left out, put in or swapped with the next to get from one to
/// the other; case and the kind of separator do not count. `limit` stands for itself and more.
std::size_t edits_between(std::string_view left, std::string_view right, std::size_t limit) {
    const auto same = [](char a, char b) {
        const auto plain = [](char c) { return c == '-' || c == '.' ? '_' : protocol::folded(c); };
        return plain(a) == plain(b);
    };
    const std::size_t columns = right.size() + 1;
    std::vector<std::size_t> table((left.size() + 1) * columns);
    const auto at = [&](std::size_t i, std::size_t j) -> std::size_t& {
        return table[i * columns + j];
    };
    for (std::size_t i = 0; i <= left.size(); ++i) at(i, 0) = i;
    for (std::size_t j = 0; j <= right.size(); ++j) at(0, j) = j;
    std::size_t least_above = 0;
    for (std::size_t i = 1; i <= left.size(); ++i) {
        std::size_t least = i;
        for (std::size_t j = 1; j <= right.size(); ++j) {
            const std::size_t changed = same(left[i - 1], right[j - 1]) ? 0 : 1;
            at(i, j) = std::min({at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + changed});
            const bool swapped = i > 1 && j > 1 && same(left[i - 1], right[j - 2]) &&
                                 same(left[i - 2], right[j - 1]);
            if (swapped) at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
            least = std::min(least, at(i, j));
        }
        if (least >= limit && least_above >= limit)
            return limit;  // the rows below come of these two
        least_above = least;
    }
    return std::min(limit, at(left.size(), right.size()));
}

}  // namespace

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
    constexpr std::size_t word_max = 64;  // bounds the table of edits_between
    if (word.empty() || word.size() > word_max) return {};
    std::string_view best;
    std::size_t best_edits = std::max<std::size_t>(1, word.size() / 3) + 1;
    for (const std::string_view candidate : candidates) {
        const auto [shorter, longer] = std::minmax({word.size(), candidate.size()});
        if (longer - shorter >= best_edits) continue;  // as many edits at least
        const std::size_t edits = edits_between(word, candidate, best_edits);
        if (edits >= best_edits) continue;
        best = candidate;
        best_edits = edits;
    }
    return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates) {
    const std::string_view near = nearest(word, candidates);
    return near.empty() ? std::string() : fmt::format(", did you mean \"{}\"?", near);
}

}  // namespace pgweir::config

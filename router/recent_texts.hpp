// Texts that came lately, by which those that differ from them in numbers only are recognised.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pgweir::router {

/// What holds for a text and for all that differ from it in numbers only. Value.
struct Familiar {
    bool plain = false;        // see is_plain()
    std::uint64_t number = 0;  // of them all, never given again; 0: the text is not remembered
};

/// Pure; one a worker. Recognising costs a third of reading the text for either of the two things
/// that hang on its shape: whether it is_plain(), and its place in SHOW QUERIES. Bounded: what
/// came longest ago makes room. Texts with quotes, dollars or what may be a comment are not
/// remembered: their digits need not be numbers.
class RecentTexts {
public:
    RecentTexts() : recent_(recent_max) {}

    Familiar look_at(std::string_view sql);

    /// Set in every number, so that none is also that of a protocol::Statement.
    static constexpr std::uint64_t number_bit = std::uint64_t{1} << 63;

private:
    static constexpr std::size_t recent_max = 128;  // texts; a power of two
    static constexpr std::size_t numbers_max = 12;  // of a text; any more have to be the same

    /// A text, and where in it anything may stand that is a number. The last place is its end.
    struct Recent {
        Familiar familiar;
        std::string text;
        struct Place {
            std::uint16_t begin, end;
        };
        std::array<Place, numbers_max + 1> places{};
        std::size_t numbers = 0;

        bool matches(std::string_view sql) const;
        void take(std::string_view sql);
    };
    Familiar learn(std::string_view sql, std::size_t pair);

    std::vector<Recent> recent_;  // in pairs; of each the second came earlier
    std::uint64_t issued_ = 0;
};

}  // namespace pgweir::router

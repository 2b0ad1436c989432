// SASLprep (protocol/saslprep).
#include "protocol/saslprep.hpp"

#include <gtest/gtest.h>

namespace pgweir::protocol {
namespace {

struct PrepCase {
    const char* name;
    std::string_view typed;
    std::string_view prepared;
};

constexpr PrepCase changed_cases[] = {
    {"RFC 4013: soft hyphen", "I\u00ADX", "IX"},
    {"RFC 4013: feminine ordinal", "\u00AA", "a"},
    {"RFC 4013: roman nine", "\u2168", "IX"},
    {"combining accent", "e\u0301", "\u00E9"},
    {"compatibility ideograph", "\uF900", "\u8C48"},
    {"Hangul from its letters", "\u1112\u1161\u11AB", "\uD55C"},
    {"no-break space", "a\u00A0b", "a b"},
    {"zero width space is a space first", "a\u200Bb", "a b"},
    {"joiner", "a\u200Db", "ab"},
    {"variation selector", "\u2764\uFE0F", "\u2764"},
    {"fraction", "\u00BD\u00E9", "1\u20442\u00E9"},
    {"full width", "\uFF21\uFF5E", "A~"},
    {"Kelvin", "\u212A", "K"},
    {"Persian with a non-joiner", "\u0645\u06CC\u200C\u062E", "\u0645\u06CC\u062E"},
};

constexpr std::string_view unchanged[] = {
    "",
    "secret",
    "USER",
    "tab\tand control \x01",
    "\u00E9\u00DF\u20AC",
    "\u043F\u0430\u0440\u043E\u043B\u044C",
    "\u5BC6\u7801",
    "\xff\u00A0",              // not UTF-8
    "\xc0\xaf\u00A0",          // overlong
    "\xe0\x9f\xbf\u00A0",      // overlong
    "\xf0\x8f\xbf\xbf\u00A0",  // overlong
    "\xed\xa0\x80\u00A0",      // a surrogate
    "\xf4\x90\x80\x80\u00A0",  // above U+10FFFF
    "\u00A0\xc3",              // cut short
    "\u00A0\xe2\x82",          // cut short
    "\x07\u00A0",              // RFC 4013: prohibited
    "\u00A0\u0080",            // prohibited
    "\u00A0\uE000",            // private use
    "\u00A0\uFFFE",            // not a character
    "\u00A0\U0001F600",        // unassigned in Unicode 3.2
    "\u0340a",                 // prohibited, though its normal form is not
    "\u00AD",                  // nothing would be left
    "\u06271\u00AD",           // RFC 4013: right to left must be at both ends
    "\u0627a\u0627\u00AD",     // no left to right among right to left
};

TEST(Saslprep, Changes) {
    for (const PrepCase& c : changed_cases) {
        SCOPED_TRACE(c.name);
        EXPECT_EQ(saslprep(c.typed), c.prepared);
    }
}

TEST(Saslprep, LeavesAlone) {
    for (const std::string_view typed : unchanged) {
        SCOPED_TRACE(typed);
        EXPECT_EQ(saslprep(typed), typed);
    }
}

}  // namespace
}  // namespace pgweir::protocol

// Cutting frames off a byte stream (protocol/frame).
#include "protocol/frame.hpp"

#include <gtest/gtest.h>

namespace pgweir::protocol {
namespace {

using namespace std::string_view_literals;

struct FrameCase {
    const char* name;
    std::string_view bytes;
    std::optional<std::size_t> payload;  // nullopt: no frame yet
    std::size_t missing;
    bool violation;
};

constexpr FrameCase frame_cases[] = {
    {"nothing yet", ""sv, {}, 0, false},
    {"header cut short", "Z\0\0\0"sv, {}, 0, false},
    {"empty payload", "S\0\0\0\4"sv, 0, 0, false},
    {"whole", "Z\0\0\0\5I"sv, 1, 0, false},
    {"next one untouched", "Z\0\0\0\5IQ\0\0\0\6a"sv, 1, 0, false},
    {"tail on its way",
     "D\0\0\0\x0a"
     "abc"sv,
     3, 3, false},
    {"length below four", "Z\0\0\0\3"sv, {}, 0, true},
    {"length with the top bit", "Q\xff\xff\xff\xff"sv, {}, 0, true},
    {"too large", "Q\x7f\xff\xff\xff"sv, {}, 0, true},
};

TEST(FirstFrame, Cuts) {
    for (const FrameCase& c : frame_cases) {
        SCOPED_TRACE(c.name);
        const auto cut = first_frame(c.bytes, 1 << 20, Origin::client);

        ASSERT_EQ(cut.has_error(), c.violation);
        if (c.violation) {
            EXPECT_EQ(cut.error().sqlstate, sqlstate::protocol_violation);
            continue;
        }
        ASSERT_EQ((*cut).has_value(), c.payload.has_value());
        if (!c.payload) continue;
        EXPECT_EQ((*cut)->payload.size(), *c.payload);
        EXPECT_EQ((*cut)->missing, c.missing);
    }
}

TEST(Segments, NeighboursBecomeOneSlice) {
    const std::string_view input = "abcdef";
    Segments segments;
    segments.add(input.substr(0, 2));
    segments.add(input.substr(2, 2));
    segments.own("XY");
    segments.add(input.substr(4));
    EXPECT_EQ(segments.slices().size(), 3u);
    EXPECT_EQ(segments.joined(), "abcdXYef");
    EXPECT_EQ(segments.size(), 8u);
    segments.clear();
    EXPECT_TRUE(segments.empty());
}

}  // namespace
}  // namespace pgweir::protocol

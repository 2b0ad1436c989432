#include "proxy/route_reason.hpp"

#include <set>

#include <gtest/gtest.h>

namespace pgweir::proxy {
namespace {

TEST(RouteReason, EveryOneHasAWordAndAPlaceOfItsOwn) {
    std::set<std::string_view> words;
    for (std::size_t place = 0; place < RouteCounts::size; ++place) {
        const RouteReason reason = RouteCounts::reason(place);
        EXPECT_FALSE(reason.text().empty()) << place;
        EXPECT_TRUE(words.insert(reason.text()).second) << reason.text();
        RouteCounts counts;
        counts.count(reason, place % 2 == 1);
        for (std::size_t other = 0; other < RouteCounts::size; ++other) {
            EXPECT_EQ(counts.get(other, place % 2 == 1), other == place ? 1u : 0u);
            EXPECT_EQ(counts.get(other, place % 2 == 0), 0u);
        }
    }
    EXPECT_TRUE(words.contains("unjudged"));
    EXPECT_TRUE(words.contains("text_unsure"));
}

}  // namespace
}  // namespace pgweir::proxy

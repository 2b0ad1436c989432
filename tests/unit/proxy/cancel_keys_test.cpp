#include "proxy/cancel_keys.hpp"

#include <gtest/gtest.h>

namespace pgweir::proxy {
namespace {

TEST(CancelKeys, FindsWhomItGaveThemTo) {
    CancelKeys keys;
    for (const std::size_t size : {CancelKeys::short_size, CancelKeys::long_size}) {
        SCOPED_TRACE(size);
        const CancelKey key = keys.give({1, 23}, 0, size);
        EXPECT_EQ(key.secret.size(), size);
        const auto place = keys.find(key.pid, key.secret);
        ASSERT_TRUE(place);
        EXPECT_EQ(place->shard, 1u);
        EXPECT_EQ(place->client, 23u);

        EXPECT_FALSE(keys.find(key.pid + 1, key.secret));
        EXPECT_FALSE(keys.find(key.pid, key.secret + '\0'));
        EXPECT_FALSE(keys.find(key.pid, key.secret.substr(0, size - 1)));
        EXPECT_FALSE(keys.find(key.pid, ""));
        for (std::size_t i = 0; i < size; ++i) {
            std::string wrong = key.secret;
            wrong[i] = static_cast<char>(wrong[i] ^ 1);
            EXPECT_FALSE(keys.find(key.pid, wrong)) << i;
        }
        EXPECT_EQ(keys.find(key.pid, key.secret.substr(0, 4)).has_value(), size == 4);

        keys.take_back(CancelKeys::id_of(key.pid, key.secret));
        EXPECT_FALSE(keys.find(key.pid, key.secret));
    }
}

TEST(CancelKeys, HaveTheServersPidWhereThereIsOne) {
    CancelKeys keys;
    const CancelKey one = keys.give({0, 1}, 4711, 32), two = keys.give({0, 2}, 4711, 32);
    EXPECT_EQ(one.pid, 4711u);
    EXPECT_EQ(two.pid, 4711u);
    EXPECT_NE(one.secret, two.secret);
    EXPECT_EQ(keys.find(4711, two.secret)->client, 2u);
}

}  // namespace
}  // namespace pgweir::proxy

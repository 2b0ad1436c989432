#include "proxy/cancel_keys.hpp"

#include <gtest/gtest.h>

#include "protocol/bytes.hpp"
#include "proxy/peer_key.hpp"

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

/// The bytes that BackendKeyData carries.
std::string bytes_of(const CancelKey& key) {
    std::string bytes(4, '\0');
    protocol::store_u32(bytes.data(), key.pid);
    return bytes + key.secret;
}

TEST(CancelKeys, SayWhoseTheyAreAmongPeers) {
    CancelKeys keys;
    keys.set_peer(0x2a17);
    for (const std::size_t size : {CancelKeys::short_size, CancelKeys::long_size}) {
        SCOPED_TRACE(size);
        const CancelKey key = keys.give({0, 1}, 4711, size);
        EXPECT_EQ(peer_key::owner_of(key.pid), 0x2a17);
        EXPECT_EQ(key.pid >> 31, 0u);
        const std::string bytes = bytes_of(key);
        EXPECT_EQ(bytes.substr(1, 2), "\x17\x2a");
        EXPECT_EQ(bytes[7] & 3, 3);

        std::string passed_on = key.secret;
        for (int hops = 3; hops > 0; --hops) {
            EXPECT_EQ(peer_key::hops_left(passed_on), hops);
            EXPECT_TRUE(keys.find(key.pid, passed_on)) << hops;
            peer_key::take_hop(passed_on);
        }
        EXPECT_EQ(peer_key::hops_left(passed_on), 0);
        EXPECT_TRUE(keys.find(key.pid, passed_on));
        passed_on[3] = static_cast<char>(passed_on[3] ^ 4);
        EXPECT_FALSE(keys.find(key.pid, passed_on));
        EXPECT_FALSE(keys.find(key.pid, key.secret.substr(0, 3)));
    }
}

TEST(CancelKeys, StayGoodWhenPeersAppear) {
    CancelKeys keys;
    const CancelKey before = keys.give({0, 1}, 0, CancelKeys::short_size);
    keys.set_peer(1);
    EXPECT_TRUE(keys.find(before.pid, before.secret));
    keys.set_peer(0);
    EXPECT_TRUE(keys.find(before.pid, before.secret));
}

}  // namespace
}  // namespace pgweir::proxy

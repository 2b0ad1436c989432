#include <gtest/gtest.h>

#include "config/nearest.hpp"

namespace pgweir::config {
namespace {

TEST(Nearest, IsFewEditsAway) {
    constexpr std::string_view names[] = {"pool_size", "min_pool_size", "pool_mode", "size"};
    EXPECT_EQ(nearest("pool_siz", names), "pool_size");
    EXPECT_EQ(nearest("pool-mode", names), "pool_mode");
    EXPECT_EQ(nearest("POOL_MODE", names), "pool_mode");
    EXPECT_EQ(nearest("polo_mode", names), "pool_mode");
    EXPECT_EQ(nearest("xyz", names), "");
    EXPECT_EQ(nearest("", names), "");
    EXPECT_EQ(nearest(std::string(10'000, 'p'), names), "");
    EXPECT_EQ(did_you_mean("siez", names), ", did you mean \"size\"?");
    EXPECT_EQ(did_you_mean("completely_else", names), "");
}

TEST(Nearest, NeighboursThatSwappedPlacesAreOneEdit) {
    constexpr std::string_view names[] = {"ab", "listen_port", "listen_addr"};
    EXPECT_EQ(nearest("ba", names), "ab");
    EXPECT_EQ(nearest("lsiten_prot", names), "listen_port");
    EXPECT_EQ(nearest("tropnetsil", names), "");
}

}  // namespace
}  // namespace pgweir::config

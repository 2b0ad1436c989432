// The state file's text (health/fence).
#include "health/fence.hpp"

#include <gtest/gtest.h>

namespace pgweir::health {
namespace {

const Fence fence{7312345678901234567, 12, "10.0.0.1:5432", 2};

TEST(Fence, ThereAndBack) {
    EXPECT_EQ(*parse_fence(format_fence(fence, "main"), "main"), fence);
    EXPECT_EQ(*parse_fence(format_fence({}, "a b"), "a b"), Fence());
}

TEST(Fence, WhatIsNotWholeIsRefused) {
    const std::string text = format_fence(fence, "main");
    for (std::size_t size = 0; size < text.size(); ++size) {
        SCOPED_TRACE(size);
        EXPECT_TRUE(parse_fence(text.substr(0, size), "main").has_error());
    }
    EXPECT_TRUE(parse_fence(text, "other").has_error());
    std::string bad = text;
    bad.replace(bad.find("timeline 12"), 11, "timeline 1x");
    EXPECT_TRUE(parse_fence(bad, "main").has_error());
}

TEST(Fence, FilesOfOlderVersionsAreRead) {
    std::string text = format_fence(fence, "main");
    text.replace(text.find("systems 2\n"), 10, "");
    Fence old = fence;
    old.systems = 0;
    EXPECT_EQ(*parse_fence(text, "main"), old);
}

TEST(Fence, TheHighestOfOneSystemWins) {
    EXPECT_EQ(merged(fence, {fence.system, 13, "x:1", 2}), (Fence{fence.system, 13, "x:1", 2}));
    EXPECT_EQ(merged(fence, {fence.system, 11, "x:1", 2}), fence);
    EXPECT_EQ(merged(fence, {99, 50, "x:1", 2}), fence);
    EXPECT_EQ(merged({}, fence), fence);
}

TEST(Fence, TheSystemThatHasReplacedTheOtherWins) {
    const Fence later{99, 1, "x:1", 3};
    EXPECT_EQ(merged(fence, later), later);
    EXPECT_EQ(merged(later, fence), later);
}

}  // namespace
}  // namespace pgweir::health

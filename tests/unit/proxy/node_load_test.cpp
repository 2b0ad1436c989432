// How well a node answers, and what it is asked.
#include "proxy/node_load.hpp"

#include <gtest/gtest.h>

namespace pgweir::proxy {
namespace {

constexpr double floor_us = NodeLoad::floor_us;
constexpr std::int64_t second = 1'000'000;

struct Asked {
    NodeLoad load{{"h", 1}};
    std::int64_t at_us = 1'000 * second;

    /// A read every so many µs, for so long.
    void answers(std::int64_t took_us, std::int64_t for_us, std::int64_t every_us = 10'000) {
        for (; for_us > 0; for_us -= every_us) {
            at_us += every_us;
            load.began();
            load.answered(took_us, at_us);
        }
    }
    double peak_us() const { return load.peak_us(at_us) - floor_us; }
    double mean_us() const { return load.mean_us() - floor_us; }
};

TEST(NodeLoad, WhoHasNotAnsweredIsNotKnown) {
    Asked asked;
    EXPECT_FALSE(asked.load.is_known(asked.at_us));
    asked.answers(500, second);
    EXPECT_TRUE(asked.load.is_known(asked.at_us));
    EXPECT_FALSE(asked.load.is_known(asked.at_us + 60 * second)) << "who knows what it is like now";
}

TEST(NodeLoad, APeakIsNoticedAtOnceAndDecays) {
    Asked asked;
    asked.answers(500, 10 * second);
    EXPECT_NEAR(asked.peak_us(), 500, 100);
    for (int i = 0; i < 4; ++i) asked.answers(200'000, 1, 1);
    EXPECT_NEAR(asked.peak_us(), 200'000, 1'000);
    for (int i = 0; i < 1'000; ++i) asked.answers(500, 1, 1);
    EXPECT_GT(asked.peak_us(), 190'000) << "a thousand quick answers at once are one moment";
    const double before = asked.peak_us();
    asked.answers(500, second);
    EXPECT_NEAR(asked.peak_us() / before, 0.37, 0.02) << "exponentially";
    asked.answers(500, 9 * second);
    EXPECT_NEAR(asked.peak_us(), 500, 200);
}

TEST(NodeLoad, OneAnswerCountsForFourTimesWhatWasKnown) {
    Asked asked;
    asked.answers(500, second);
    asked.answers(60 * second, 1, 1);
    EXPECT_LT(asked.load.peak_us(asked.at_us), 4.1 * (500 + floor_us));
}

TEST(NodeLoad, APeakDecaysWithoutAnswersToo) {
    Asked asked;
    asked.answers(500, 10 * second);
    for (int i = 0; i < 4; ++i) asked.answers(200'000, 1, 1);
    EXPECT_LT(asked.load.peak_us(asked.at_us + 20 * second), 5 * (500 + floor_us));
}

TEST(NodeLoad, TheMeanIsOneOverTime) {
    Asked asked;
    asked.answers(500, 10 * second);
    for (int i = 0; i < 100; ++i) asked.answers(200'000, 1, 1);
    EXPECT_NEAR(asked.mean_us(), 500, 100) << "that was one moment, too";
    asked.answers(50'000, 5 * second);
    EXPECT_NEAR(asked.mean_us(), 50'000, 5'000);
    asked.answers(500, 10 * second);
    EXPECT_NEAR(asked.mean_us(), 500, 100);
}

TEST(NodeLoad, RareAnswersCountToo) {
    Asked asked;
    asked.answers(500, 10 * second);
    asked.answers(50'000, 200 * second, 10 * second);
    EXPECT_NEAR(asked.mean_us(), 50'000, 5'000);
    EXPECT_NEAR(asked.peak_us(), 50'000, 5'000);
}

TEST(NodeLoad, WhatIsUnderWayIsCounted) {
    NodeLoad load({"h", 1});
    load.began();
    load.began();
    EXPECT_EQ(load.active(), 2);
    load.answered(10, 10);
    load.dropped();
    EXPECT_EQ(load.active(), 0);
}

}  // namespace
}  // namespace pgweir::proxy

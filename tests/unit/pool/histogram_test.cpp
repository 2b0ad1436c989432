#include "pool/histogram.hpp"

#include <gtest/gtest.h>

#include "pool/stats.hpp"

namespace pgweir::pool {
namespace {

TEST(Histogram, TakesABoundIntoItsBucket) {
    struct Case {
        std::int64_t duration_us;
        std::size_t bucket;
    };
    constexpr Case cases[] = {{-5, 0},       {0, 0},         {100, 0},         {101, 1},
                              {1'000, 3},    {1'001, 4},     {60'000'000, 15}, {60'000'001, 16},
                              {250'000, 10}, {3'000'000, 14}};
    for (const Case& c : cases) {
        SCOPED_TRACE(c.duration_us);
        Histogram histogram;
        histogram.add(c.duration_us);
        const Durations seen = histogram.get();
        EXPECT_EQ(seen.counts[c.bucket], 1u);
        EXPECT_EQ(seen.count(), 1u);
        EXPECT_EQ(seen.sum_us,
                  static_cast<std::uint64_t>(std::max<std::int64_t>(c.duration_us, 0)));
    }
}

TEST(Histogram, BoundsRise) {
    for (std::size_t i = 1; i < duration_bounds_us.size(); ++i)
        EXPECT_LT(duration_bounds_us[i - 1], duration_bounds_us[i]);
}

TEST(Durations, Quantiles) {
    Durations none;
    EXPECT_EQ(none.quantile_us(0.5), 0);
    Durations some;
    some.counts[3] = 100;  // 501 to 1000 µs
    EXPECT_EQ(some.quantile_us(0.5), 750);
    EXPECT_EQ(some.quantile_us(1), 1'000);
    EXPECT_EQ(some.quantile_us(0), 500);
    some.counts[0] = 100;  // up to 100 µs
    EXPECT_EQ(some.quantile_us(0.25), 50);
    EXPECT_EQ(some.quantile_us(0.5), 100);
    EXPECT_EQ(some.quantile_us(0.75), 750);
    some.counts[16] = 200;  // longer than the last bound
    EXPECT_EQ(some.quantile_us(0.5), 1'000);
    EXPECT_EQ(some.quantile_us(0.99), 60'000'000);
}

TEST(PoolTotals, AddUpWorkers) {
    PoolStats one, other;
    one.wait_time.add(0);
    one.wait_time.add(2'000);
    other.wait_time.add(0);
    one.query_time.add(300);
    one.query_count.add(2);
    one.client_login_time.add(7);
    other.retry_counts[static_cast<std::size_t>(Retry::replica)].add(3);
    other.server_errors.count({"23505"});
    other.own_errors.count({"08P01"});
    other.own_errors.count({"ZZ000"});
    PoolTotals sum;
    sum += one;
    sum += other;
    EXPECT_EQ(sum.server_assignment_count, 3u);
    EXPECT_EQ(sum.wait_time, 2'000u);
    EXPECT_EQ(sum.wait_times.counts[0], 2u);
    EXPECT_EQ(sum.wait_times.counts[4], 1u);
    EXPECT_EQ(sum.client_login_count, 1u);
    EXPECT_EQ(sum.query_times.sum_us, 300u);
    EXPECT_EQ(sum.retry_counts[2], 3u);
    EXPECT_EQ(sum.server_errors.counts[class_of({"23000"})], 1u);
    EXPECT_EQ(sum.own_errors.counts[class_of({"08000"})], 1u);
    EXPECT_EQ(sum.own_errors.counts.back(), 1u);
    EXPECT_EQ(sum.own_errors.count(), 2u);
    PoolTotals twice = sum;
    twice += sum;
    EXPECT_EQ(twice.server_assignment_count, 6u);
    EXPECT_EQ(twice.wait_times.sum_us, 4'000u);
    EXPECT_EQ(twice.server_errors.count(), 2u);
    EXPECT_EQ(twice.client_login_times.count(), 2u);
}

}  // namespace
}  // namespace pgweir::pool

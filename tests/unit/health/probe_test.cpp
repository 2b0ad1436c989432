// Reading what a node says of itself (health/probe).
#include "health/probe.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace pgweir::health {
namespace {

using Row = std::vector<std::optional<std::string>>;

const Row primary_row{"f",         "7312345678901234567", "0000000A0000000000000003",
                      "0/3000148", std::nullopt,          std::nullopt,
                      "9",         "1790000000000000",    "8192",
                      "16777216",  std::nullopt};
const Row standby_row{"t", "7312345678901234567", std::nullopt, "0/3000028", "streaming", "10",
                      "9", "1790000000000000",    "8192",       "16777216",  "0/3000100"};

TEST(Probe, APrimary) {
    const auto answer = read_answer(primary_row);
    ASSERT_TRUE(answer.has_value());
    EXPECT_FALSE(answer->in_recovery);
    EXPECT_EQ(answer->system, 7312345678901234567u);
    EXPECT_EQ(answer->timeline, 10u) << "hexadecimal";
    EXPECT_EQ(answer->lsn.value, 0x3000148u);
    EXPECT_EQ(answer->start_us, 1790000000000000);
}

TEST(Probe, APrimaryAtTheStartOfASegment) {
    Row row = primary_row;
    row[3] = "0/4000028";
    EXPECT_EQ(read_answer(row)->lsn.value, 0x4000000u);
}

TEST(Probe, AStandby) {
    const auto answer = read_answer(standby_row);
    ASSERT_TRUE(answer.has_value());
    EXPECT_TRUE(answer->in_recovery && answer->receiving && answer->streaming);
    EXPECT_EQ(answer->timeline, 10u);
    EXPECT_EQ(answer->lsn.value, 0x3000028u) << "as it is";
    EXPECT_EQ(answer->received.value, 0x3000100u);
}

TEST(Probe, AStandbyWithoutAStream) {
    Row row = standby_row;
    row[4] = "waiting";
    EXPECT_EQ(read_answer(row)->timeline, 9u) << "of its checkpoint";
    EXPECT_TRUE(read_answer(row)->receiving);
    row[10] = "0/3000000";
    EXPECT_EQ(read_answer(row)->received.value, 0x3000028u) << "it has what it has replayed";
    row[4] = row[5] = row[3] = row[10] = std::nullopt;
    EXPECT_FALSE(read_answer(row)->receiving);
    EXPECT_EQ(read_answer(row)->lsn.value, 0u);
}

TEST(Probe, WhatIsNoAnswer) {
    EXPECT_TRUE(read_answer({}).has_error());
    for (std::size_t i = 0; i < primary_row.size(); ++i) {
        if (i == 4 || i == 5 || i == 10) continue;
        SCOPED_TRACE(i);
        Row row = primary_row;
        row[i] = i == 0 ? std::optional<std::string>() : "x";
        EXPECT_TRUE(read_answer(row).has_error());
    }
}

struct FailureCase {
    const char* code;
    const char* message;
    Failure::Kind kind;
};

const FailureCase failure_cases[] = {
    {"08006", "connect failed: Connection refused", Failure::Kind::refused},
    {"08006", "connect failed: No such file or directory", Failure::Kind::refused},
    {"08006", "connect failed: No route to host", Failure::Kind::lost},
    {"08006", "server conn crashed?", Failure::Kind::lost},
    {"57P01", "terminating connection due to administrator command", Failure::Kind::lost},
    {"57P03", "the database system is starting up", Failure::Kind::refused},
    {"53300", "sorry, too many clients already", Failure::Kind::busy},
    {"28P01", "password authentication failed", Failure::Kind::error},
};

TEST(Probe, Failures) {
    for (const FailureCase& c : failure_cases) {
        SCOPED_TRACE(c.message);
        const protocol::Error error{protocol::make_sqlstate(c.code), protocol::Origin::server,
                                    c.message};
        EXPECT_EQ(failure_of(error).kind, c.kind);
    }
}

}  // namespace
}  // namespace pgweir::health

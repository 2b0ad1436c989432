#include "proxy/explain_route.hpp"

#include <gtest/gtest.h>

#include "router/router.hpp"

namespace pgweir::proxy {
namespace {

TEST(ExplainRoute, TakesWhatStandsBehindIt) {
    struct Case {
        const char* sql;
        std::optional<std::string_view> behind;
    };
    const Case cases[] = {
        {"EXPLAIN ROUTE select 1", "select 1"},
        {"explain /* x */ Route\n insert into t values (1);", "insert into t values (1);"},
        {"explain route", ""},
        {"explain select 1", std::nullopt},
        {"explain (analyze) select 1", std::nullopt},
        {"explain \"route\" select 1", std::nullopt},
        {"select 'explain route'", std::nullopt},
        {"", std::nullopt},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.sql);
        EXPECT_EQ(explained(c.sql), c.behind);
    }
}

TEST(ExplainRoute, JudgesEachStatement) {
    const Judge judge = [](std::string_view sql) { return router::presume(sql); };
    const auto verdicts = judge_each("select 1; insert into t values (1); set x = 1; begin", judge);
    ASSERT_EQ(verdicts.size(), 4u);
    EXPECT_EQ(place_text(verdicts[0]), "replica");
    EXPECT_EQ(place_text(verdicts[1]), "primary");
    EXPECT_EQ(place_text(verdicts[2]), "session");
    EXPECT_EQ(place_text(verdicts[3]), "transaction");
    EXPECT_EQ(place_text(judge_each("set pgweir.route = 'primary'", judge)[0]), "pgweir");
    EXPECT_EQ(judge_each("", judge).size(), 1u);
}

}  // namespace
}  // namespace pgweir::proxy

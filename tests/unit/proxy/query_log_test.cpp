#include "proxy/query_log.hpp"

#include <gtest/gtest.h>

#include "protocol/requests.hpp"

namespace pgweir::proxy {
namespace {

constexpr std::string_view parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(QueryLog, FindsTheTraceparentOfAQuery) {
    struct Case {
        const char* name;
        std::string sql;
        bool found;
    };
    const std::string value(parent);
    const Case cases[] = {
        {"none", "select 1", false},
        {"nothing", "", false},
        {"at the end", "select 1 /*db_driver='x',traceparent='" + value + "'*/", true},
        {"before a semicolon", "select 1 /*traceparent='" + value + "'*/ ;\n", true},
        {"at the beginning", "/*traceparent='" + value + "'*/ select 1", true},
        {"at the beginning, another comment at the end",
         "/* traceparent=" + value + " */ select 1 /* x */", true},
        {"amid the text", "select 1 /*traceparent='" + value + "'*/ from t", false},
        {"in a literal", "select 'traceparent=" + value + "'", false},
        {"too short", "select 1 /*traceparent='" + value.substr(0, 54) + "'*/", false},
        {"upper case", "select 1 /*traceparent='00-0AF7" + value.substr(7) + "'*/", false},
        {"version ff", "select 1 /*traceparent='ff" + value.substr(2) + "'*/", false},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.name);
        EXPECT_EQ(traceparent_of_query(c.sql), c.found ? parent : std::string_view());
    }
}

TEST(QueryLog, FindsTheTraceparentOfARequest) {
    const std::string sql = "select 1 /*traceparent='" + std::string(parent) + "'*/";
    std::string query, parse;
    protocol::write_query(query, sql);
    protocol::write_parse(parse, "name", sql, {});
    EXPECT_EQ(traceparent_of_request(query + parse), parent);
    EXPECT_EQ(traceparent_of_request(parse + query), parent);
    EXPECT_EQ(traceparent_of_request(query.substr(0, query.size() - 1)), "");
    EXPECT_EQ(traceparent_of_request('B' + query.substr(1)), "");
    EXPECT_EQ(traceparent_of_request({}), "");
}

TEST(QueryLog, FindsTheTraceparentOfAnApplicationName) {
    const std::string value(parent);
    EXPECT_EQ(traceparent_of_name(value), parent);
    EXPECT_EQ(traceparent_of_name("app traceparent=" + value), parent);
    EXPECT_EQ(traceparent_of_name("app"), "");
    EXPECT_EQ(traceparent_of_name("app " + value), parent);
    EXPECT_EQ(traceparent_of_name("app" + value), "");
    EXPECT_EQ(traceparent_of_name(value + " app"), "");
}

}  // namespace
}  // namespace pgweir::proxy

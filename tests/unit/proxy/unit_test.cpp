// What belongs together in a client's input, and what decides where it goes.
#include "proxy/unit.hpp"

#include <map>

#include <gtest/gtest.h>

#include "protocol/requests.hpp"

namespace pgweir::proxy {
namespace {

using router::Verdict;
using Extent = Unit::Extent;

/// For whom texts that begin with "read" are reads.
class Sources final : public UnitSources {
public:
    Judged judge(std::string_view sql, std::uint64_t) const override {
        auto verdict = std::make_shared<Verdict>();
        if (sql.starts_with("begin")) {
            verdict->kind = Verdict::Kind::begin;
            verdict->options.read_only = sql.ends_with("read only");
        }
        verdict->read = sql.starts_with("read");
        verdict->dirties = sql.starts_with("write");
        verdict->detail = sql;
        return {std::move(verdict)};
    }
    const protocol::Statement* prepared(std::string_view name) const override {
        static protocol::StatementTable table;
        static const std::map<std::string, protocol::StatementPtr, std::less<>> prepared{
            {"r", table.intern("read it", "")}, {"w", table.intern("write it", "")}};
        const auto found = prepared.find(name);
        return found == prepared.end() ? nullptr : found->second.get();
    }
};

Unit look(std::string_view input, UnitLimits limits = {1 << 16, 1 << 16}) {
    return examine(input, limits, Sources());
}

std::string query(std::string_view sql) {
    std::string out;
    protocol::write_query(out, sql);
    return out;
}

std::string batch(std::string_view statement, std::string_view sql) {
    std::string out;
    if (!sql.empty()) protocol::write_parse(out, statement, sql);
    protocol::write_bind(out, "", statement);
    protocol::write_execute(out, "");
    return out;
}

std::string sync() {
    std::string out;
    protocol::write_sync(out);
    return out;
}

const std::string flush("H\0\0\0\4", 5);

TEST(Unit, OfASimpleQueryIsThatMessage) {
    const std::string first = query("read a");
    const std::string both = first + query("write b");
    const Unit unit = look(both);
    EXPECT_EQ(unit.extent, Extent::closed);
    EXPECT_EQ(unit.size, first.size());
    EXPECT_TRUE(unit.read && unit.simple && !unit.dirties);
    EXPECT_EQ(unit.sql, "read a");
}

TEST(Unit, GoesUpToItsSync) {
    const std::string first = batch("", "read a") + sync();
    const std::string both = first + batch("", "write b") + sync();
    const Unit unit = look(both);
    EXPECT_EQ(unit.extent, Extent::closed);
    EXPECT_EQ(unit.size, first.size());
    EXPECT_TRUE(unit.read);
    EXPECT_EQ(unit.statements, 1u);
}

TEST(Unit, OneWriteDecides) {
    const std::string input = batch("", "read a") + batch("w", "") + batch("", "read c") + sync();
    const Unit unit = look(input);
    EXPECT_FALSE(unit.read);
    EXPECT_TRUE(unit.dirties && unit.shows);
    ASSERT_TRUE(unit.verdict);
    EXPECT_EQ(unit.verdict->detail, "write it");
}

TEST(Unit, KnowsWhatIsPrepared) {
    EXPECT_TRUE(look(batch("r", "") + sync()).read);
    EXPECT_FALSE(look(batch("w", "") + sync()).read);
    EXPECT_FALSE(look(batch("nobody's", "") + sync()).read);
}

TEST(Unit, WaitsForItsEnd) {
    const std::string whole = batch("", "read a") + sync();
    for (std::size_t size = 1; size < whole.size(); ++size) {
        EXPECT_EQ(look(std::string_view(whole).substr(0, size)).extent, Extent::unfinished) << size;
    }
    const std::string simple = query("read a");
    for (std::size_t size = 1; size < simple.size(); ++size)
        EXPECT_EQ(look(std::string_view(simple).substr(0, size)).extent, Extent::unfinished);
}

TEST(Unit, ABatchWithoutASyncEndsWhereSomethingElseBegins) {
    const std::string first = batch("", "write a");
    for (const std::string& second : {query("read b"), std::string("X\0\0\0\4", 5)}) {
        const Unit unit = look(first + second);
        EXPECT_EQ(unit.extent, Extent::open);
        EXPECT_EQ(unit.size, first.size());
        EXPECT_TRUE(unit.dirties);
        EXPECT_FALSE(unit.read);
    }
}

TEST(Unit, IsOpenWhenAnswersAreWantedBeforeItsSync) {
    std::string input;
    protocol::write_parse(input, "", "read a");
    input += flush;
    const Unit unit = look(input);
    EXPECT_EQ(unit.extent, Extent::open);
    EXPECT_EQ(unit.size, input.size());
    EXPECT_TRUE(unit.read);
}

TEST(Unit, TooLargeToWaitForIsForThePrimary) {
    const std::string large = query("read " + std::string(5000, 'x')).substr(0, 4000);
    EXPECT_EQ(look(large, {8000, 8000}).extent, Extent::unfinished);
    const Unit unit = look(large, {4000, 4000});
    EXPECT_EQ(unit.extent, Extent::open);
    EXPECT_FALSE(unit.read);
    EXPECT_EQ(unit.size, large.size());
}

TEST(Unit, ReadsAreWaitedForLonger) {
    const auto extent = [](std::string input) {
        input.resize(input.size() - 100);
        return look(input, {8000, 2000}).extent;
    };
    const std::string much(3000, 'x'), more(9000, 'x');
    for (const char* begin : {"select '", "/* x */ SELECT '", "(select '", "with a as (",
                              "VALUES ('", "copy (select "}) {
        EXPECT_EQ(extent(query(begin + much)), Extent::unfinished) << begin;
        EXPECT_EQ(extent(query(begin + more)), Extent::open) << begin;
    }
    for (const char* begin : {"insert into t values ('", "selects '", "", "do $$"})
        EXPECT_EQ(extent(query(begin + much)), Extent::open) << begin;
    const auto bind = [](std::string_view statement, const std::string& value) {
        std::string out;
        protocol::write_bind(out, "", statement, std::vector<protocol::Value>{value});
        return out;
    };
    EXPECT_EQ(extent(bind("r", much)), Extent::unfinished);
    EXPECT_EQ(extent(bind("r", more)), Extent::open);
    EXPECT_EQ(extent(bind("w", much)), Extent::open);
    EXPECT_EQ(extent(batch("w", "") + bind("r", much)), Extent::open);
    EXPECT_EQ(extent(batch("r", "") + batch("s", "select '" + much)), Extent::unfinished);
}

TEST(Unit, WhatIsNoMessageIsPassedToWhoSaysSo) {
    const Unit unit = look(std::string_view("Q\0\0\0\1xxxxxxxx", 13));
    EXPECT_NE(unit.extent, Extent::unfinished);
    EXPECT_FALSE(unit.read);
}

TEST(Unit, BeginsATransactionWithWhatFollows) {
    const std::string input = batch("", "begin read only") + batch("", "read a") + sync();
    const Unit unit = look(input);
    ASSERT_TRUE(unit.begins);
    EXPECT_EQ(unit.begins->read_only, true);
    EXPECT_TRUE(unit.read);
    EXPECT_EQ(unit.statements, 2u);
    EXPECT_FALSE(look(batch("", "begin read only") + batch("", "write a") + sync()).read);
}

TEST(Unit, AFunctionCallIsForThePrimary) {
    std::string call("F\0\0\0\x12\0\0\0\1\0\0\0\0\0\0\0\0\0\0", 19);
    EXPECT_FALSE(look(call).read);
    EXPECT_EQ(look(call).extent, Extent::closed);
}

}  // namespace
}  // namespace pgweir::proxy

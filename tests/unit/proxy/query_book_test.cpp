#include "proxy/query_book.hpp"

#include <gtest/gtest.h>

#include "protocol/statement.hpp"

namespace pgweir::proxy {
namespace {

/// The book only compares their addresses.
const pool::Pool& pool(int which) {
    static const char places[8] = {};
    return reinterpret_cast<const pool::Pool&>(places[which]);
}

struct Fixture : testing::Test {
    Fixture() { book.set_max(100); }

    std::size_t shapes() const {
        std::size_t some = 0;
        for (const QueryBook::Entry& entry : book.entries()) some += entry.number != 0 ? 1 : 0;
        return some;
    }
    const QueryFigures* figures(std::string_view text) const {
        for (const QueryBook::Entry& entry : book.entries()) {
            if (entry.number != 0 && entry.text == text) return &entry.figures;
        }
        return nullptr;
    }

    QueryBook book;
};

using QueryBookTest = Fixture;

TEST_F(QueryBookTest, TextsOfOneShapeCountTogether) {
    for (const char* sql : {"select a from t where b = 1", "select a from t where b = 22",
                            "/* x */ select a from t where b = $1 -- y"}) {
        const QueryBook::Id id = book.note(pool(0), sql, 0, false);
        book.ended(id, 1'000, 2, 30);
    }
    const QueryFigures* const one = figures("select a from t where b = $1");
    ASSERT_TRUE(one);
    EXPECT_EQ(one->calls, 2u);  // a parameter is no literal: it is a shape of its own
    EXPECT_EQ(shapes(), 2u);
}

TEST_F(QueryBookTest, ASemicolonAtTheEndMakesNoOtherShape) {
    for (const char* sql : {"select 1", "select 2;", "select 3 ; -- end\n", "select 4;;/* x */",
                            "select '\\' || U&'a'", "select '\\' || U&'b' ;"})
        book.note(pool(0), sql, 0, false);
    const QueryFigures* const one = figures("select $1");
    ASSERT_TRUE(one);
    EXPECT_EQ(one->calls, 4u);
    EXPECT_EQ(shapes(), 2u);
}

TEST_F(QueryBookTest, AddsUpWhatACallCame) {
    const QueryBook::Id one = book.note(pool(0), "select 1", 0, false);
    book.ended(one, 1'000, 1, 50);
    const QueryBook::Id two = book.note(pool(0), "select 2", 0, true);
    book.ended(two, 3'000, 2, 70);
    book.note(pool(0), "select 3", 0, true);  // under way
    const QueryFigures* const all = figures("select $1");
    ASSERT_TRUE(all);
    EXPECT_EQ(all->calls, 3u);
    EXPECT_EQ(all->replica_calls, 2u);
    EXPECT_EQ(all->timed, 2u);
    EXPECT_EQ(all->total_us, 4'000u);
    EXPECT_EQ(all->max_us, 3'000u);
    EXPECT_EQ(all->rows, 3u);
    EXPECT_EQ(all->bytes, 120u);
}

TEST_F(QueryBookTest, PoolsAreApart) {
    book.note(pool(0), "select 1", 0, false);
    book.note(pool(1), "select 1", 0, false);
    EXPECT_EQ(shapes(), 2u);
}

TEST_F(QueryBookTest, PreparedStatementsAreFoundByTheirNumber) {
    protocol::StatementTable table;
    const protocol::StatementPtr statement = table.intern("select $1::int", std::string(2, '\0'));
    for (int i = 0; i < 5; ++i)
        book.ended(book.note(pool(0), statement->query(), statement->id(), false), 10, 1, 1);
    book.note(pool(1), statement->query(), statement->id(), false);
    book.note(pool(0), statement->query(), statement->id(), false);
    EXPECT_EQ(shapes(), 2u);
    EXPECT_EQ(figures("select $1::int")->calls + 1, 7u);
}

TEST_F(QueryBookTest, ATextThatCannotBeReadForSureShowsNoLiteral) {
    book.note(pool(0), "select 'a\\' from secret'", 0, false);
    EXPECT_TRUE(figures("select $1…"));
}

TEST_F(QueryBookTest, IsBoundedAndKeepsWhatIsUsed) {
    for (int i = 0; i < 50; ++i) book.note(pool(0), "select used", 0, false);
    const QueryBook::Id before = book.note(pool(0), "select used", 0, false);
    for (int i = 0; i < 1'000; ++i)
        book.note(pool(0), "select c" + std::to_string(i) + "x from t", 0, false);
    EXPECT_LE(shapes(), 100u);
    EXPECT_LE(book.entries().size(), 100u);
    book.ended(before, 5, 1, 1);  // its entry has stayed
    ASSERT_TRUE(figures("select used"));
    EXPECT_EQ(figures("select used")->timed, 1u);
    EXPECT_EQ(figures("select used")->calls, 51u);
    EXPECT_TRUE(figures("select c999x from t"));
    EXPECT_FALSE(figures("select c0x from t"));
}

TEST_F(QueryBookTest, AnEntryThatIsGoneIsLeftAlone) {
    const QueryBook::Id id = book.note(pool(0), "select 1", 0, false);
    book.clear();
    book.note(pool(0), "select other", 0, false);
    book.ended(id, 5, 1, 1);
    EXPECT_EQ(book.text(id), "");
    EXPECT_EQ(figures("select other")->timed, 0u);
    book.set_max(0);
    EXPECT_FALSE(book.counts());
    EXPECT_EQ(shapes(), 0u);
}

TEST_F(QueryBookTest, WhatRunsAgainCountsOnce) {
    const QueryBook::Id id = book.note(pool(0), "select 1", 0, true);
    book.take_back(id, true);
    book.note(pool(0), "select 1", 0, false);
    EXPECT_EQ(figures("select $1")->calls, 1u);
    EXPECT_EQ(figures("select $1")->replica_calls, 0u);
}

TEST(Quantiles, AreWithinAnEighth) {
    Quantiles none;
    EXPECT_EQ(none.at(0.5), 0);
    for (const std::int64_t us : {1, 3, 17, 250, 999, 40'000, 1'234'567, 60'000'000}) {
        Quantiles one;
        one.add(us);
        const double error = static_cast<double>(one.at(0.5) - us) / static_cast<double>(us);
        EXPECT_LE(std::abs(error), 0.126) << us;
    }
    Quantiles many;
    for (int i = 0; i < 99; ++i) many.add(100);
    many.add(100'000'000'000);
    EXPECT_LT(many.at(0.95), 115);
    EXPECT_GT(many.at(1), 100'000'000);
    Quantiles sum = many;
    sum += many;
    EXPECT_EQ(sum.at(0.5), many.at(0.5));
}

}  // namespace
}  // namespace pgweir::proxy

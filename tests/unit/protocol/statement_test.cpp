// Prepared statements: interning, clients' names, what a server knows (protocol/statement).
#include "protocol/statement.hpp"

#include <gtest/gtest.h>

#include <sstream>
#include <thread>
#include <vector>

namespace pgweir::protocol {
namespace {

using namespace std::string_view_literals;

// ---------------------------------------------------------------- StatementTable

constexpr std::string_view no_types = "\0\0"sv;
constexpr std::string_view one_int = "\0\1\0\0\0\x17"sv;

struct SameCase {
    const char* name;
    std::string_view query_a, types_a, query_b, types_b;
    bool same;
};

constexpr SameCase same_cases[] = {
    {"same text, same types", "select 1", no_types, "select 1", no_types, true},
    {"other text", "select 1", no_types, "select 2", no_types, false},
    {"other types", "select $1", no_types, "select $1", one_int, false},
    {"case and blanks are the text's", "select 1", no_types, "SELECT 1", no_types, false},
    {"empty text", "", no_types, "", no_types, true},
    {"text and types do not run together", "a\0\0"sv, "", "a", "\0\0"sv, false},
};

TEST(StatementTable, Interns) {
    for (const SameCase& c : same_cases) {
        SCOPED_TRACE(c.name);
        StatementTable table;
        const StatementPtr a = table.intern(c.query_a, c.types_a);
        const StatementPtr b = table.intern(c.query_b, c.types_b);
        EXPECT_EQ(a == b, c.same);
        EXPECT_EQ(a->server_name() == b->server_name(), c.same);
        EXPECT_EQ(a->query(), c.query_a);
        EXPECT_EQ(a->types(), c.types_a);
        EXPECT_EQ(table.size(), c.same ? 1u : 2u);
    }
}

TEST(StatementTable, NamesAreNeverUsedAgain) {
    StatementTable table;
    const std::string first = table.intern("select 1", no_types)->server_name();
    EXPECT_EQ(table.size(), 0u) << "nobody holds it any more";
    const std::string second = table.intern("select 1", no_types)->server_name();
    EXPECT_NE(first, second) << "a server may still have the first";
    EXPECT_NE(first, no_statement_name);
    EXPECT_NE(first, taken_statement_name);
}

TEST(StatementTable, KeepsItsOwnCopy) {
    StatementTable table;
    std::string text = "select 1";
    const StatementPtr statement = table.intern(text, no_types);
    text = "xxxxxxxx";
    EXPECT_EQ(statement->query(), "select 1");
    EXPECT_EQ(table.intern("select 1", no_types), statement);
}

/// Everybody interns, copies and drops the same few statements; a thread sanitizer looks on.
TEST(StatementTable, IsSharedByThreads) {
    StatementTable table;
    const auto work = [&table](unsigned seed) {
        std::vector<StatementPtr> held(4);
        for (unsigned i = 0; i < 3000; ++i) {
            seed = seed * 1664525 + 1013904223;
            const std::string text = "select " + std::to_string(seed >> 30);
            const StatementPtr statement = table.intern(text, no_types);
            ASSERT_EQ(statement->query(), text);
            held[(seed >> 20) % held.size()] = statement;
            if (seed >> 29 == 0) held.assign(4, {});
        }
    };
    std::vector<std::thread> threads;
    for (unsigned seed = 1; seed <= 4; ++seed) threads.emplace_back(work, seed);
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(table.size(), 0u);
}

// ---------------------------------------------------------------- StatementNames

TEST(StatementNames, FirstGivenFirstKept) {
    StatementTable table;
    const NamedStatementPtr first(new NamedStatement("s", table.intern("select 1", no_types)));
    const NamedStatementPtr second(new NamedStatement("s", table.intern("select 2", no_types)));
    StatementNames names;
    EXPECT_EQ(names.find("s"), nullptr);
    names.add(first);
    names.add(second);
    EXPECT_EQ(names.find("s"), first);
    EXPECT_EQ(names.size(), 1u);

    names.remove(*second);
    EXPECT_EQ(names.find("s"), first) << "the name does not mean the second";
    names.remove(*first);
    EXPECT_EQ(names.find("s"), nullptr);
    names.remove(*first);
    names.add(second);
    EXPECT_EQ(names.find("s"), second);
}

TEST(StatementNames, TellsNamesApart) {
    StatementNames names;
    for (const std::string_view name : {"a"sv, "A"sv, "a "sv, "ab"sv}) {
        names.add(NamedStatementPtr(new NamedStatement(name, {})));
    }
    EXPECT_EQ(names.size(), 4u);
    EXPECT_EQ(names.find("A")->name, "A");
    EXPECT_EQ(names.find(""), nullptr);
    EXPECT_EQ(names.find("b"), nullptr);
}

TEST(StatementNames, ErasesByWhatTheyAre) {
    StatementNames names;
    for (const char* name : {"a", "b", "c"}) {
        names.add(NamedStatementPtr(new NamedStatement(name, {})));
    }
    names.erase_if([](const NamedStatement& named) { return named.name != "b"; });
    EXPECT_EQ(names.size(), 1u);
    EXPECT_NE(names.find("b"), nullptr);
}

TEST(StatementNames, CountsTheMemoryOfWhatIsThere) {
    StatementTable table;
    StatementNames names;
    const auto named = [&](const char* name, std::size_t size) {
        return NamedStatementPtr(
            new NamedStatement(name, table.intern(std::string(size, 'x'), no_types)));
    };
    const NamedStatementPtr small = named("a", 10), large = named("b", 10'000);
    names.add(small);
    const std::size_t before = names.bytes();
    EXPECT_GT(before, 10u);
    names.add(large);
    names.add(named("b", 20'000));  // the name is taken
    EXPECT_GT(names.bytes(), before + 10'000);
    EXPECT_LT(names.bytes(), before + 11'000);
    names.remove(*large);
    EXPECT_EQ(names.bytes(), before);
    names.add(large);
    names.erase_if([](const NamedStatement&) { return true; });
    EXPECT_EQ(names.bytes(), 0u);
}

// ---------------------------------------------------------------- ServerStatements

struct ServerCase {
    const char* name;
    int size_max;
    const char* steps;    // +a add, ?a use, ~a doubt, ~ doubt all, ! clear, < evict until within,
                          // S the batch ends, Z it is answered
    const char* answers;  // of each use: y or n; of each add: + or = (was there); evicted: letters
};

constexpr ServerCase server_cases[] = {
    {"nothing is there", 9, "?a", "n"},
    {"what was added is", 9, "+a ?a ?b", "+yn"},
    {"added twice", 9, "+a +a", "+="},
    {"the oldest goes", 2, "+a +b +c <", "+++a"},
    {"but not when it was used", 2, "+a +b ?a +c <", "++y+b"},
    {"nor when it was added again", 2, "+a +b +a +c <", "++=+b"},
    {"one after the other", 1, "+a +b +c <", "+++ab"},
    {"within the limit none goes", 3, "+a +b +c <", "+++"},
    {"what went is not there", 1, "+a +b < ?a ?b", "++any"},
    {"a limit of none", 0, "+a <", "+a"},
    {"cleared", 9, "+a +b ! ?a ?b <", "++nn"},

    {"in its own batch it is certain", 9, "+a ?a", "+y"},
    {"in the next it is not", 9, "+a S ?a", "+n"},
    {"but when that is answered", 9, "+a S Z ?a", "+y"},
    {"and for good", 9, "+a S Z S S ?a", "+y"},
    {"added again, it is the first that counts", 9, "+a S +a S Z ?a", "+=y"},
    {"sent again in this batch it is certain only when the first is", 9, "+a S +a ?a", "+=n"},
    {"an uncertain use is none", 1, "+a S ?a +b <", "+n+a"},

    {"doubted", 9, "+a S Z ~a ?a", "+n"},
    {"doubted and added again", 9, "+a S Z ~a +a ?a", "+=y"},
    {"doubted, added again, next batch", 9, "+a S Z ~a +a S ?a", "+=n"},
    {"doubted without being there: it may be", 9, "~a +a", "="},
    {"then it is the first to go", 1, "+b ~a <", "+a"},
    {"all doubted", 9, "+a +b S Z ~ ?a ?b", "++nn"},
    {"all doubted, one added again", 9, "+a +b S Z ~ +b ?a ?b", "++=ny"},
};

std::string play(const ServerCase& c, StatementTable& table) {
    ServerStatements known;
    std::string answers;
    std::uint64_t batch = 0, answered = 0;
    std::istringstream steps(c.steps);
    for (std::string step; steps >> step;) {
        const StatementPtr statement = table.intern(step.substr(1), no_types);
        switch (step[0]) {
            case '+': answers += known.add(statement, batch) ? '+' : '='; break;
            case '?': answers += known.use(*statement, batch, answered) ? 'y' : 'n'; break;
            case '~': step.size() > 1 ? known.doubt(statement) : known.doubt_all(); break;
            case '!': known.clear(); break;
            case 'S': ++batch; break;
            case 'Z': ++answered; break;
            default:
                while (const StatementPtr old = known.evict(static_cast<std::size_t>(c.size_max))) {
                    answers += old->query();
                }
        }
    }
    return answers;
}

TEST(ServerStatements, KnowWhatIsThere) {
    for (const ServerCase& c : server_cases) {
        SCOPED_TRACE(c.name);
        StatementTable table;
        EXPECT_EQ(play(c, table), c.answers);
        EXPECT_EQ(table.size(), 0u) << "a statement outlived its server";
    }
}

}  // namespace
}  // namespace pgweir::protocol

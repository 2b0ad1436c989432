// Session variables: sets, their interning, and the SQL between two of them (protocol/vars).
#include "protocol/vars.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace pgweir::protocol {
namespace {

using namespace std::string_view_literals;

using Settings = VarSet::Entries;

/// One set after the other, as a session makes them.
Vars vars_of(VarTable& table, const Settings& settings) {
    Vars vars = table.empty();
    for (const auto& [name, value] : settings) vars = table.with(vars, name, value);
    return vars;
}

// ---------------------------------------------------------------- same_name

struct NameCase {
    std::string_view a, b;
    bool same;
};

constexpr NameCase name_cases[] = {
    {"TimeZone", "timezone", true},
    {"", "", true},
    {"a", "", false},
    {"abc", "ab", false},
    {"a_b", "a.b", false},
    {"[", "{", false},
    {"@", "`", false},
    {"\xc3\x84", "\xc3\xa4", false},  // folding is ASCII only, as PostgreSQL's
};

TEST(Vars, NamesAreComparedInAscii) {
    for (const NameCase& c : name_cases) {
        SCOPED_TRACE(std::string(c.a) + " and " + std::string(c.b));
        EXPECT_EQ(same_name(c.a, c.b), c.same);
        EXPECT_EQ(same_name(c.b, c.a), c.same);
    }
}

// ---------------------------------------------------------------- VarTable

struct SetCase {
    const char* name;
    Settings settings;  // in this order
    Settings entries;
};

const SetCase set_cases[] = {
    {"nothing", {}, {}},
    {"one", {{"a", "1"}}, {{"a", "1"}}},
    {"sorted", {{"c", "3"}, {"a", "1"}, {"b", "2"}}, {{"a", "1"}, {"b", "2"}, {"c", "3"}}},
    {"sorted without case",
     {{"b", "2"}, {"C", "3"}, {"A", "1"}},
     {{"A", "1"}, {"b", "2"}, {"C", "3"}}},
    {"the last one counts", {{"a", "1"}, {"a", "2"}}, {{"a", "2"}}},
    {"in the first spelling", {{"DateStyle", "ISO"}, {"datestyle", "SQL"}}, {{"DateStyle", "SQL"}}},
    {"an empty value is one", {{"a", ""}}, {{"a", ""}}},
    {"prefixes are others", {{"ab", "1"}, {"a", "2"}}, {{"a", "2"}, {"ab", "1"}}},
};

TEST(VarTable, MadeAtOnceIsTheSameAsOneByOne) {
    VarTable table;
    const Vars step = table.with(table.with(table.empty(), "b", "2"), "a", "1");
    EXPECT_EQ(table.of({{"b", "2"}, {"a", "1"}}), step);
    EXPECT_EQ(table.of({{"b", "0"}, {"A", "0"}, {"B", "9"}, {"a", "1"}, {"B", "2"}})->entries(),
              (VarSet::Entries{{"a", "1"}, {"B", "2"}}));
    EXPECT_EQ(table.of({}), table.empty());
}

TEST(VarTable, AddsAndChanges) {
    for (const SetCase& c : set_cases) {
        SCOPED_TRACE(c.name);
        VarTable table;
        EXPECT_EQ(vars_of(table, c.settings)->entries(), c.entries);
    }
}

TEST(VarTable, SameContentIsTheSameObject) {
    VarTable table;
    const Vars one = vars_of(table, {{"a", "1"}, {"b", "2"}, {"c", "3"}});
    EXPECT_EQ(one, vars_of(table, {{"c", "9"}, {"b", "2"}, {"c", "3"}, {"a", "1"}}));
    EXPECT_EQ(one, table.with(one, "B", "2")) << "nothing changes";
    EXPECT_NE(one, table.with(one, "b", "3"));
    EXPECT_NE(vars_of(table, {{"a", "1b"}}), vars_of(table, {{"a1", "b"}}));
    EXPECT_EQ(table.empty(), table.empty());
}

TEST(VarTable, ASetNeverChanges) {
    VarTable table;
    const Vars before = vars_of(table, {{"a", "1"}});
    const Vars after = table.with(before, "a", "2");
    EXPECT_EQ(*before->find("a"), "1");
    EXPECT_EQ(*after->find("A"), "2");
    EXPECT_EQ(after->find("b"), nullptr);
    EXPECT_EQ(table.empty()->find("a"), nullptr);
}

TEST(VarTable, ThrowsOutWhatNobodyHolds) {
    VarTable table;
    const Vars held = vars_of(table, {{"held", "1"}});
    for (int i = 0; i < 10'000; ++i) table.with(held, "a", std::to_string(i));
    EXPECT_LT(table.size(), 500u);
    EXPECT_EQ(table.with(table.empty(), "held", "1"), held);
}

TEST(VarTable, KeepsWhatSomebodyHolds) {
    VarTable table;
    std::vector<Vars> held;
    for (int i = 0; i < 1000; ++i) held.push_back(vars_of(table, {{"a", std::to_string(i)}}));
    for (int i = 0; i < 1000; ++i) {
        ASSERT_EQ(vars_of(table, {{"a", std::to_string(i)}}), held[static_cast<std::size_t>(i)]);
    }
}

/// Everybody makes and drops the same few sets; a thread sanitizer looks on.
TEST(VarTable, IsSharedByThreads) {
    VarTable table;
    const Vars held = vars_of(table, {{"a", "1"}});
    const auto work = [&] {
        for (int i = 0; i < 2000; ++i) {
            const Vars vars = table.with(held, "b", std::to_string(i % 5));
            ASSERT_EQ(*vars->find("a"), "1");
            ASSERT_EQ(table.with(table.empty(), "a", "1"), held);
        }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back(work);
    for (std::thread& thread : threads) thread.join();
}

// ---------------------------------------------------------------- SQL

struct QuoteCase {
    std::string_view text, literal, identifier;
};

constexpr QuoteCase quote_cases[] = {
    {"", "''", "\"\""},
    {"UTC", "'UTC'", "\"UTC\""},
    {"o'clock", "'o''clock'", "\"o'clock\""},
    {"'", "''''", "\"'\""},
    {R"(a\b)", R"( E'a\\b')", R"("a\b")"},
    {R"(\')", R"( E'\\''')", R"("\'")"},
    {"say \"so\"", "'say \"so\"'", "\"say \"\"so\"\"\""},
    {"; drop table t --", "'; drop table t --'", "\"; drop table t --\""},
    {"Zürich", "'Zürich'", "\"Zürich\""},
};

TEST(Vars, Quotes) {
    for (const QuoteCase& c : quote_cases) {
        SCOPED_TRACE(c.text);
        EXPECT_EQ(quote_literal(c.text), c.literal);
        EXPECT_EQ(quote_identifier(c.text), c.identifier);
    }
}

struct ScriptCase {
    const char* name;
    Settings have, want;
    const char* script;
};

const ScriptCase script_cases[] = {
    {"nothing and nothing", {}, {}, ""},
    {"the same", {{"a", "1"}}, {{"a", "1"}}, ""},
    {"the same under another spelling", {{"TimeZone", "UTC"}}, {{"timezone", "UTC"}}, ""},
    {"one differs", {{"a", "1"}}, {{"a", "2"}}, "SELECT pg_catalog.set_config('a','2',false)"},
    {"one is missing", {}, {{"a", "2"}}, "SELECT pg_catalog.set_config('a','2',false)"},
    {"one too many", {{"a", "1"}}, {}, "RESET \"a\";"},
    {"two differ, one does not",
     {{"a", "1"}, {"b", "1"}, {"c", "1"}},
     {{"a", "2"}, {"b", "1"}, {"c", "2"}},
     "SELECT pg_catalog.set_config('a','2',false),pg_catalog.set_config('c','2',false)"},
    {"one of each",
     {{"a", "1"}, {"b", "1"}},
     {{"a", "2"}, {"c", "1"}},
     "RESET \"b\";SELECT "
     "pg_catalog.set_config('a','2',false),pg_catalog.set_config('c','1',false)"},
    {"a value may be empty",
     {{"a", "1"}},
     {{"a", ""}},
     "SELECT pg_catalog.set_config('a','',false)"},
    {"case of a value counts",
     {{"a", "x"}},
     {{"a", "X"}},
     "SELECT pg_catalog.set_config('a','X',false)"},
    {"a list is one string",
     {},
     {{"search_path", "\"A b\", c"}},
     "SELECT pg_catalog.set_config('search_path','\"A b\", c',false)"},
    {"names and values are quoted",
     {{"x\"y", "1"}},
     {{"o'n", "a\\'; drop"}},
     "RESET \"x\"\"y\";SELECT pg_catalog.set_config('o''n', E'a\\\\''; drop',false)"},
};

TEST(Vars, SetScriptResetsToWhatIsFresh) {
    VarTable table;
    const Vars have = vars_of(table, {{"a", "1"}, {"b", "1"}, {"role", "x"}});
    const Vars want = vars_of(table, {{"a", "2"}, {"b", "2"}, {"role", "me"}});
    const Vars fresh = vars_of(table, {{"a", "2"}, {"b", "1"}, {"role", "me"}});
    EXPECT_EQ(set_script(*have, *want, *fresh),
              "RESET \"session_authorization\";RESET \"role\";RESET \"a\";SELECT "
              "pg_catalog.set_config('b','2',false),pg_catalog.set_config('role','me',false)");
}

TEST(Vars, SetScript) {
    for (const ScriptCase& c : script_cases) {
        SCOPED_TRACE(c.name);
        VarTable table;
        EXPECT_EQ(set_script(*vars_of(table, c.have), *vars_of(table, c.want), *vars_of(table, {})),
                  c.script);
    }
}

}  // namespace
}  // namespace pgweir::protocol

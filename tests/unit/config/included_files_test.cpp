#include "config/included_files.hpp"

#include <gtest/gtest.h>

#include "tests/unit/config/files.hpp"

namespace pgweir::config {
namespace {

// A file may be included again and again, so the entries are not bounded by what the files hold.
TEST(IncludedFiles, TooManyEntriesAreOneProblem) {
    const Sources sources = sources_of({});
    Findings findings;
    IncludedFiles files(sources.read, findings);
    for (int i = 0; i < included_entries_max; ++i) ASSERT_TRUE(files.admits_entry({"a.ini", i}));
    EXPECT_TRUE(findings.problems.empty());
    EXPECT_FALSE(files.admits_entry({"a.ini", 7}));
    EXPECT_FALSE(files.admits_entry({"a.ini", 8}));
    EXPECT_EQ(lines_of(findings.problems), std::vector<std::string>{"a.ini:7: too many entries"});
}

TEST(IncludedFiles, TooManyFilesAreOneProblem) {
    const Sources sources = sources_of({{"a.ini", "x"}});
    Findings findings;
    IncludedFiles files(sources.read, findings);
    for (int i = 0; i < included_files_max; ++i) ASSERT_TRUE(files.read("a.ini", {"b.ini", i}, 1));
    EXPECT_FALSE(files.read("a.ini", {"b.ini", 7}, 1));
    EXPECT_FALSE(files.read("a.ini", {"b.ini", 8}, 1));
    EXPECT_EQ(lines_of(findings.problems),
              std::vector<std::string>{"b.ini:7: too many included files"});
}

}  // namespace
}  // namespace pgweir::config

// docs/settings.md says what the tables say. PGWEIR_WRITE_DOCS=1 makes this test write it anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "config/settings.hpp"

namespace pgweir::config {
namespace {

TEST(SettingsPage, IsUpToDate) {
    const std::string path = PGWEIR_SOURCE_DIR "/docs/settings.md";
    if (std::getenv("PGWEIR_WRITE_DOCS")) std::ofstream(path) << settings_page();
    std::ostringstream page;
    page << std::ifstream(path).rdbuf();
    EXPECT_TRUE(page.str() == settings_page())
        << "write it anew: PGWEIR_WRITE_DOCS=1 unit_tests --gtest_filter=SettingsPage.*";
}

}  // namespace
}  // namespace pgweir::config

// docs/settings.md and the manual page say what the tables say. PGWEIR_WRITE_DOCS=1 makes this test
// write them anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "config/settings_page.hpp"

namespace pgweir::config {
namespace {

void expect_up_to_date(const char* name, const std::string& wanted) {
    const std::string path = std::string(PGWEIR_SOURCE_DIR "/docs/") + name;
    if (std::getenv("PGWEIR_WRITE_DOCS")) std::ofstream(path) << wanted;
    std::ostringstream page;
    page << std::ifstream(path).rdbuf();
    EXPECT_TRUE(page.str() == wanted)
        << name << ": write it anew: PGWEIR_WRITE_DOCS=1 unit_tests --gtest_filter=SettingsPage.*";
}

TEST(SettingsPage, IsUpToDate) { expect_up_to_date("settings.md", settings_page()); }

TEST(SettingsPage, AndTheManualPage) { expect_up_to_date("man/pgweir.toml.5", settings_man()); }

}  // namespace
}  // namespace pgweir::config

#include <gtest/gtest.h>

#include <set>

#include "config/settings.hpp"

namespace pgweir::config {
namespace {

TEST(SettingsTable, HasEverySettingOnceInOrder) {
    std::set<std::string_view> names, paths;
    std::string_view last;
    for (const Setting& setting : all_settings()) {
        SCOPED_TRACE(setting.name);
        EXPECT_TRUE(names.insert(setting.name).second);
        if (!setting.toml.empty()) {
            EXPECT_TRUE(paths.insert(setting.toml).second);
        }
        EXPECT_FALSE(setting.help.empty());
        last = setting.name;
    }
    EXPECT_EQ(names.size(), 100u);
    EXPECT_EQ(all_settings().front().name, "admin_users");
    EXPECT_EQ(last, "verbose");
}

TEST(SettingsTable, SaysTheDefaultsOfTheStruct) {
    for (const SettingRow& row : show_config(Settings{})) {
        SCOPED_TRACE(row.key);
        if (row.key == "unix_socket_mode") {
            EXPECT_EQ(row.value, "511");
            EXPECT_EQ(row.default_value, "0777");
        } else if (row.key == "verbose") {
            EXPECT_EQ(row.value, "0");
            EXPECT_EQ(row.default_value, std::nullopt);
        } else {
            EXPECT_EQ(row.value, row.default_value);
        }
    }
}

TEST(SettingsTable, ReadsBackWhatItShows) {
    for (const Settings& settings : {Settings{}, native_settings()}) {
        for (const Setting& setting : all_settings()) {
            SCOPED_TRACE(setting.name);
            const auto text = show(settings, setting);
            if (!text) continue;
            Settings copy;
            ASSERT_TRUE(assign(copy, setting, setting.unit == Unit::mode ? "0777" : *text));
            EXPECT_EQ(show(copy, setting), text);
        }
    }
}

struct AssignCase {
    std::string_view name, text;
    std::optional<std::string_view> shown;  // nullopt: refused
};

constexpr AssignCase assign_cases[] = {
    {"default_pool_size", "0x10", "16"},
    {"default_pool_size", "-1", {}},
    {"default_pool_size", "", {}},
    {"max_packet_size", "1024", "1024"},
    {"max_packet_size", "99999999999", {}},
    {"listen_port", "65535", "65535"},
    {"listen_port", "65536", {}},
    {"query_timeout", "0.25", "0.25"},
    {"query_timeout", "soon", {}},
    {"tcp_user_timeout", "1500", "1500"},
    {"tcp_user_timeout", "1.5", {}},
    {"log_stats", "0", "0"},
    {"log_stats", "on", {}},
    {"pool_mode", "Statement", "statement"},
    {"pool_mode", "both", {}},
    {"auth_type", "hba", "hba"},
    {"auth_type", "kerberos", {}},
    {"client_tls_sslmode", "verify-full", "verify-full"},
    {"client_tls_sslmode", "yes", {}},
    {"client_tls_dheparams", "LEGACY", "legacy"},
    {"client_tls_dheparams", "2048", {}},
    {"syslog_facility", "local7", "local7"},
    {"syslog_facility", "local8", {}},
    {"unix_socket_mode", "0750", "488"},
    {"unix_socket_mode", "0999", {}},
    {"stats_users", "a, b ,c", "a, b ,c"},
    {"stats_users", "", ""},
    {"server_reset_query", "", ""},
    {"auth_user", "bob", "bob"},
    {"scram_iterations", "0", {}},
};

TEST(SettingsTable, Assigns) {
    for (const AssignCase& c : assign_cases) {
        SCOPED_TRACE(std::string(c.name) + " = " + std::string(c.text));
        Settings settings;
        const Setting* const setting = find_setting(c.name);
        ASSERT_NE(setting, nullptr);
        ASSERT_EQ(assign(settings, *setting, c.text).has_value(), c.shown.has_value());
        if (c.shown) {
            EXPECT_EQ(show(settings, *setting), *c.shown);
        }
    }
}

TEST(SettingsTable, ListsAreShownAsWrittenUntilTheyChange) {
    Settings settings;
    ASSERT_TRUE(set(settings, "admin_users", "a,b"));
    EXPECT_EQ(settings.admin_users, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(show(settings, *find_setting("admin_users")), "a,b");
    settings.admin_users.push_back("c");
    EXPECT_EQ(show(settings, *find_setting("admin_users")), "a, b, c");
}

TEST(SettingsTable, ShowsNoPassword) {
    const auto shown = [](std::string options) {
        Settings settings;
        settings.auth_ldap_options = std::move(options);
        for (const SettingRow& row : show_config(settings)) {
            if (row.key == "auth_ldap_options") return row.value.value_or("");
        }
        return std::string();
    };
    EXPECT_EQ(shown("ldapserver=a ldapbasedn=\"b, c\""), "ldapserver=a ldapbasedn=\"b, c\"");
    EXPECT_EQ(shown("ldapbindpasswd=secret ldapserver=a"), "ldapbindpasswd=*** ldapserver=a");
    EXPECT_EQ(shown("a=b,ldapbindpasswd=\"x \"\"y\"\" z\",c=d"), "a=b,ldapbindpasswd=***,c=d");
    EXPECT_EQ(shown("\"ldapbindpasswd=x y\" a=b"), "ldapbindpasswd=*** a=b");
}

TEST(Set, FindsNamesWithoutRegardToCase) {
    Settings settings;
    ASSERT_TRUE(set(settings, "POOL_mode", "transaction"));
    EXPECT_EQ(settings.pool_mode, PoolMode::transaction);
}

TEST(Set, LeavesSettingsOfTheStartAlone) {
    Settings settings;
    EXPECT_TRUE(set(settings, "listen_port", "1234"));
    EXPECT_TRUE(set(settings, "listen_port", "nonsense"));
    EXPECT_EQ(settings, Settings{});
}

TEST(Set, RefusesWithAReason) {
    Settings settings;
    EXPECT_EQ(set(settings, "pool_mod", "x").error().message,
              "unknown setting \"pool_mod\", did you mean \"pool_mode\"?");
    EXPECT_EQ(set(settings, "query_timeout", "x").error().message,
              "query_timeout: expected a time in seconds, like 30 or 0.5, got \"x\"");
    EXPECT_EQ(settings, Settings{});
}

TEST(SettingsTable, KnowsWhatMayChangeAtRunTime) {
    const std::set<std::string_view> fixed = {"disable_pqexec",
                                              "job_name",
                                              "listen_addr",
                                              "listen_backlog",
                                              "listen_port",
                                              "pidfile",
                                              "pkt_buf",
                                              "resolv_conf",
                                              "so_reuseport",
                                              "unix_socket_dir",
                                              "unix_socket_group",
                                              "unix_socket_mode",
                                              "user",
                                              "track_extra_parameters"};
    for (const Setting& setting : all_settings()) {
        EXPECT_EQ(setting.changeable, !fixed.contains(setting.name)) << setting.name;
    }
}

}  // namespace
}  // namespace pgweir::config

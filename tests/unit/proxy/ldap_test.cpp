// What LDAP options mean (proxy/ldap); a real directory is in tests/cluster/test_auth.py.
#include "proxy/ldap.hpp"

#include <gtest/gtest.h>

namespace pgweir::proxy {
namespace {

LdapOptions parsed(std::string_view text) {
    const auto options = parse_ldap_options(text);
    EXPECT_TRUE(options.has_value()) << text;
    return options.has_value() ? *options : LdapOptions();
}

std::string refused(std::string_view text) {
    const auto options = parse_ldap_options(text);
    return options.has_error() ? options.error().message : "";
}

TEST(Ldap, OptionsOfASimpleBind) {
    const LdapOptions options = parsed(
        " ldapserver=a  ldapport=389 ldapprefix=\"cn=\" \"ldapsuffix=, dc=x\" ldaptls=1 # y");
    EXPECT_EQ(
        options,
        (LdapOptions{
            .servers = "a", .port = 389, .start_tls = true, .prefix = "cn=", .suffix = ", dc=x"}));
}

TEST(Ldap, OptionsOfASearch) {
    const LdapOptions options =
        parsed("ldapserver=\"a b\", ldapscheme=ldaps ldapbasedn=\"dc=x, dc=\"\"y\"\"\" "
               "ldapbinddn=cn=r ldapbindpasswd=\"p w\" ldapsearchattribute=mail");
    EXPECT_EQ(options, (LdapOptions{.servers = "a b",
                                    .scheme = "ldaps",
                                    .base_dn = "dc=x, dc=\"y\"",
                                    .bind_dn = "cn=r",
                                    .bind_password = "p w",
                                    .search_attribute = "mail"}));
}

TEST(Ldap, OptionsOfAUrl) {
    const LdapOptions options = parsed("ldapurl=\"ldaps://h:7/dc=x?uid?sub\" ldapbinddn=r");
    EXPECT_EQ(options, (LdapOptions{.servers = "h",
                                    .scheme = "ldaps",
                                    .port = 7,
                                    .base_dn = "dc=x",
                                    .bind_dn = "r",
                                    .search_attribute = "uid"}));
    EXPECT_EQ(parsed("ldapurl=ldap://h/dc=x??one?(a=$username)").scope, 1);
    EXPECT_EQ(parsed("ldapurl=ldap://h/dc=x??one?(a=$username)").search_filter, "(a=$username)");
}

TEST(Ldap, Refuses) {
    for (const std::string_view text :
         {"", "ldapserver=a", "ldapprefix", "ldapprefix=a nonsense=b", "ldapprefix=a ldapbasedn=b",
          "ldapsuffix=a ldapsearchfilter=b", "ldapprefix=a ldapport=x", "ldapprefix=a ldapport=0",
          "ldapprefix=a ldapport=65536", "ldapprefix=a ldapscheme=http", "ldapurl=http://x/dc=x",
          "ldapurl=nothing", "ldapbasedn=a ldapsearchattribute=b ldapsearchfilter=c"}) {
        EXPECT_NE(refused(text), "") << text;
    }
}

TEST(Ldap, Uris) {
    EXPECT_EQ(ldap_uris({}), "");
    EXPECT_EQ(ldap_uris({.servers = "a"}), "ldap://a");
    EXPECT_EQ(ldap_uris({.servers = "a b", .scheme = "ldaps", .port = 7}),
              "ldaps://a:7 ldaps://b:7");
    EXPECT_EQ(ldap_uris({.servers = "::1 [::2]", .port = 7}), "ldap://[::1]:7 ldap://[::2]:7");
}

TEST(Ldap, NamesAreDataInFilters) {
    EXPECT_EQ(ldap_filter({}, "bob"), "(uid=bob)");
    EXPECT_EQ(ldap_filter({.search_attribute = "mail"}, "b@x"), "(mail=b@x)");
    EXPECT_EQ(ldap_filter({}, "*)(uid=\\"), "(uid=\\2a\\29\\28uid=\\5c)");
    EXPECT_EQ(ldap_filter({.search_filter = "(|(a=$username)(b=$username))"}, "$username*"),
              "(|(a=$username\\2a)(b=$username\\2a))");
}

TEST(Ldap, AnEmptyPasswordIsNoPassword) {
    const LdapOptions nowhere{.servers = "127.0.0.1", .port = 1, .prefix = "cn="};
    EXPECT_TRUE(ldap_check(nowhere, "bob", "", [] { return false; }).has_error());
}

}  // namespace
}  // namespace pgweir::proxy

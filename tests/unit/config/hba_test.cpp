#include "config/hba.hpp"

#include <gtest/gtest.h>

#include "config/units.hpp"
#include "tests/unit/config/files.hpp"

namespace pgweir::config {
namespace {

using Lines = std::vector<std::string>;

struct Parsed {
    Hba hba;
    Lines warnings;
};

Parsed parse(std::string_view text, const Files& files = {}) {
    Findings findings;
    Parsed parsed;
    parsed.hba.rules = parse_hba(text, "etc/hba", sources_of(files).read, findings);
    parsed.warnings = lines_of(findings.warnings);
    return parsed;
}

struct MatchCase {
    const char* name;
    std::string_view rules;
    const char* address;  // "" = Unix socket
    bool tls;
    std::string_view database, user;
    std::string_view method;  // of the matching rule; "" = none matches
};

constexpr MatchCase match_cases[] = {
    {"no rules", "", "", false, "d", "u", ""},
    {"socket", "local all all trust", "", false, "d", "u", "trust"},
    {"socket is no host", "host all all all trust", "", false, "d", "u", ""},
    {"host is no socket", "local all all trust", "10.0.0.1", false, "d", "u", ""},
    {"inside", "host all all 10.0.0.0/8 md5", "10.9.9.9", false, "d", "u", "md5"},
    {"outside", "host all all 10.0.0.0/8 md5", "11.0.0.1", false, "d", "u", ""},
    {"odd bits", "host all all 10.0.0.128/25 md5", "10.0.0.200", false, "d", "u", "md5"},
    {"odd bits, outside", "host all all 10.0.0.128/25 md5", "10.0.0.100", false, "d", "u", ""},
    {"no bits", "host all all 0.0.0.0/0 md5", "1.2.3.4", false, "d", "u", "md5"},
    {"no bits of the other family", "host all all 0.0.0.0/0 md5", "::1", false, "d", "u", ""},
    {"every bit", "host all all ::1/128 md5", "::1", false, "d", "u", "md5"},
    {"every bit, not it", "host all all ::1/128 md5", "::2", false, "d", "u", ""},
    {"mask", "host all all 10.1.0.0 255.255.0.0 md5", "10.1.2.3", false, "d", "u", "md5"},
    {"mask of six", "host all all fe80:: ffff:: md5", "fe80::1", false, "d", "u", "md5"},
    {"all addresses", "host all all all md5", "fe80::1", true, "d", "u", "md5"},
    {"bits outside the mask", "host all all 10.0.0.1/8 trust", "10.0.0.1", false, "d", "u", ""},
    {"TLS wanted", "hostssl all all all md5", "::1", true, "d", "u", "md5"},
    {"TLS missing", "hostssl all all all md5", "::1", false, "d", "u", ""},
    {"TLS unwanted", "hostnossl all all all md5", "::1", true, "d", "u", ""},
    {"plain wanted", "hostnossl all all all md5", "::1", false, "d", "u", "md5"},
    {"first wins", "local a all md5\nlocal all all trust", "", false, "a", "u", "md5"},
    {"second", "local a all md5\nlocal all all trust", "", false, "b", "u", "trust"},
    {"reject", "local all bad reject\nlocal all all trust", "", false, "d", "bad", "reject"},
    {"list", "local a,b , c all trust", "", false, "c", "u", "trust"},
    {"list, not in it", "local a,b,c all trust", "", false, "d", "u", ""},
    {"names have case", "local A all trust", "", false, "a", "u", ""},
    {"quoted name", "local \"my \"\"db\" all trust", "", false, "my \"db", "u", "trust"},
    {"quoted keyword is a name", "local \"all\" all trust", "", false, "d", "u", ""},
    {"sameuser", "local sameuser all trust", "", false, "u", "u", "trust"},
    {"sameuser, other", "local sameuser all trust", "", false, "d", "u", ""},
    {"sameuser is no keyword for users", "local all sameuser trust", "", false, "d", "d", ""},
    {"replication is no database", "local replication all trust", "", false, "d", "u", ""},
    {"comment", "# local all all reject\nlocal all all trust # yes", "", false, "d", "u", "trust"},
    {"password is plain", "local all all password", "", false, "d", "u", "plain"},
    {"scram", "local all all scram-sha-256", "", false, "d", "u", "scram-sha-256"},
    {"Windows line ends", "local all all trust\r\n", "", false, "d", "u", "trust"},
    {"the rule after one of another database", "host a u 1.0.0.0/8 trust\nhost all u 1.0.0.0/8 md5",
     "1.2.3.4", false, "d", "u", "md5"},
    {"the wider rule first", "host all all 1.0.0.0/8 reject\nhost all u 1.2.3.4/32 trust",
     "1.2.3.4", false, "d", "u", "reject"},
    {"TLS decides between two", "hostssl all all all cert\nhost all all all md5", "::1", true, "d",
     "u", "cert"},
    {"no TLS decides between two", "hostssl all all all cert\nhost all all all md5", "::1", false,
     "d", "u", "md5"},
    {"peer and ldap", "local all a peer\nlocal all b ldap ldapprefix=x", "", false, "d", "b",
     "ldap"},
    {"pam is no method here", "local all all pam\nlocal all all peer", "", false, "d", "u", "peer"},
    {"names of hosts are none", "host all all example.org trust\nhost all all all md5", "1.1.1.1",
     false, "d", "u", "md5"},
    {"broken lines say nothing", "local all\nlocal all all trust", "", false, "d", "u", "trust"},
};

TEST(Hba, Matches) {
    for (const MatchCase& c : match_cases) {
        SCOPED_TRACE(c.name);
        const Parsed parsed = parse(c.rules);
        HbaClient client{.tls = c.tls, .database = c.database, .user = c.user};
        if (*c.address) client.address = parse_address(c.address);
        const HbaRule* const rule = match(parsed.hba, client);
        ASSERT_EQ(rule != nullptr, !c.method.empty());
        if (!rule) continue;
        EXPECT_EQ(rule->method ? word_for(*rule->method) : "reject", c.method);
    }
}

TEST(Hba, PhysicalReplicationNeedsItsKeyword) {
    HbaClient client{.physical_replication = true, .database = "d", .user = "u"};
    EXPECT_EQ(match(parse("local all all trust").hba, client), nullptr);
    EXPECT_NE(match(parse("local replication all trust").hba, client), nullptr);
    EXPECT_NE(match(parse("local all,replication all trust").hba, client), nullptr);
}

TEST(Hba, ReadsNamesFromFiles) {
    const Files files = {{"etc/names", "a, b\n# comment\n\n\"c d\" @more\n"},
                         {"etc/more", "e\n"},
                         {"etc/loop", "@loop\n"}};
    for (const std::string_view name : {"a", "b", "c d", "e"}) {
        const Parsed parsed = parse("local @names,z all trust", files);
        EXPECT_NE(match(parsed.hba, {.address = {}, .database = name, .user = "u"}), nullptr);
        EXPECT_EQ(parsed.warnings, Lines{});
    }
    EXPECT_EQ(parse("local @missing all trust", files).warnings,
              Lines{"etc/hba:1: line is ignored: cannot read \"etc/missing\""});
    EXPECT_EQ(parse("local @loop all trust", files).warnings,
              Lines{"etc/hba:1: line is ignored: too many files of names in each other"});
}

struct BrokenCase {
    const char* line;
    const char* warning;
};

constexpr BrokenCase broken_cases[] = {
    {"lokal all all trust", "expected one of local, host, hostssl, hostnossl, got \"lokal\""},
    {"\"local\" all all trust", "expected one of local, host, hostssl, hostnossl, got \"local\""},
    {"local", "expected a name"},
    {"local all", "expected a name"},
    {"local a,, all trust", "expected a name"},
    {"local all all", "expected a method"},
    {"local all all krb5", "expected one of trust, reject, md5, password, scram-sha-256, cert, "
                           "peer, ldap, got \"krb5\""},
    {"local all all trust x=y", "unsupported option \"x=y\""},
    {"local all all cert clientcert=1", "unsupported option \"clientcert=1\""},
    {"local samerole all trust", "samerole is not supported"},
    {"local samegroup all trust", "samegroup is not supported"},
    {"local all +staff trust", "roles with + are not supported"},
    {"local \"all all trust", "expected a closing quote"},
    {"host all all trust", "expected an address like 10.0.0.0/8, got \"trust\""},
    {"host all all", "expected an address like 10.0.0.0/8"},
    {"host all all example.com md5", "expected an address like 10.0.0.0/8, got \"example.com\""},
    {"host all all samehost md5", "expected an address like 10.0.0.0/8, got \"samehost\""},
    {"host all all 10.0.0.1/33 md5", "expected a number of bits from 0 to 32, got \"33\""},
    {"host all all ::1/129 md5", "expected a number of bits from 0 to 128, got \"129\""},
    {"host all all 10.0.0.1/ md5", "expected a number of bits from 0 to 32, got \"\""},
    {"host all all 10.0.0.1 md5", "expected a mask after the address"},
    {"host all all 10.0.0.1 ffff:: md5", "expected a mask after the address"},
};

TEST(Hba, LeavesBrokenLinesOut) {
    for (const BrokenCase& c : broken_cases) {
        SCOPED_TRACE(c.line);
        const Parsed parsed = parse(c.line);
        EXPECT_TRUE(parsed.hba.rules.empty());
        EXPECT_EQ(parsed.warnings, Lines{std::string("etc/hba:1: line is ignored: ") + c.warning});
    }
}

TEST(Hba, WarnsOfBitsOutsideTheMask) {
    EXPECT_EQ(parse("\nhost all all 10.0.0.1/8 md5").warnings,
              Lines{"etc/hba:2: the address has bits outside its mask: nobody matches"});
}

TEST(Hba, KeepsMapsAndOptions) {
    const Parsed parsed =
        parse("local all all peer map=m\nhostssl all all all cert map=\"my map\"\n"
              "local all all ldap ldapserver=x ldapprefix=\"cn=\"  # why\n");
    EXPECT_EQ(parsed.warnings, Lines{});
    ASSERT_EQ(parsed.hba.rules.size(), 3u);
    EXPECT_EQ(parsed.hba.rules[0].map, "m");
    EXPECT_EQ(parsed.hba.rules[1].map, "my map");
    EXPECT_EQ(parsed.hba.rules[2].options, "ldapserver=x ldapprefix=\"cn=\"  # why");
    EXPECT_EQ(parsed.hba.rules[2].line, 3);
}

TEST(Ident, MapsNames) {
    Findings findings;
    Hba hba;
    hba.maps =
        parse_ident("m  sys  bob  # x\n\nm sys2 all\nm \"s 3\" \"all\"\nbroken line\nm a b c\n",
                    "ident", findings);
    HbaRule rule;
    rule.map = "m";
    EXPECT_TRUE(may_be(hba, rule, "sys", "bob"));
    EXPECT_FALSE(may_be(hba, rule, "sys", "eve"));
    EXPECT_FALSE(may_be(hba, rule, "bob", "bob"));
    EXPECT_TRUE(may_be(hba, rule, "sys2", "anyone"));
    EXPECT_TRUE(may_be(hba, rule, "s 3", "all"));
    EXPECT_FALSE(may_be(hba, rule, "s 3", "anyone"));
    rule.map = "other";
    EXPECT_FALSE(may_be(hba, rule, "sys", "bob"));
    rule.map = "";
    EXPECT_TRUE(may_be(hba, rule, "bob", "bob"));
    EXPECT_FALSE(may_be(hba, rule, "sys", "bob"));
    EXPECT_EQ(lines_of(findings.warnings),
              (Lines{"ident:5: line is ignored: expected a map, a system user and a user",
                     "ident:6: line is ignored: expected a map, a system user and a user"}));
}

TEST(Hba, IsLoadedWhenItIsTheMethod) {
    const Files files = {{"a.ini", "[pgbouncer]\nauth_type = hba\nauth_hba_file = hba\n"
                                   "auth_ident_file = ident\n"},
                         {"b.ini", "[pgbouncer]\nauth_type = trust\nauth_hba_file = hba\n"},
                         {"c.ini", "[pgbouncer]\nauth_type = hba\nauth_hba_file = nope\n"},
                         {"hba", "local all all peer map=gone\nlocal all all peer map=m\n"},
                         {"ident", "m a b\n"}};
    const auto loaded = load("a.ini", sources_of(files));
    ASSERT_TRUE(loaded.config && loaded.config->hba);
    ASSERT_EQ(loaded.config->hba->rules.size(), 2u);
    EXPECT_FALSE(loaded.config->hba->rules[0].method.has_value());  // nobody is let in by it
    EXPECT_EQ(loaded.config->hba->rules[1].method, AuthType::peer);
    EXPECT_EQ(loaded.config->hba->maps.size(), 1u);
    EXPECT_EQ(lines_of(loaded.warnings),
              Lines{"hba:1: line rejects: there is no ident map \"gone\""});
    EXPECT_EQ(load("b.ini", sources_of(files)).config->hba, nullptr);
    const auto missing = load("c.ini", sources_of(files));
    ASSERT_TRUE(missing.config && missing.config->hba);
    EXPECT_EQ(lines_of(missing.warnings),
              Lines{"c.ini:3: auth_hba_file: cannot read \"nope\": no such file"});
}

}  // namespace
}  // namespace pgweir::config

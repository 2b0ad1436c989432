// Kinds of secrets, comparing and making them (protocol/secret).
#include "protocol/secret.hpp"

#include <gtest/gtest.h>

namespace pgweir::protocol {
namespace {

#define KEY_A "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
#define KEY_B "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

struct KindCase {
    const char* name;
    std::string_view secret;
    SecretKind kind;
};

constexpr KindCase kind_cases[] = {
    {"nothing", "", SecretKind::none},
    {"a password", "secret", SecretKind::plain},
    {"md5", "md54a0a68b43b6cd5cf266fa02f196e2371", SecretKind::md5},
    {"md5 in capitals", "md54A0A68B43B6CD5CF266FA02F196E2371", SecretKind::plain},
    {"md5 too short", "md54a0a68b43b6cd5cf266fa02f196e237", SecretKind::plain},
    {"md5 too long", "md54a0a68b43b6cd5cf266fa02f196e23711", SecretKind::plain},
    {"scram", "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" KEY_A ":" KEY_B, SecretKind::scram},
    {"scram without keys", "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==", SecretKind::plain},
    {"only its name", "SCRAM-SHA-256", SecretKind::plain},
};

TEST(Secret, Kinds) {
    for (const KindCase& c : kind_cases) {
        SCOPED_TRACE(c.name);
        EXPECT_EQ(kind_of_secret(c.secret), c.kind);
    }
}

TEST(Secret, Equality) {
    EXPECT_TRUE(equal_secret("same", "same"));
    EXPECT_FALSE(equal_secret("same", "sane"));
    EXPECT_FALSE(equal_secret("same", "sames"));
    EXPECT_FALSE(equal_secret("same", ""));
    EXPECT_FALSE(equal_secret("", ""));
}

TEST(Secret, RandomBytesDiffer) {
    EXPECT_EQ(random_bytes(32).size(), 32u);
    EXPECT_NE(random_bytes(32), random_bytes(32));
    EXPECT_EQ(random_bytes(0), "");
}

}  // namespace
}  // namespace pgweir::protocol

// PostgreSQL's md5 passwords (protocol/md5).
#include "protocol/md5.hpp"

#include <gtest/gtest.h>

namespace pgweir::protocol {
namespace {

using namespace std::string_view_literals;

TEST(Md5, VectorsOfRfc1321) {
    EXPECT_EQ(md5_hex(""), "d41d8cd98f00b204e9800998ecf8427e");
    EXPECT_EQ(md5_hex("abc"), "900150983cd24fb0d6963f7d28e17f72");
    EXPECT_EQ(md5_hex("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
}

TEST(Md5, SecretAndAnswer) {
    const std::string secret = md5_secret("secret", "alice");
    EXPECT_EQ(secret, "md54a0a68b43b6cd5cf266fa02f196e2371");
    EXPECT_EQ(md5_answer(secret, "\1\2\3\4"), "md598a0412b9c31436fc53776e863350083");
    EXPECT_NE(md5_answer(secret, "\1\2\3\0"sv), md5_answer(secret, "\1\2\0\3"sv));
    EXPECT_EQ(md5_answer("plain", "\1\2\3\4"), "");
}

}  // namespace
}  // namespace pgweir::protocol

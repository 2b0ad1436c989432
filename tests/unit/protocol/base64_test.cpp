// Base 64 (protocol/base64).
#include "protocol/base64.hpp"

#include <gtest/gtest.h>

namespace pgweir::protocol {
namespace {

struct Base64Case {
    std::string_view bytes;
    std::string_view text;
};

// RFC 4648, section 10.
constexpr Base64Case vectors[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xff\xfe\xfd", "//79"},
};

TEST(Base64, Vectors) {
    for (const Base64Case& c : vectors) {
        SCOPED_TRACE(c.text);
        EXPECT_EQ(base64_encode(c.bytes), c.text);
        EXPECT_EQ(base64_decode(c.text), c.bytes);
    }
}

TEST(Base64, RoundTripsEveryByteAtEveryPlace) {
    std::string bytes;
    for (int byte = 0; byte < 256; ++byte) {
        bytes.push_back(static_cast<char>(byte));
        EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes);
    }
}

TEST(Base64, RefusesAllElse) {
    for (const std::string_view text :
         {"Z", "Zg", "Zg=", "Zg==Zg==", "Zh==", "Zm9=", "=Zg=", "Z===", "====", "Zm9v\n", "Zm 9",
          "Zm-_", "Zg==\n", "Zg=g"}) {
        EXPECT_EQ(base64_decode(text), std::nullopt) << text;
    }
    EXPECT_EQ(base64_decode(std::string_view("Zm\0v", 4)), std::nullopt);
}

}  // namespace
}  // namespace pgweir::protocol

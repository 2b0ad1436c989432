// PostgreSQL's md5 passwords: what is stored and what is sent.
#pragma once

#include <string>
#include <string_view>

#include "protocol/bytes.hpp"
#include "protocol/secret.hpp"

namespace pgweir::protocol {

// All three give an empty string where OpenSSL refuses MD5, as in FIPS mode. equal_secret() finds
// an empty string equal to nothing, so nobody gets in by that.

/// 32 lower-case hexadecimal digits.
std::string md5_hex(Bytes bytes);

/// What is stored: "md5" and the digits of password and user name.
std::string md5_secret(std::string_view password, std::string_view user);

/// What a client sends: "md5" and the digits of the stored secret's digits and the server's salt.
/// `secret` is as md5_secret() gives it, `salt` is 4 bytes.
/// Source: PostgreSQL manual, "Message Flow", AuthenticationMD5Password.
std::string md5_answer(std::string_view secret, Bytes salt);

}  // namespace pgweir::protocol

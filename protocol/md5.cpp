#include "protocol/md5.hpp"

#include <openssl/evp.h>

namespace pgweir::protocol {

namespace {

constexpr std::string_view prefix = "md5";

std::string prefixed(Bytes bytes) {
    const std::string digits = md5_hex(bytes);
    return digits.empty() ? std::string() : std::string(prefix) + digits;
}

}  // namespace

std::string md5_hex(Bytes bytes) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_md5(), nullptr) != 1) return {};

    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
        text.push_back(digits[digest[i] >> 4]);
        text.push_back(digits[digest[i] & 15u]);
    }
    return text;
}

std::string md5_secret(std::string_view password, std::string_view user) {
    return prefixed(std::string(password).append(user));
}

std::string md5_answer(std::string_view secret, Bytes salt) {
    if (!secret.starts_with(prefix)) return {};
    return prefixed(std::string(secret.substr(prefix.size())).append(salt));
}

}  // namespace pgweir::protocol

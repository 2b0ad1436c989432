#include "protocol/secret.hpp"

#include <cstdlib>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "protocol/scram.hpp"

namespace pgweir::protocol {

SecretKind kind_of_secret(std::string_view secret) {
    if (secret.empty()) return SecretKind::none;
    constexpr std::size_t md5_size = 35;
    if (secret.size() == md5_size && secret.starts_with("md5") &&
        secret.find_first_not_of("0123456789abcdef", 3) == std::string_view::npos) {
        return SecretKind::md5;
    }
    return parse_scram_secret(secret) ? SecretKind::scram : SecretKind::plain;
}

bool equal_secret(std::string_view a, std::string_view b) {
    if (a.empty() || a.size() != b.size()) return false;
    return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string random_bytes(std::size_t size) {
    std::string bytes(size, '\0');
    auto* at = reinterpret_cast<unsigned char*>(bytes.data());
    if (RAND_bytes(at, static_cast<int>(size)) != 1) std::abort();
    return bytes;
}

}  // namespace pgweir::protocol

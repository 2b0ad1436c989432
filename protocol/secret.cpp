#include "protocol/secret.hpp"

#include <cerrno>
#include <cstdlib>

#include <openssl/crypto.h>
#include <sys/random.h>

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
    // The kernel's generator: one system call, where OpenSSL's makes one as well and computes
    // besides.
    for (std::size_t done = 0; done < size;) {
        const ssize_t got = getrandom(bytes.data() + done, size - done, 0);
        if (got < 0 && errno != EINTR) std::abort();  // nothing that can be guessed goes out
        if (got > 0) done += static_cast<std::size_t>(got);
    }
    return bytes;
}

}  // namespace pgweir::protocol

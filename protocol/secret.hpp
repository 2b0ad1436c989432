// The secrets a password file holds, and how secrets are compared and made.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pgweir::protocol {

/// In which form a secret is kept.
enum class SecretKind : std::uint8_t {
    none,   // empty: nobody can log in with it
    plain,  // the password itself
    md5,    // "md5" and 32 lower-case hexadecimal digits
    scram,  // "SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey"
};

/// What looks like a verifier but is not well-formed is a plain password, as PostgreSQL has it.
SecretKind kind_of_secret(std::string_view secret);

/// Whether both are the same, in a time that tells nothing of where they differ (of their lengths
/// it does). An empty secret equals nothing, itself included.
bool equal_secret(std::string_view a, std::string_view b);

/// Bytes for salts, nonces and cancel keys. Ends the program when the system has none to give.
std::string random_bytes(std::size_t size);

}  // namespace pgweir::protocol

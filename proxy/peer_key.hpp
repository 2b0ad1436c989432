// What a cancel key says about whose it is, among processes that share a port. As in PgBouncer, so
// that its processes and ours can stand side by side.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pgweir::proxy {

/// Of 8 bytes, the pid's four and the secret's first: bytes 1 and 2 are the number of the process
/// that gave the key, low byte first; the two lowest bits of byte 7 are how often a request with it
/// may still be passed on.
namespace peer_key {

inline constexpr std::size_t hops_at = 3;  // of the secret
inline constexpr char hops_mask = 3;

inline std::uint32_t with_owner(std::uint32_t pid, int owner) {
    const auto low = static_cast<std::uint32_t>(owner & 0xff);
    const auto high = static_cast<std::uint32_t>(owner >> 8 & 0xff);
    return (pid & 0x7f0000ffu) | low << 16 | high << 8;
}

inline int owner_of(std::uint32_t pid) {
    return static_cast<int>((pid >> 16 & 0xff) | (pid & 0xff00));
}

/// `secret`: 4 bytes or more, here and below.
inline void fill_hops(std::string& secret) {
    secret[hops_at] = static_cast<char>(secret[hops_at] | hops_mask);
}

inline int hops_left(std::string_view secret) { return secret[hops_at] & hops_mask; }

/// One hop less; hops_left() is above 0.
inline void take_hop(std::string& secret) {
    secret[hops_at] = static_cast<char>(secret[hops_at] - 1);
}

}  // namespace peer_key

}  // namespace pgweir::proxy

// Networks, as the operator writes them: 10.0.0.0/8, ::1, an address alone.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/error.hpp"

namespace pgweir::config {

/// An IPv4 address (its four bytes first, the rest 0) or an IPv6 address, in network order.
struct IpAddress {
    bool v6 = false;
    std::array<std::uint8_t, 16> bytes{};

    friend bool operator==(const IpAddress&, const IpAddress&) = default;
};

/// "10.0.0.1" or "::1"; nullopt when it is neither.
std::optional<IpAddress> parse_address(const std::string& text);

using AddressMask = std::array<std::uint8_t, 16>;

/// Its first bits are 1: `text` says how many.
protocol::Result<AddressMask> mask_of_bits(std::string_view text, bool v6);

struct Network {
    IpAddress address;
    AddressMask mask{};  // a bit of the address counts where this has a 1

    bool covers(const IpAddress& other) const;
    friend bool operator==(const Network&, const Network&) = default;
};

/// Some networks and, perhaps, Unix sockets.
struct Networks {
    std::vector<Network> networks{};
    bool unix_sockets = false;

    /// nullopt: it is a Unix socket.
    bool covers(const std::optional<IpAddress>& address) const;
    bool empty() const { return networks.empty() && !unix_sockets; }
    friend bool operator==(const Networks&, const Networks&) = default;
};

/// Each is an address, an address with the number of bits that count, or "unix".
/// Errors   F0000: which is not, or has bits that do not count.
protocol::Result<Networks> parse_networks(const std::vector<std::string>& texts);

}  // namespace pgweir::config

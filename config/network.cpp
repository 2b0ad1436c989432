#include "config/network.hpp"

#include <arpa/inet.h>
#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "config/units.hpp"

namespace pgweir::config {

namespace {

constexpr const char* wanted = "an address like 10.0.0.1 or 10.0.0.0/8, or \"unix\"";

Result<Network> parse_network(const std::string& text) {
    const std::size_t slash = text.find('/');
    const auto address = parse_address(text.substr(0, slash));
    if (!address) return expected(wanted, text);
    const std::string_view bits = slash == std::string::npos
                                      ? address->v6 ? "128" : "32"
                                      : std::string_view(text).substr(slash + 1);
    const auto mask = mask_of_bits(bits, address->v6);
    if (mask.has_error()) return mask.error();
    const Network network{*address, *mask};
    if (!network.covers(*address))
        return expected("an address without bits outside its mask", text);
    return network;
}

}  // namespace

std::optional<IpAddress> parse_address(const std::string& text) {
    IpAddress address;
    if (text.find('\0') != std::string::npos) return std::nullopt;
    if (inet_pton(AF_INET, text.c_str(), address.bytes.data()) == 1) return address;
    address.v6 = true;
    if (inet_pton(AF_INET6, text.c_str(), address.bytes.data()) == 1) return address;
    return std::nullopt;
}

Result<AddressMask> mask_of_bits(std::string_view text, bool v6) {
    const unsigned bits_max = v6 ? 128 : 32;
    unsigned bits = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), bits);
    if (end.ec != std::errc{} || end.ptr != text.data() + text.size() || bits > bits_max) {
        return expected(fmt::format("a number of bits from 0 to {}", bits_max), text);
    }
    AddressMask mask{};
    for (unsigned i = 0; i < bits; ++i) {
        mask[i / 8] = static_cast<std::uint8_t>(mask[i / 8] | (0x80u >> (i % 8)));
    }
    return mask;
}

bool Network::covers(const IpAddress& other) const {
    if (address.v6 != other.v6) return false;
    for (std::size_t i = 0; i < mask.size(); ++i) {
        if ((other.bytes[i] & mask[i]) != address.bytes[i]) return false;
    }
    return true;
}

bool Networks::covers(const std::optional<IpAddress>& address) const {
    if (!address) return unix_sockets;
    return std::ranges::any_of(networks,
                               [&](const Network& network) { return network.covers(*address); });
}

Result<Networks> parse_networks(const std::vector<std::string>& texts) {
    Networks all;
    for (const std::string& text : texts) {
        if (text == "unix") {
            all.unix_sockets = true;
            continue;
        }
        const auto network = parse_network(text);
        if (network.has_error()) return network.error();
        all.networks.push_back(*network);
    }
    return all;
}

}  // namespace pgweir::config

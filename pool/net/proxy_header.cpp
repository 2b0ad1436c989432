#include "pool/net/proxy_header.hpp"

#include <array>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace pgweir::net {

namespace {

using protocol::Bytes;
using protocol::Result;

constexpr std::string_view text_begin = "PROXY ";
constexpr std::size_t text_size_max = 107;  // bytes, CR and LF among them
constexpr std::string_view binary_begin("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t binary_head_size = 16;  // bytes

protocol::Error bad_header(const char* what) {
    return protocol::protocol_violation(protocol::Origin::client,
                                        std::string("invalid PROXY protocol header: ") + what);
}

/// `address`: 4 or 16 bytes in network order.
Address make_address(Bytes address, std::uint16_t port) {
    if (address.size() == sizeof(in_addr)) {
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        std::memcpy(&v4.sin_addr, address.data(), sizeof v4.sin_addr);
        return Address(&v4, sizeof v4);
    }
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, address.data(), sizeof v6.sin6_addr);
    return Address(&v6, sizeof v6);
}

/// Decimal, no sign, no superfluous zero.
std::optional<std::uint16_t> read_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), port);
    const bool all = end.ec == std::errc{} && end.ptr == text.data() + text.size();
    return all && (text == "0" || !text.starts_with('0')) ? std::optional(port) : std::nullopt;
}

/// "SOURCE DESTINATION PORT PORT", each apart by one blank.
std::optional<Address> read_addresses(std::string_view text, int family) {
    std::array<std::string_view, 4> words;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::size_t end = std::min(text.find(' '), text.size());
        words[i] = text.substr(0, end);
        if ((end == text.size()) != (i + 1 == words.size())) return std::nullopt;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    std::array<char, sizeof(in6_addr)> source{}, destination{};
    if (inet_pton(family, std::string(words[0]).c_str(), source.data()) != 1 ||
        inet_pton(family, std::string(words[1]).c_str(), destination.data()) != 1) {
        return std::nullopt;
    }
    const auto port = read_port(words[2]);
    if (!port || !read_port(words[3])) return std::nullopt;
    const std::size_t size = family == AF_INET ? sizeof(in_addr) : sizeof(in6_addr);
    return make_address({source.data(), size}, *port);
}

Result<std::optional<ProxyHeader>> read_text(Bytes bytes) {
    const std::size_t end = bytes.substr(0, text_size_max).find("\r\n");
    if (end == Bytes::npos) {
        if (bytes.size() >= text_size_max) return bad_header("line too long");
        return std::optional<ProxyHeader>();
    }
    const std::string_view line = bytes.substr(text_begin.size(), end - text_begin.size());
    ProxyHeader header{end + 2, {}};
    const std::string_view family = line.substr(0, line.find(' '));
    if (family == "UNKNOWN") return std::optional(header);
    if (line.find('\0') != std::string_view::npos || line.size() <= family.size())
        return bad_header("addresses expected");
    const std::string_view addresses = line.substr(family.size() + 1);
    if (family == "TCP4") {
        header.source = read_addresses(addresses, AF_INET);
    } else if (family == "TCP6") {
        header.source = read_addresses(addresses, AF_INET6);
    }
    if (!header.source) return bad_header("addresses expected");
    return std::optional(header);
}

Result<std::optional<ProxyHeader>> read_binary(Bytes bytes) {
    if (bytes.size() < binary_head_size) return std::optional<ProxyHeader>();
    const auto command = static_cast<unsigned char>(bytes[12]);
    const auto family = static_cast<unsigned char>(bytes[13]);
    const std::size_t size = binary_head_size + protocol::load_u16(bytes.data() + 14);
    if (command >> 4 != 2) return bad_header("unknown version");
    if (size > proxy_header_size_max) return bad_header("too large");
    if (bytes.size() < size) return std::optional<ProxyHeader>();

    ProxyHeader header{size, {}};
    const Bytes body = bytes.substr(binary_head_size, size - binary_head_size);
    constexpr unsigned char local = 0x20, proxied = 0x21;
    if (command == local) return std::optional(header);
    if (command != proxied) return bad_header("unknown command");
    // Source and destination address, source and destination port.
    const auto read = [&](std::size_t address) {
        if (body.size() < 2 * address + 4) return false;
        header.source =
            make_address(body.substr(0, address), protocol::load_u16(&body[2 * address]));
        return true;
    };
    constexpr unsigned char unspecified = 0x00, tcp4 = 0x11, tcp6 = 0x21, unix_stream = 0x31;
    switch (family) {
        case unspecified:
        case unix_stream: return std::optional(header);
        case tcp4:
            if (!read(sizeof(in_addr))) return bad_header("addresses expected");
            return std::optional(header);
        case tcp6:
            if (!read(sizeof(in6_addr))) return bad_header("addresses expected");
            return std::optional(header);
        default: return bad_header("unknown address family");
    }
}

}  // namespace

Result<std::optional<ProxyHeader>> read_proxy_header(Bytes bytes) {
    const auto may_be = [bytes](std::string_view begin) {
        return bytes.substr(0, begin.size()) == begin.substr(0, bytes.size());
    };
    if (may_be(text_begin) && bytes.size() >= text_begin.size()) return read_text(bytes);
    if (may_be(binary_begin) && bytes.size() >= binary_begin.size()) return read_binary(bytes);
    if (may_be(text_begin) || may_be(binary_begin)) return std::optional<ProxyHeader>();
    return bad_header("there is none");
}

}  // namespace pgweir::net

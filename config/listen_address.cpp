#include "config/listen_address.hpp"

#include "config/units.hpp"

namespace pgweir::config {

bool is_loopback(const IpAddress& address) {
    return address.v6 ? address == *parse_address("::1") : address.bytes[0] == 127;
}

protocol::Result<Endpoint> parse_listen_address(std::string_view text) {
    constexpr const char* wanted = "an address like 127.0.0.1:9127, [::1]:9127 or :9127";
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return expected(wanted, text);
    const auto port = parse_integer(text.substr(colon + 1), 1, 65535);
    if (port.has_error()) return expected(wanted, text);
    std::string_view host = text.substr(0, colon);
    const bool bracketed = host.starts_with('[') && host.ends_with(']');
    if (bracketed) host = host.substr(1, host.size() - 2);
    const bool v6 = host.find(':') != std::string_view::npos;
    if (v6 != bracketed || (v6 && !parse_address(std::string(host)))) return expected(wanted, text);
    return Endpoint{std::string(host.empty() ? "*" : host), static_cast<int>(*port)};
}

}  // namespace pgweir::config

#include "proxy/http/text.hpp"

#include <cstdint>

#include <fmt/format.h>

#include "protocol/utf8.hpp"

namespace pgweir::proxy::http {

std::string utf8(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const std::size_t size = protocol::character_size(text);
        if (size == 0) {
            out += fmt::format("\\x{:02x}", static_cast<std::uint8_t>(text.front()));
            text.remove_prefix(1);
        } else {
            out += text.substr(0, size);
            text.remove_prefix(size);
        }
    }
    return out;
}

}  // namespace pgweir::proxy::http

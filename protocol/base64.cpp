#include "protocol/base64.hpp"

#include <algorithm>
#include <array>

namespace pgweir::protocol {

namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::uint8_t no_sextet = 0xff;

/// The place of each byte in the alphabet: a log-in decodes half a dozen values.
constexpr std::array<std::uint8_t, 256> sextets = [] {
    std::array<std::uint8_t, 256> places{};
    places.fill(no_sextet);
    for (std::size_t i = 0; i < alphabet.size(); ++i)
        places[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
    return places;
}();

}  // namespace

std::string base64_encode(Bytes bytes) {
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (; !bytes.empty(); bytes.remove_prefix(std::min<std::size_t>(3, bytes.size()))) {
        std::uint32_t group = 0;
        for (std::size_t i = 0; i < 3; ++i) {
            group <<= 8;
            if (i < bytes.size()) group |= static_cast<unsigned char>(bytes[i]);
        }
        for (std::size_t i = 0; i < 4; ++i) {
            const std::size_t sextet = group >> (18 - 6 * i) & 63u;
            text.push_back(i <= bytes.size() ? alphabet[sextet] : '=');
        }
    }
    return text;
}

std::optional<std::string> base64_decode(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    std::string bytes;
    bytes.reserve(text.size() / 4 * 3);
    for (; !text.empty(); text.remove_prefix(4)) {
        const bool last = text.size() == 4;
        const std::size_t padding = !last || text[3] != '=' ? 0 : text[2] != '=' ? 1 : 2;
        std::uint32_t group = 0;
        for (std::size_t i = 0; i < 4; ++i) {
            const std::uint8_t sextet =
                i < 4 - padding ? sextets[static_cast<unsigned char>(text[i])] : 0;
            if (sextet == no_sextet) return std::nullopt;
            group = group << 6 | sextet;
        }
        if ((group & ((1u << 8 * padding) - 1)) != 0) return std::nullopt;
        for (std::size_t i = 0; i < 3 - padding; ++i) {
            bytes.push_back(static_cast<char>(group >> (16 - 8 * i) & 0xffu));
        }
    }
    return bytes;
}

}  // namespace pgweir::protocol

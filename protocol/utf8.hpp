// Text in UTF-8 that has to be cut.
#pragma once

#include <string_view>

namespace pgweir::protocol {

/// Up to `size_max` bytes of the beginning, no character cut in two.
inline std::string_view whole_characters(std::string_view text, std::size_t size_max) {
    if (text.size() <= size_max) return text;
    std::size_t size = size_max;
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
    return text.substr(0, size);
}

}  // namespace pgweir::protocol

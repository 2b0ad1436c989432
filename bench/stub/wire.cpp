#include "bench/stub/wire.hpp"

namespace bench {

std::string int32(std::uint32_t value) {
    return {static_cast<char>(value >> 24U), static_cast<char>(value >> 16U),
            static_cast<char>(value >> 8U), static_cast<char>(value)};
}

std::string int16(std::uint16_t value) {
    return {static_cast<char>(value >> 8U), static_cast<char>(value)};
}

std::uint32_t read_int32(std::string_view bytes) {
    std::uint32_t value = 0;
    for (const char byte : bytes.substr(0, 4)) {
        value = value << 8U | static_cast<unsigned char>(byte);
    }
    return value;
}

std::string message(char type, std::string_view payload) {
    std::string made;
    if (type != '\0') made += type;
    made += int32(static_cast<std::uint32_t>(payload.size() + 4));
    made += payload;
    return made;
}

}  // namespace bench

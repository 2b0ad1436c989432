#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bench {

/// A message of the protocol: its type, its length, its payload. Type '\0' has no type byte, as
/// start-up packets.
std::string message(char type, std::string_view payload);

/// As the protocol has it, big-endian.
std::string int32(std::uint32_t value);
std::string int16(std::uint16_t value);
std::uint32_t read_int32(std::string_view bytes);

/// Cuts a stream into messages without keeping more of one than its first bytes: cheap, and a
/// message may come in any pieces.
class Walker {
public:
    /// Calls `on_message(type, start)` for each message that ends in `bytes`; `start` is the
    /// beginning of its payload, up to 256 bytes.
    template <class OnMessage>
    void walk(std::string_view bytes, OnMessage on_message) {
        while (!bytes.empty()) {
            if (header_.size() < header_size) {
                const std::string_view more = bytes.substr(0, header_size - header_.size());
                header_ += more;
                bytes.remove_prefix(more.size());
                if (header_.size() < header_size) return;
                missing_ = read_int32(std::string_view(header_).substr(1)) - 4;
            }
            const std::string_view part = bytes.substr(0, missing_);
            start_ += part.substr(0, start_max - start_.size());
            missing_ -= part.size();
            bytes.remove_prefix(part.size());
            if (missing_ != 0) return;
            on_message(header_[0], std::string_view(start_));
            header_.clear();
            start_.clear();
        }
    }

private:
    static constexpr std::size_t header_size = 5, start_max = 256;

    std::string header_, start_;
    std::size_t missing_ = 0;
};

}  // namespace bench

#include "protocol/frame.hpp"

#include <algorithm>

namespace pgweir::protocol {

Result<std::optional<Frame>> first_frame(Bytes bytes, std::size_t payload_max, Origin sender) {
    if (bytes.size() < header_size) return std::optional<Frame>{};

    const std::size_t length = load_u32(bytes.data() + 1);
    if (length < 4) return protocol_violation(sender, "message length below 4");
    const std::size_t payload = length - 4;
    if (payload > payload_max) return protocol_violation(sender, "message too large");

    const std::size_t arrived = std::min(payload, bytes.size() - header_size);
    return std::optional<Frame>(Frame{
        .type = bytes[0],
        .payload = bytes.substr(header_size, arrived),
        .missing = payload - arrived,
    });
}

std::string Segments::joined() const {
    std::string all;
    all.reserve(size_);
    for (const Bytes slice : slices_) all.append(slice);
    return all;
}

}  // namespace pgweir::protocol

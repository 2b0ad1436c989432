#include "protocol/frame.hpp"

namespace pgweir::protocol {

Error cut_error(Cut cut, Origin sender) {
    return protocol_violation(
        sender, cut == Cut::too_large ? "message too large" : "message length below 4");
}

Result<std::optional<Frame>> first_frame(Bytes bytes, std::size_t payload_max, Origin sender) {
    const CutFrame cut = cut_frame(bytes, payload_max);
    if (cut.cut == Cut::frame) return std::optional<Frame>(cut.frame);
    if (cut.cut == Cut::more) return std::optional<Frame>{};
    return cut_error(cut.cut, sender);
}

void Segments::append(Bytes bytes) {
    slices_.push_back(bytes);
    end_ = bytes.data() + bytes.size();
}

std::string Segments::joined() const {
    std::string all;
    all.reserve(size_);
    for (const Bytes slice : slices_) all.append(slice);
    return all;
}

}  // namespace pgweir::protocol

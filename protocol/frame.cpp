#include "protocol/frame.hpp"

#include <algorithm>

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

void Segments::cut(std::size_t size) {
    while (size_ > size) {
        Bytes& last = slices_.back();
        const std::size_t going = std::min(size_ - size, last.size());
        last.remove_suffix(going);
        size_ -= going;
        if (last.empty()) slices_.pop_back();
    }
    end_ = slices_.empty() ? nullptr : slices_.back().data() + slices_.back().size();
}

std::string Segments::joined() const {
    std::string all;
    all.reserve(size_);
    for (const Bytes slice : slices_) all.append(slice);
    return all;
}

}  // namespace pgweir::protocol

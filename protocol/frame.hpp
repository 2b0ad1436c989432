// One protocol message where it lies, and the ordered list of byte ranges that leaves again.
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "protocol/bytes.hpp"
#include "protocol/error.hpp"

namespace pgweir::protocol {

inline constexpr std::size_t header_size = 5;  // bytes: type, then a length that counts itself
inline constexpr std::size_t payload_size_max = 0x7fffffff;  // bytes: what a length can say

/// One message where it lies in a buffer. Borrowed: valid until the buffer moves.
struct Frame {
    char type;            // 'Q', 'P', 'Z', …
    Bytes payload;        // what has arrived of it
    std::size_t missing;  // bytes of the payload still on their way; 0 when whole

    /// Size on the wire, header and what is missing included.
    std::size_t size() const { return header_size + payload.size() + missing; }
};

/// The hot path's way to cut: no Error is made, only told apart.
enum class Cut : std::uint8_t { frame, more, too_short, too_large };

struct CutFrame {
    Cut cut;
    Frame frame;  // when cut is Cut::frame
};

inline CutFrame cut_frame(Bytes bytes, std::size_t payload_max) {
    if (bytes.size() < header_size) return {Cut::more, {}};
    const std::size_t length = load_u32(bytes.data() + 1);
    if (length < 4) [[unlikely]]
        return {Cut::too_short, {}};
    const std::size_t payload = length - 4;
    if (payload > payload_max) [[unlikely]]
        return {Cut::too_large, {}};
    const std::size_t there = bytes.size() - header_size;
    const std::size_t arrived = payload < there ? payload : there;
    return {Cut::frame, {bytes[0], {bytes.data() + header_size, arrived}, payload - arrived}};
}

/// The Error for a cut that is neither a frame nor the wish for more.
Error cut_error(Cut cut, Origin sender);

/// Cuts the first message off `bytes`, without copying and without waiting for all of it: large
/// messages are passed on as they come, so a frame may be `missing` its tail.
///
/// Returns  nullopt while fewer than header_size bytes are there.
/// Errors   08P01 when the length field is below 4 or the payload above `payload_max` bytes.
/// Source   PostgreSQL manual, "Message Formats": Byte1 type, Int32 length (big-endian, self
/// included).
Result<std::optional<Frame>> first_frame(Bytes bytes, std::size_t payload_max, Origin sender);

/// What one pump step sends: slices of the input and bytes made here, in order, written by one
/// sendmsg. A slice that follows its predecessor in memory extends it, so a run of messages passed
/// on unchanged is one slice. Reused from step to step: clear() keeps its memory.
class Segments {
public:
    /// Adds bytes that outlive the step: part of the input, or static.
    void add(Bytes bytes) {
        if (bytes.empty()) return;
        size_ += bytes.size();
        if (bytes.data() == end_) {
            end_ += bytes.size();
            slices_.back() = {slices_.back().data(), slices_.back().size() + bytes.size()};
        } else {
            append(bytes);
        }
    }
    /// Adds bytes made here and keeps them until clear().
    void own(std::string bytes) {
        if (bytes.empty()) return;
        owned_.push_back(std::move(bytes));
        owns_ = true;
        size_ += owned_.back().size();
        append(owned_.back());
    }
    /// Room for a few bytes to be made here and then add()ed; valid until clear().
    char* room(std::size_t size) {
        if (room_used_ + size > room_.size()) {
            owned_.emplace_back(size, '\0');
            owns_ = true;
            return owned_.back().data();
        }
        char* const at = room_.data() + room_used_;
        room_used_ += size;
        return at;
    }
    void clear() {
        room_used_ = 0;
        slices_.clear();
        end_ = nullptr;
        if (owns_) owned_.clear();
        owns_ = false;
        size_ = 0;
    }

    /// The first `size` bytes stay.
    void cut(std::size_t size);

    const std::vector<Bytes>& slices() const { return slices_; }
    bool empty() const { return slices_.empty(); }
    std::size_t size() const { return size_; }
    /// Everything in one string, for tests and logs.
    std::string joined() const;

private:
    void append(Bytes bytes);

    std::vector<Bytes> slices_;
    const char* end_ = nullptr;      // of the last slice
    std::deque<std::string> owned_;  // a deque: growing it moves no string
    bool owns_ = false;
    std::array<char, 2048> room_;  // so that renaming a statement allocates nothing
    std::size_t room_used_ = 0;
    std::size_t size_ = 0;
};

}  // namespace pgweir::protocol

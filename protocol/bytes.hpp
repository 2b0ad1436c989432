// Big-endian integers in and out of byte buffers: the only place that knows the wire's byte order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace pgweir::protocol {

/// Bytes where they lie. Borrowed: valid until the buffer they are in moves. A string_view, because
/// most of what the protocol carries is text and every test can write it as a literal.
using Bytes = std::string_view;

inline std::uint16_t load_u16(const char* from) {
    std::uint16_t wire;
    std::memcpy(&wire, from, sizeof wire);
    return __builtin_bswap16(wire);
}

inline std::uint32_t load_u32(const char* from) {
    std::uint32_t wire;
    std::memcpy(&wire, from, sizeof wire);
    return __builtin_bswap32(wire);
}

inline void store_u16(char* to, std::uint16_t value) {
    value = __builtin_bswap16(value);
    std::memcpy(to, &value, sizeof value);
}

inline void store_u32(char* to, std::uint32_t value) {
    value = __builtin_bswap32(value);
    std::memcpy(to, &value, sizeof value);
}

/// Reads fields off the front of a message body. A read past the end gives zero or an empty view
/// and makes ok() false for good, so a parser may read all its fields and check once.
class Reader {
public:
    explicit Reader(Bytes bytes) : rest_(bytes) {}

    std::uint8_t u8() { return static_cast<std::uint8_t>(take(1).empty() ? 0 : last_[0]); }
    std::uint16_t u16() { return take(2).empty() ? std::uint16_t{0} : load_u16(last_); }
    std::uint32_t u32() { return take(4).empty() ? 0 : load_u32(last_); }
    std::int32_t i32() { return static_cast<std::int32_t>(u32()); }

    /// A NUL-terminated string, without its NUL.
    std::string_view cstring() {
        // Most names of portals and statements are empty.
        const std::size_t end = rest_.starts_with('\0') ? 0 : rest_.find('\0');
        if (end == Bytes::npos) return fail();
        const Bytes text = rest_.substr(0, end);
        rest_.remove_prefix(end + 1);
        return text;
    }

    /// The next `size` bytes.
    Bytes take(std::size_t size) {
        if (size > rest_.size()) return fail();
        const Bytes taken = rest_.substr(0, size);
        last_ = taken.data();
        rest_.remove_prefix(size);
        return taken;
    }

    Bytes rest() const { return rest_; }
    /// No read went past the end.
    bool ok() const { return ok_; }
    /// Everything was read, and nothing past the end.
    bool done() const { return ok_ && rest_.empty(); }

private:
    Bytes fail() {
        ok_ = false;
        rest_ = {};
        return {};
    }

    Bytes rest_;
    const char* last_ = nullptr;
    bool ok_ = true;
};

/// Appends messages to a string. begin() leaves room for the length, end() fills it in.
class Writer {
public:
    explicit Writer(std::string& out) : out_(out) {}

    /// Starts a message of the given type. Start-up packets have no type: use begin_untyped().
    Writer& begin(char type) {
        out_.push_back(type);
        return begin_untyped();
    }
    Writer& begin_untyped() {
        length_at_ = out_.size();
        out_.append(4, '\0');
        return *this;
    }
    Writer& end() {
        store_u32(out_.data() + length_at_, static_cast<std::uint32_t>(out_.size() - length_at_));
        return *this;
    }

    Writer& u8(std::uint8_t value) {
        out_.push_back(static_cast<char>(value));
        return *this;
    }
    Writer& u16(std::uint16_t value) {
        char wire[2];
        store_u16(wire, value);
        out_.append(wire, sizeof wire);
        return *this;
    }
    Writer& u32(std::uint32_t value) {
        char wire[4];
        store_u32(wire, value);
        out_.append(wire, sizeof wire);
        return *this;
    }
    Writer& i32(std::int32_t value) { return u32(static_cast<std::uint32_t>(value)); }
    /// Text and its NUL. A NUL inside the text would end it early on the other side: it is cut
    /// there.
    Writer& cstring(std::string_view text) {
        out_.append(text.substr(0, text.find('\0')));
        out_.push_back('\0');
        return *this;
    }
    Writer& bytes(Bytes bytes) {
        out_.append(bytes);
        return *this;
    }

private:
    std::string& out_;
    std::size_t length_at_ = 0;
};

}  // namespace pgweir::protocol

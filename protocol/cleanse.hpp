// Secrets that leave no copies behind in the memory that they are given back to.
#pragma once

#include <optional>
#include <string>
#include <utility>

namespace pgweir::protocol {

/// Overwrites the text and what else its memory holds, and makes it empty.
void cleanse(std::string& text);

/// A text that is overwritten before its memory is given back. Value; assigned as a whole, never
/// appended to.
class Secret : public std::string {
public:
    Secret() = default;
    Secret(std::string text) : std::string(std::move(text)) { protocol::cleanse(text); }
    explicit Secret(std::string_view text) : std::string(text) {}
    Secret(const char* text) : std::string(text) {}
    Secret(const Secret&) = default;
    /// A short text stays where it was, in the object moved from.
    Secret(Secret&& other) noexcept : std::string(static_cast<std::string&&>(other)) {
        other.cleanse();
    }
    Secret& operator=(const Secret& other) {
        if (this == &other) return *this;
        cleanse();
        std::string::operator=(other);
        return *this;
    }
    Secret& operator=(Secret&& other) noexcept {
        if (this == &other) return *this;
        cleanse();
        std::string::operator=(static_cast<std::string&&>(other));
        other.cleanse();
        return *this;
    }
    ~Secret() { cleanse(); }

    void cleanse() { protocol::cleanse(*this); }
};

/// While it is there this thread overwrites whatever memory it gives back, and at its end the stack
/// below as well: around work that makes copies of secrets all over, like reading a configuration.
/// Resource; may be nested. Does nothing in builds with a sanitizer, whose own `delete` this is.
class Cleansing {
public:
    Cleansing();
    ~Cleansing();
    Cleansing(const Cleansing&) = delete;
    Cleansing& operator=(const Cleansing&) = delete;
};

}  // namespace pgweir::protocol

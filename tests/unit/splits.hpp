// For tests of what takes a stream as it comes: every way to cut it in two, and all bytes one by
// one.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "protocol/bytes.hpp"

namespace pgweir::tests {

/// Calls `run` with the whole stream, with every cut in two, and with single bytes; until one of
/// them fails.
template <class Run>
void for_each_split(protocol::Bytes stream, const Run& run) {
    using Pieces = std::vector<protocol::Bytes>;
    run(Pieces{stream});
    for (std::size_t at = 1; at < stream.size() && !::testing::Test::HasFailure(); ++at) {
        SCOPED_TRACE("cut at byte " + std::to_string(at));
        run(Pieces{stream.substr(0, at), stream.substr(at)});
    }
    if (::testing::Test::HasFailure()) return;
    Pieces bytes;
    for (std::size_t at = 0; at < stream.size(); ++at) bytes.push_back(stream.substr(at, 1));
    SCOPED_TRACE("byte by byte");
    run(bytes);
}

/// Bytes that were not taken yet, in memory that ends where they do, so that a sanitizer sees any
/// read past them.
class Unread {
public:
    void add(protocol::Bytes bytes) { *this = Unread(std::string(view()) + std::string(bytes)); }
    void take(std::size_t size) { *this = Unread(std::string(view().substr(size))); }
    protocol::Bytes view() const { return {bytes_.get(), size_}; }

    Unread() = default;

private:
    explicit Unread(const std::string& bytes)
        : bytes_(std::make_unique<char[]>(bytes.size())),
          size_(bytes.size()) {
        bytes.copy(bytes_.get(), size_);
    }

    std::unique_ptr<char[]> bytes_;
    std::size_t size_ = 0;
};

}  // namespace pgweir::tests

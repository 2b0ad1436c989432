// For codec tests: every way a message can be cut short.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "protocol/bytes.hpp"

namespace pgweir::protocol {

/// Calls `check` with every proper prefix of `whole`, each in memory of its own that ends where the
/// prefix does, so that a sanitizer sees any read past it.
template <class Check>
void for_each_prefix(Bytes whole, const Check& check) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
        SCOPED_TRACE(size);
        const auto copy = std::make_unique<char[]>(size);
        whole.copy(copy.get(), size);
        check(Bytes(copy.get(), size));
    }
}

/// The payload of one message as a writer made it; fails when type or length are not right.
inline Bytes payload_of(const std::string& message, char type) {
    EXPECT_GE(message.size(), 5u);
    EXPECT_EQ(message[0], type);
    EXPECT_EQ(load_u32(message.data() + 1), message.size() - 1);
    return Bytes(message).substr(5);
}

}  // namespace pgweir::protocol

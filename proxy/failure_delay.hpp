// Slowing down who guesses passwords: after a failed log-in its address has to wait for the next.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "pool/net/address.hpp"

namespace pgweir::proxy {

/// By address, an IPv6 one by its first 64 bits; a Unix socket has none and never waits.
/// Thread-safe.
class FailureDelay {
public:
    /// How long a log-in from there, beginning now, has to wait. Those that come together wait one
    /// after the other.
    std::int64_t wait_us(const net::Address& from, std::int64_t now_us);

    /// A log-in from there failed: the next waits `delay_us`, twice that after another failure, and
    /// so on, until none has failed for as long as the last delay was.
    void failed(const net::Address& from, std::int64_t delay_us, std::int64_t now_us);

private:
    struct Record {
        std::int64_t delay_us = 0;
        std::int64_t next_us = 0;    // when the next log-in may begin
        std::int64_t forget_us = 0;  // when all is forgiven
    };

    void sweep(std::int64_t now_us);

    std::mutex mutex_;
    std::map<std::string, Record> records_;
};

}  // namespace pgweir::proxy

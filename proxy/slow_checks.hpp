// Checks that ask somebody else and may take long: LDAP, PAM, the system's list of users.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>

#include "pool/net/offload.hpp"

namespace pgweir::proxy {

/// Threads of their own, so that an LDAP server that hangs holds up nobody's password hashing; none
/// before the first check. Thread-safe.
class SlowChecks {
public:
    ~SlowChecks() { ending_ = true; }

    /// The program ends: a check under way should, too.
    bool ending() const { return ending_; }

    net::Offload& threads() {
        const std::lock_guard lock(mutex_);
        if (!threads_) threads_.emplace(threads_max);
        return *threads_;
    }

private:
    static constexpr unsigned threads_max = 8;

    std::atomic<bool> ending_ = false;
    std::mutex mutex_;
    std::optional<net::Offload> threads_;
};

}  // namespace pgweir::proxy

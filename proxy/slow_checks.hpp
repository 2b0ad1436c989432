// Checks that ask somebody else and may take long: LDAP, PAM, the system's list of users.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>

#include "pool/net/offload.hpp"

namespace pgweir::proxy {

/// Threads of their own, so that an LDAP server that hangs holds up nobody's password hashing; none
/// before the first check. Thread-safe.
class SlowChecks {
public:
    ~SlowChecks() { stop(); }

    /// The program ends: a check under way should, too. It may outlive us by then, and so does
    /// this.
    using Ending = std::shared_ptr<const std::atomic<bool>>;
    Ending ending() const { return ending_; }

    /// As Offload has it; when nobody asks for threads() any more.
    void stop() {
        *ending_ = true;
        threads_.reset();
    }

    net::Offload& threads() {
        const std::lock_guard lock(mutex_);
        if (!threads_) threads_.emplace(threads_max);
        return *threads_;
    }

private:
    static constexpr unsigned threads_max = 8;

    const std::shared_ptr<std::atomic<bool>> ending_ = std::make_shared<std::atomic<bool>>(false);
    std::mutex mutex_;
    std::optional<net::Offload> threads_;
};

}  // namespace pgweir::proxy

#include "pool/lock.hpp"

namespace pgweir::pool {

namespace {

/// Tells the core that it runs a loop that waits.
void breathe() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

}  // namespace

void Lock::wait() {
    constexpr int looks = 64;
    for (int i = 0; i < looks; ++i) {
        std::uint32_t was = free;
        if (state_.load(std::memory_order_relaxed) == free &&
            state_.compare_exchange_strong(was, taken, std::memory_order_acquire)) {
            return;
        }
        breathe();
    }
    while (state_.exchange(awaited, std::memory_order_acquire) != free) state_.wait(awaited);
}

}  // namespace pgweir::pool

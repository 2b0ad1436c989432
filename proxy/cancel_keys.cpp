#include "proxy/cancel_keys.hpp"

#include "protocol/secret.hpp"

namespace pgweir::proxy {

std::uint64_t CancelKeys::give(ClientPlace place, std::uint32_t pid) {
    const std::lock_guard lock(mutex_);
    while (true) {
        std::uint64_t key = 0;
        for (const char byte : protocol::random_bytes(8))
            key = key << 8 | static_cast<unsigned char>(byte);
        if (pid != 0) key = std::uint64_t{pid} << 32 | (key & 0xffffffffu);
        key &= 0x7fffffffffffffffu;  // a pid is positive
        if (key != 0 && places_.try_emplace(key, place).second) return key;
    }
}

void CancelKeys::take_back(std::uint64_t key) {
    const std::lock_guard lock(mutex_);
    places_.erase(key);
}

std::optional<ClientPlace> CancelKeys::find(std::uint64_t key) const {
    const std::lock_guard lock(mutex_);
    const auto found = places_.find(key);
    if (found == places_.end()) return std::nullopt;
    return found->second;
}

}  // namespace pgweir::proxy

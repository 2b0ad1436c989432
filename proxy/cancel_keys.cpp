#include "proxy/cancel_keys.hpp"

#include "protocol/bytes.hpp"
#include "protocol/secret.hpp"
#include "proxy/peer_key.hpp"

namespace pgweir::proxy {

CancelKeys::Id CancelKeys::id_of(std::uint32_t pid, std::string_view secret) {
    return std::uint64_t{pid} << 32 | protocol::load_u32(secret.data());
}

CancelKey CancelKeys::give(ClientPlace place, std::uint32_t pid, std::size_t secret_size) {
    const std::lock_guard lock(mutex_);
    while (true) {
        constexpr std::size_t pid_size = 4;
        const std::string random = protocol::random_bytes(pid_size + secret_size);
        CancelKey key{pid, random.substr(pid_size)};
        const int owner = peer();
        if (pid == 0 || owner > 0) key.pid = protocol::load_u32(random.data());
        key.pid &= 0x7fffffffu;  // a pid is positive
        if (owner > 0) {
            key.pid = peer_key::with_owner(key.pid, owner);
            peer_key::fill_hops(key.secret);
        }
        const Id id = id_of(key.pid, key.secret);
        if (id != 0 && entries_.try_emplace(id, Entry{place, key.secret}).second) return key;
    }
}

void CancelKeys::take_back(Id id) {
    const std::lock_guard lock(mutex_);
    entries_.erase(id);
}

std::optional<CancelKey> CancelKeys::take_out(Id id) {
    const std::lock_guard lock(mutex_);
    const auto node = entries_.extract(id);
    if (node.empty()) return std::nullopt;
    return CancelKey{static_cast<std::uint32_t>(id >> 32), node.mapped().secret};
}

bool CancelKeys::take_in(ClientPlace place, const CancelKey& key) {
    if (key.secret.size() < short_size) return false;
    const std::lock_guard lock(mutex_);
    return entries_.try_emplace(id_of(key.pid, key.secret), Entry{place, key.secret}).second;
}

std::optional<ClientPlace> CancelKeys::find(std::uint32_t pid, std::string_view secret) const {
    if (secret.size() < short_size) return std::nullopt;
    if (const auto place = find_exactly(pid, secret)) return place;
    if (peer() == 0) return std::nullopt;
    std::string given(secret);  // a request that was passed on has fewer hops left
    peer_key::fill_hops(given);
    return find_exactly(pid, given);
}

std::optional<ClientPlace> CancelKeys::find_exactly(std::uint32_t pid,
                                                    std::string_view secret) const {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(id_of(pid, secret));
    if (found == entries_.end()) return std::nullopt;
    if (!protocol::equal_secret(found->second.secret, secret)) return std::nullopt;
    return found->second.place;
}

}  // namespace pgweir::proxy

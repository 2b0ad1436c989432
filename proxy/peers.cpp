#include "proxy/peers.hpp"

#include "pool/net/log.hpp"
#include "proxy/peer_key.hpp"

namespace pgweir::proxy {

using net::log::Level;

/// One request on its way. Owns itself.
class Peers::Forward final : private net::Timer, public std::enable_shared_from_this<Forward> {
public:
    Forward(Peers& peers, const config::Peer& to, Waiting what)
        : net::Timer(peers.worker_.loop),
          peers_(peers),
          to_(to),
          what_(std::move(what)),
          connection_(peers.worker_) {}

    void start() {
        peers_.worker_.loop.adopt(shared_from_this());
        load().connecting = load().connecting + 1;
        const std::int64_t most_us = peers_.worker_.config->settings.server_connect_timeout.count();
        if (most_us > 0) expire_in(most_us);
        story_.start(peers_.worker_.loop, run());
    }

private:
    Load& load() { return peers_.peers_[to_.id].load; }

    net::Task<void> run() {
        const char* outcome = "connect failed";
        pool::CancelConnection::Way way;
        bool good = co_await find(way);
        if (good) good = co_await connection_.connect(std::move(way));
        if (good) {
            --load().connecting;
            ++load().active;
            connected_ = true;
            co_await connection_.send(std::move(what_.packet));
            outcome = "successfully sent cancel request";
        }
        over(outcome);
    }

    /// Where the peer is, and whether it is to be spoken to by TLS.
    net::Task<bool> find(pool::CancelConnection::Way& way) {
        pool::Worker& worker = peers_.worker_;
        way.host = to_.host;
        if (to_.host.starts_with('/') || to_.host.starts_with('@')) {
            const auto address = net::unix_address(to_.host, to_.port);
            if (address.has_value()) way.address = *address;
            co_return address.has_value();
        }
        const auto address = co_await worker.shared.dns.resolve(worker.loop, to_.host, to_.port);
        if (address.has_error()) co_return false;
        way.address = *address;
        const config::Tls& tls = worker.config->settings.server_tls;
        way.tls = worker.tls->for_servers(tls);
        way.tls_required = tls.sslmode >= config::SslMode::require;
        co_return way.tls || !way.tls_required;
    }

    void expired() override {
        story_.cancel();
        over("connect timeout");
    }

    void over(const char* outcome) {
        const auto self = shared_from_this();
        cancel();  // the time limit
        --(connected_ ? load().active : load().connecting);
        if (!connected_) {
            net::log::print(Level::warning, {}, "cannot reach peer {} at {}:{}: {}", to_.id,
                            to_.host, to_.port, outcome);
        }
        pool::ended(what_.hold, outcome);
        what_.hold.reset();
        peers_.worker_.loop.release(self);
        peers_.serve(to_.id);
    }

    Peers& peers_;
    const config::Peer to_;
    Waiting what_;
    pool::CancelConnection connection_;
    bool connected_ = false;
    net::Story story_;
};

void Peers::forward(protocol::CancelRequest request, pool::CancelHold hold) {
    const int id = peer_key::owner_of(request.pid);
    if (peer_key::hops_left(request.key) == 0) {
        return pool::ended(hold, "failed to forward cancel request because its TTL was exhausted");
    }
    if (!worker_.config->peers.contains(id))
        return pool::ended(hold, "could not find peer to forward request to");
    peer_key::take_hop(request.key);
    net::log::print(Level::debug, {}, "forwarding cancellation request to peer {}", id);
    std::string packet;
    protocol::write_cancel_request(packet, request.pid, request.key);
    peers_[id].waiting.push_back({std::move(packet), std::move(hold), worker_.loop.now_us()});
    serve(id);
}

void Peers::serve(int id) {
    Peer& peer = peers_[id];
    const auto known = worker_.config->peers.find(id);
    if (known == worker_.config->peers.end()) return peer.waiting.clear();
    const config::Peer& to = known->second;
    const int most = to.pool_size.value_or(worker_.config->settings.default_pool_size);
    while (!peer.waiting.empty() && (most == 0 || peer.load.connecting + peer.load.active < most)) {
        Waiting next = std::move(peer.waiting.front());
        peer.waiting.pop_front();
        std::make_shared<Forward>(*this, to, std::move(next))->start();
    }
}

void Peers::tick() {
    const std::int64_t most_us = worker_.config->settings.cancel_wait_timeout.count();
    if (most_us == 0) return;
    const std::int64_t before_us = worker_.loop.now_us() - most_us;
    for (auto& [id, peer] : peers_) {
        while (!peer.waiting.empty() && peer.waiting.front().since_us < before_us) {
            pool::ended(peer.waiting.front().hold, "cancel_wait_timeout");
            peer.waiting.pop_front();
        }
    }
}

Peers::Load Peers::load(int peer) const {
    const auto found = peers_.find(peer);
    if (found == peers_.end()) return {};
    Load load = found->second.load;
    load.waiting = static_cast<int>(found->second.waiting.size());
    return load;
}

}  // namespace pgweir::proxy

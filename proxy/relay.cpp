#include "proxy/relay.hpp"

#include "pool/cancel.hpp"
#include "proxy/client.hpp"

namespace pgweir::proxy {

Relay::Relay(Client& client, pool::Pool& pool, protocol::Vars startup)
    : client_(client),
      pool_(pool),
      startup_(std::move(startup)) {}

pool::Worker& Relay::worker() const { return client_.shard().worker; }

net::Task<Relay::Outcome> Relay::open() {
    constexpr std::int64_t again_us = 50'000;
    const std::int64_t began_us = worker().loop.now_us();
    while (pool_.paused() || !pool_.count_apart(worker())) {
        const std::int64_t most_us = pool_.settings(worker()).limits.query_wait_timeout.count();
        if (most_us > 0 && worker().loop.now_us() - began_us > most_us) {
            co_return protocol::Error{protocol::sqlstate::too_many_connections,
                                      protocol::Origin::proxy, "query_wait_timeout"};
        }
        net::Sleep pause(worker().loop, again_us);
        co_await pause;
    }
    counted_ = true;
    opening_ = pool_.open_apart(worker(), *this);
    Outcome failure = co_await opened_;
    opening_ = 0;
    co_return failure;
}

void Relay::granted(pool::Server& server) {
    server_ = &server;
    server.backend().pass_all();
    opened_.set(std::nullopt);
}

void Relay::input(protocol::Bytes bytes) {
    if (!server_) return;
    protocol::Segments& out = worker().segments;
    out.clear();
    out.add(bytes);
    server_->send(out);
    client_.inbox_.keep({});
    if (server_->full()) client_.socket_.pause();
}

void Relay::deliver(const protocol::Segments& replies) { client_.deliver(replies); }

bool Relay::full() const { return client_.full(); }

net::Socket* Relay::output() { return client_.output(); }

void Relay::drained() {
    if (server_) server_->resume();
}

void Relay::server_drained() { client_.server_drained(); }

void Relay::cancel(pool::CancelHold hold) {
    if (server_) pool::cancel_query(*server_, std::move(hold));
}

void Relay::closed() {
    const auto opening = worker().servers.find(opening_);
    pool::Server* const server =
        opening == worker().servers.end() ? server_ : opening->second.get();
    server_ = nullptr;
    if (server) {
        server->release();
        server->close("replication client has gone");
    }
    count_out();
}

void Relay::lost(const protocol::Error& error) {
    server_ = nullptr;
    count_out();
    if (client_.state() == ClientState::login) return opened_.set(error);
    client_.hang_up("server closed the replication connection");
}

void Relay::count_out() {
    if (std::exchange(counted_, false)) pool_.uncount_apart(worker());
}

}  // namespace pgweir::proxy

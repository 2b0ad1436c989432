#include "pool/cancel.hpp"

#include "pool/net/log.hpp"
#include "pool/pool.hpp"
#include "protocol/startup.hpp"

namespace pgweir::pool {

net::Task<bool> CancelConnection::connect(Way way) {
    const auto fd =
        co_await net::connect(worker_.loop, way.address, tcp_options(worker_.config->settings));
    if (fd.has_error()) co_return false;
    socket_.open(worker_.loop, *fd);
    if (!way.tls) co_return true;
    const auto agreed = co_await conversation_.ask_for_tls(std::move(way.tls), way.host);
    co_return agreed.has_value() && (*agreed || !way.tls_required);
}

/// The server says nothing; it closes when the signal is on its way.
net::Task<void> CancelConnection::send(std::string packet) {
    socket_.send(packet);
    // Not `while (co_await …)`: g++ 12 traps there in a task without a value.
    for (bool more = true; more;) {
        more = co_await conversation_.more();
        inbox_.keep({});
    }
}

namespace {

/// One request for one server. Owns itself.
class CancelRun final : private net::Timer, public std::enable_shared_from_this<CancelRun> {
public:
    CancelRun(Server& server, CancelHold hold)
        : net::Timer(server.worker().loop),
          worker_(server.worker()),
          connection_(worker_),
          hold_(std::move(hold)),
          server_(server.id()) {}

    void start(const Server& server) {
        worker_.loop.adopt(shared_from_this());
        const std::int64_t most_us = worker_.config->settings.cancel_wait_timeout.count();
        if (most_us > 0) expire_in(most_us);
        // The key is as secret on its way back as it was on its way here.
        CancelConnection::Way way{.address = server.address(),
                                  .tls = server.tls() ? server.tls()->context() : nullptr,
                                  .tls_required = true,
                                  .host = server.host()};
        std::string packet;
        protocol::write_cancel_request(packet, server.backend_pid(), server.cancel_key());
        story_.start(worker_.loop, run(std::move(way), std::move(packet)));
    }

private:
    net::Task<void> run(CancelConnection::Way way, std::string packet) {
        const bool connected = co_await connection_.connect(std::move(way));
        if (connected) {
            sent_ = true;
            co_await connection_.send(std::move(packet));
        }
        ended(hold_, connected ? "successfully sent cancel request" : "connect failed");
        over();
    }

    void expired() override {
        story_.cancel();
        ended(hold_, "cancel_wait_timeout");
        const auto found = worker_.servers.find(server_);
        // Nobody knows whom it would hit if it still came through.
        if (found != worker_.servers.end() && sent_) found->second->close_needed = true;
        over();
    }

    void over() {
        const auto self = shared_from_this();
        cancel();  // the time limit
        const auto found = worker_.servers.find(server_);
        if (found != worker_.servers.end()) {
            Server& freed = *found->second;
            --freed.cancels;
            if (freed.state() == ServerState::canceling) freed.pool().shelve(freed);
        }
        hold_.reset();
        worker_.loop.release(self);
    }

    Worker& worker_;
    CancelConnection connection_;
    CancelHold hold_;
    const std::uint32_t server_;  // it may end before
    bool sent_ = false;
    net::Story story_;
};

void start_cancel(Server& server, CancelHold hold) {
    ++server.cancels;
    std::make_shared<CancelRun>(server, std::move(hold))->start(server);
}

}  // namespace

void cancel_query(Server& server, CancelHold hold) {
    constexpr int at_a_time = 2;  // more requests for one query add nothing
    if (server.cancels >= at_a_time) {
        ended(hold, "successfully sent cancel request");  // there is one under way
    } else {
        start_cancel(server, std::move(hold));
    }
}

void cancel_abandoned(Server& server) { start_cancel(server, nullptr); }

}  // namespace pgweir::pool

#include "pool/cancel.hpp"

#include "pool/net/log.hpp"
#include "pool/pool.hpp"
#include "protocol/startup.hpp"

namespace pgweir::pool {

namespace {

/// The connection of one cancel request. Lives in its story.
class CancelConnection final : private net::Socket::Owner {
public:
    explicit CancelConnection(Worker& worker)
        : conversation_(worker, socket_, inbox_),
          worker_(worker) {}

    /// `tls`: how, if the request goes by TLS, to `host`.
    net::Task<bool> send(net::Address address, net::TlsContextPtr tls, std::string host,
                         std::string packet) {
        const auto fd =
            co_await net::connect(worker_.loop, address, tcp_options(worker_.config->settings));
        if (fd.has_error()) co_return false;
        socket_.open(worker_.loop, *fd);
        if (tls) {
            const auto agreed = co_await conversation_.ask_for_tls(std::move(tls), std::move(host));
            if (agreed.has_error() || !*agreed) co_return false;
        }
        socket_.send(packet);
        // The server says nothing; it closes when the signal is on its way.
        while (co_await conversation_.more()) inbox_.keep({});
        co_return true;
    }

private:
    void on_readable() override { conversation_.input(); }
    void on_drained() override {}

    net::Socket socket_{*this};
    net::Inbox inbox_;
    Conversation conversation_;
    Worker& worker_;
};

net::Task<void> run_cancel(Worker& worker, net::Address address, net::TlsContextPtr tls,
                           std::string host, std::string packet, std::uint32_t server,
                           [[maybe_unused]] CancelHold hold) {
    CancelConnection connection(worker);
    co_await connection.send(address, std::move(tls), std::move(host), std::move(packet));
    const auto found = worker.servers.find(server);
    if (found == worker.servers.end()) co_return;
    Server& freed = *found->second;
    --freed.cancels;
    if (freed.state() == ServerState::canceling) freed.pool().shelve(freed);
}

void start_cancel(Server& server, CancelHold hold) {
    std::string packet;
    protocol::write_cancel_request(packet, server.backend_pid(), server.cancel_key());
    Worker& worker = server.worker();
    // The key is as secret on its way back as it was on its way here.
    net::TlsContextPtr tls = server.tls() ? server.tls()->context() : nullptr;
    net::detach(worker.loop, run_cancel(worker, server.address(), std::move(tls), server.host(),
                                        std::move(packet), server.id(), std::move(hold)));
}

}  // namespace

void cancel_query(Server& server, CancelHold hold) {
    constexpr int at_a_time = 2;  // more requests for one query add nothing
    if (server.cancels >= at_a_time) return;
    ++server.cancels;
    start_cancel(server, std::move(hold));
}

void cancel_abandoned(Server& server) { start_cancel(server, nullptr); }

}  // namespace pgweir::pool

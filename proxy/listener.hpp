// A listening socket on the main worker.
#pragma once

#include <functional>
#include <string>

#include "config/config.hpp"
#include "pool/net/address.hpp"

namespace pgweir::proxy {

/// Resource; lives on the main worker.
class Listener final : private net::Watcher, private net::Timer {
public:
    using Accepted = std::function<void(int fd, net::Address peer)>;

    /// Binds and listens. Errors say address and reason.
    static protocol::Result<std::unique_ptr<Listener>> open(net::Loop& loop,
                                                            const net::Address& address,
                                                            const config::Settings& settings,
                                                            Accepted accepted);
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    bool is_unix() const { return !path_.empty(); }

    Listener(net::Loop& loop, int fd, std::string path, Accepted accepted);

private:
    void ready(std::uint32_t events) override;
    void expired() override { ready(0); }

    net::Loop& loop_;
    int fd_;
    std::string path_;  // of a Unix socket: removed at the end
    Accepted accepted_;
};

/// Everything that the settings say to listen on: TCP addresses and the Unix socket.
protocol::Result<std::vector<std::unique_ptr<Listener>>> open_listeners(
    net::Loop& loop, const config::Settings& settings, Listener::Accepted accepted);

}  // namespace pgweir::proxy

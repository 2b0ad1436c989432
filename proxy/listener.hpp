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
    ~Listener() override;
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    bool is_unix() const { return unix_; }
    int fd() const { return fd_; }
    /// The socket file is another's from here on.
    void leave_path() { path_.clear(); }
    /// While held, who comes waits in the kernel's backlog.
    void hold(bool held);

    /// A socket that listens already. `path`: of a Unix socket that is to be removed at the end.
    Listener(net::Loop& loop, int fd, std::string path, Accepted accepted);

private:
    void ready(std::uint32_t events) override;
    void expired() override { ready(0); }

    net::Loop& loop_;
    int fd_;
    bool unix_;
    std::string path_;  // of a Unix socket: removed at the end
    Accepted accepted_;
    bool held_ = false;
};

using Listeners = std::vector<std::unique_ptr<Listener>>;

/// Everything that the settings say to listen on: TCP addresses and the Unix socket. Those of
/// `inherited` that are meant are used; the rest of them is closed.
protocol::Result<Listeners> open_listeners(net::Loop& loop, const config::Settings& settings,
                                           const std::vector<int>& inherited,
                                           const Listener::Accepted& accepted);

/// The sockets that systemd has opened, whatever the settings say.
Listeners activated_listeners(net::Loop& loop, const std::vector<int>& sockets,
                              const Listener::Accepted& accepted);

}  // namespace pgweir::proxy

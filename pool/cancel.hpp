// Asking a server to stop what it is doing.
#pragma once

#include "pool/cancel_errand.hpp"
#include "pool/conversation.hpp"
#include "pool/server.hpp"

namespace pgweir::pool {

/// Sends a cancel request for what `server` runs, on a connection of its own. The server is not
/// lent again before that connection has been closed by the other side: so the request can never
/// hit a later query of somebody else's. After cancel_wait_timeout it is given up.
void cancel_query(Server& server, CancelHold hold);

/// The same for a server that is about to be closed, whose client left it running.
void cancel_abandoned(Server& server);

/// The connection of one cancel request. Resource; lives in whoever makes the request.
class CancelConnection final : private net::Socket::Owner {
public:
    explicit CancelConnection(Worker& worker)
        : conversation_(worker, socket_, inbox_),
          worker_(worker) {}

    struct Way {
        net::Address address;
        net::TlsContextPtr tls{};  // nullptr: plain
        bool tls_required = false;
        std::string host{};  // whose address it is
    };
    /// Connects; and then sends the packet and waits until the other side closes. False: there is
    /// no such connection.
    net::Task<bool> connect(Way way);
    net::Task<void> send(std::string packet);

private:
    void on_readable() override { conversation_.input(); }
    void on_drained() override {}

    net::Socket socket_{*this};
    net::Inbox inbox_;
    Conversation conversation_;
    Worker& worker_;
};

}  // namespace pgweir::pool

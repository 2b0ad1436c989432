// A story's view of a socket: whole messages, one after the other, while a connection is being set
// up.
#pragma once

#include "pool/net/socket.hpp"
#include "pool/net/task.hpp"
#include "pool/worker.hpp"

namespace pgweir::pool {

/// Lives as long as the log-in does; the owner of the socket passes its on_readable() here
/// meanwhile.
class Conversation {
public:
    Conversation(Worker& worker, net::Socket& socket, net::Inbox& inbox)
        : worker_(worker),
          socket_(socket),
          inbox_(inbox) {}

    /// The socket has something to read.
    void input() { signal_.set(true); }

    struct Message {
        char type;
        std::string payload;
    };
    /// The next message, whole.
    /// Errors  08P01 when it is larger than `payload_max` or malformed; 08006 when the connection
    /// ends.
    net::Task<protocol::Result<Message>> message(std::size_t payload_max, protocol::Origin sender);

    /// Reads more into the inbox. False at the end of the connection.
    net::Task<bool> more();
    /// more() has come to that end.
    bool ended() const { return ended_; }

    using Failure = std::optional<protocol::Error>;  // empty: well
    /// The handshake: from here on all goes through TLS. What is in the inbox are its first bytes.
    /// `host` as net::Tls has it.
    /// Errors   08006, the fault of `peer`: "TLS handshake failed: …"
    net::Task<Failure> secure(net::TlsContextPtr context, std::string_view host,
                              protocol::Origin peer);
    /// Asks a server for TLS, and does the handshake if it agrees. False when it does not. Where
    /// the context says so, the handshake is all.
    /// Errors   as secure(); and 08006 for an answer that is neither yes nor no, or is followed by
    /// more before the handshake.
    net::Task<protocol::Result<bool>> ask_for_tls(net::TlsContextPtr context, std::string host);

private:
    Worker& worker_;
    net::Socket& socket_;
    net::Inbox& inbox_;
    net::Signal<bool> signal_;
    bool ended_ = false;
};

}  // namespace pgweir::pool

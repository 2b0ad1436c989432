// Who takes what a client sends in the place of a pool.
#pragma once

#include <memory>

#include "pool/cancel_errand.hpp"
#include "protocol/bytes.hpp"

namespace pgweir::pool {
class Server;
}

namespace pgweir::proxy {

/// The console, or a replication connection's other end. Resource; its client's, on its thread.
class Attendant {
public:
    virtual ~Attendant() = default;

    /// Bytes from the client; what is not used now is to be kept in its inbox.
    virtual void input(protocol::Bytes bytes) = 0;
    /// The client has taken what it was sent.
    virtual void drained() = 0;
    /// A cancel request with the client's key; `hold` is let go when it is through.
    virtual void cancel(pool::CancelHold hold) = 0;
    /// The client is gone.
    virtual void closed() = 0;
    /// The server that is this client's alone; nullptr: there is none.
    virtual pool::Server* server() const { return nullptr; }
};

}  // namespace pgweir::proxy

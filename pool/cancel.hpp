// Asking a server to stop what it is doing.
#pragma once

#include "pool/server.hpp"

namespace pgweir::pool {

/// Held until a cancel request is through, or there is none: whoever made it hears of its end.
using CancelHold = std::shared_ptr<void>;

/// Sends a cancel request for what `server` runs, on a connection of its own. The server is not
/// lent again before that connection has been closed by the other side: so the request can never
/// hit a later query of somebody else's.
void cancel_query(Server& server, CancelHold hold);

/// The same for a server that is about to be closed, whose client left it running.
void cancel_abandoned(Server& server);

}  // namespace pgweir::pool

// Cancel requests that came here and are meant for another process behind the same port ([peers]).
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "pool/cancel.hpp"
#include "protocol/startup.hpp"

namespace pgweir::proxy {

/// Resource; belongs to the main thread.
class Peers {
public:
    explicit Peers(pool::Worker& worker) : worker_(worker) {}

    /// Passes the request on to the process whose key it brings, with one hop less.
    void forward(protocol::CancelRequest request, pool::CancelHold hold);
    /// Requests that have waited for longer than cancel_wait_timeout are given up.
    void tick();

    /// SHOW PEER_POOLS: requests that wait for a connection, connections being made, and those on
    /// which a request is.
    struct Load {
        int waiting = 0, connecting = 0, active = 0;
    };
    Load load(int peer) const;

private:
    class Forward;
    struct Waiting {
        std::string packet;
        pool::CancelHold hold;
        std::int64_t since_us;
    };
    struct Peer {
        std::deque<Waiting> waiting;
        Load load;  // but for `waiting`
    };

    void serve(int id);

    pool::Worker& worker_;
    std::map<int, Peer> peers_;  // with requests, now or before
};

}  // namespace pgweir::proxy

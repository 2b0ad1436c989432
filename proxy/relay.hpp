// A replication connection: one client, one server of its own, and nothing in between.
#pragma once

#include <optional>

#include "pool/net/task.hpp"
#include "pool/pool.hpp"
#include "proxy/attendant.hpp"

namespace pgweir::proxy {

class Client;

/// Passes on all that client and server say to each other, as it comes: replication commands,
/// COPY in both directions, and on a logical connection SQL. The server is opened for this client
/// and ends with it; it is in no pool's books, but counts in max_db_connections and
/// max_user_connections. Resource; lives in its client.
class Relay final : public Attendant, public pool::Errand {
public:
    /// `startup`: the client's start-up parameters, `replication` among them.
    Relay(Client& client, pool::Pool& pool, protocol::Vars startup);
    using Outcome = std::optional<protocol::Error>;  // empty: well
    /// Connects to a server and logs in there, when it may: the pool is not paused and no limit is
    /// against it.
    /// Errors   the server's own; 53300 "query_wait_timeout".
    net::Task<Outcome> open();

    // Attendant
    void input(protocol::Bytes bytes) override;
    void drained() override;
    void cancel(pool::CancelHold hold) override;
    void closed() override;
    pool::Server* server() const override { return server_; }

    const Client& client() const { return client_; }

    // pool::Errand
    void granted(pool::Server& server) override;
    void refused(const protocol::Error& error) override { opened_.set(error); }
    void deliver(const protocol::Segments& replies) override;
    bool full() const override;
    net::Socket* output() override;
    const protocol::Vars& startup() const override { return startup_; }
    const protocol::Vars& vars() const override { return startup_; }
    void settled() override {}
    void own_done(pool::Backend::OwnAnswer) override {}
    void server_drained() override;
    void lost(const protocol::Error& error) override;

private:
    pool::Worker& worker() const;
    void count_out();

    Client& client_;
    pool::Pool& pool_;
    const protocol::Vars startup_;
    pool::Server* server_ = nullptr;
    std::uint32_t opening_ = 0;  // the server's id while it is
    bool counted_ = false;       // in the limits on servers
    net::Signal<Outcome> opened_;
};

}  // namespace pgweir::proxy

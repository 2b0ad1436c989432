// What a server connection needs from whoever holds it, and what the pool needs from whoever waits.
#pragma once

#include <string_view>
#include <vector>

#include "pool/backend.hpp"
#include "pool/ledger.hpp"
#include "pool/net/socket.hpp"
#include "protocol/error.hpp"
#include "protocol/frame.hpp"
#include "protocol/pipeline.hpp"
#include "protocol/vars.hpp"

namespace pgweir::pool {

class Server;

/// Holds one server at a time: a client, or an errand of our own. Everything happens on one worker.
class Peer : public WaiterPlace {
public:
    /// The wait is over: the server is yours until you give it back to its pool.
    virtual void granted(Server& server) = 0;
    /// The wait is over without one.
    virtual void refused(const protocol::Error& error) = 0;

    /// Replies, valid during the call. The server is not read any further while full().
    virtual void deliver(const protocol::Segments& replies) = 0;
    virtual bool full() const = 0;
    /// Where replies may be moved to directly; nullptr: they have to go through deliver().
    virtual net::Socket* output() = 0;
    /// What its server has to be started with (session pooling: RESET goes back to these); a server
    /// opened for the longest waiter is. Must not change while waiting.
    virtual const protocol::Vars& startup() const = 0;
    /// What the holder's session variables are.
    virtual const protocol::Vars& vars() const = 0;
    /// The server reported a variable.
    virtual void parameter(std::string_view name, std::string_view value) = 0;
    /// Requests that the server did not carry out, newest first.
    virtual void undone(std::vector<protocol::Outstanding>& requests) = 0;
    /// DISCARD ALL or DEALLOCATE ALL was run.
    virtual void discarded_all() = 0;
    /// Something was created, altered or dropped; functions perhaps.
    virtual void schema_changed(bool functions) = 0;
    /// Notifications that were not passed on (see Hearing), and those that were although the holder
    /// hears them by another way as well.
    virtual void notified(const std::vector<Notification>& /*kept*/,
                          const std::vector<Notification>& /*echoes*/) {}
    /// A ReadyForQuery came. Whoever holds the server may give it back now, if it is settled.
    virtual void settled() = 0;
    /// What Server::run_own() asked for is done.
    virtual void own_done(Backend::OwnAnswer answer) = 0;
    /// The server takes requests again: its outbox is empty.
    virtual void server_drained() = 0;
    /// Its node may be the primary no more, or is that again: meanwhile it is sent nothing new.
    virtual void server_doubted(bool /*doubted*/) {}
    /// It wants something that the server has not been asked yet; of a client, some of it has come.
    virtual bool is_asking() const = 0;
    /// The server is gone, and with it what it had not answered. Already severed.
    virtual void lost(const protocol::Error& error) = 0;

protected:
    ~Peer() = default;
};

/// Who is no client but wants a server for a purpose of its own: it takes replies when they come,
/// and nothing is to be kept of what becomes of the session.
class Errand : public Peer {
public:
    bool full() const override { return false; }
    bool is_asking() const override { return true; }
    net::Socket* output() override { return nullptr; }
    void parameter(std::string_view, std::string_view) override {}
    void undone(std::vector<protocol::Outstanding>&) override {}
    void discarded_all() override {}
    void schema_changed(bool) override {}
    void server_drained() override {}

protected:
    ~Errand() = default;
};

}  // namespace pgweir::pool

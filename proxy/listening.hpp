// What a client listens to, and by which way it hears it: rules of LISTEN without a server kept.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "pool/backend.hpp"
#include "router/traces.hpp"

namespace pgweir::proxy {

using ChannelNames = std::set<std::string, std::less<>>;
/// Channels, each with the number of the telling of the hub in which it was new.
using WantedChannels = std::map<std::string, std::uint64_t, std::less<>>;

/// What a hub has heard for a client. Value.
struct Heard {
    std::shared_ptr<const pool::Notification> said;
    std::uint32_t as_pid;  // from whom it is for the client
    std::uint64_t since;   // the number with which the hub was first told of the channel
};

/// A LISTEN runs on the server that the client has then, and PostgreSQL decides what comes of it.
/// Once the transaction is over, the channels are handed over to the pool's hub (proxy/notify), a
/// connection that listens for all clients. A marker that reaches both connections, the client's
/// and the hub's, says at which notification one stops and the other begins. Before whatever may
/// ask or change what the client listens to, its next server is made to listen as well, so that it
/// is again PostgreSQL that decides.
/// Value; no sockets, no clock.
class Listening {
public:
    /// The server's hearing; `elsewhere` is what the hub sends.
    pool::Hearing hearing;

    // ---- the server

    /// A server is taken; `restored`: restoring() will have been run on it.
    void taken(bool restored) { complete_ = restored || hearing.elsewhere.empty(); }
    /// The server listens to all that the client does.
    bool complete() const { return complete_; }
    /// SQL that makes a server listen to what the hub sends.
    std::string restoring() const;
    /// What the server listens to after a transaction in which the text did `changes`.
    void learn(const std::vector<std::string>& there,
               const std::vector<router::Details::Channel>& changes);
    /// It is gone: what it alone has heard until now may be lost, what comes is the hub's to hear.
    void server_lost();
    /// The server listens to nothing any more.
    void unlistened() { complete_ = hearing.elsewhere.empty(); }

    // ---- the hub

    /// What the client listens to.
    const WantedChannels& wanted() const { return wanted_; }
    /// The hub is to be told of them: once for each change.
    bool news_for_hub();
    /// It listens to what it was told last, the number of which this is.
    void hub_ready(std::uint64_t number) { ready_ = number == told_number_; }
    std::uint64_t told_number() const { return told_number_; }

    enum class Due : std::uint8_t { nothing, mark, unlisten };
    /// What the server has to run now that it keeps nothing else for the client.
    Due due() const;
    /// The marker of the hub `name` for this client.
    std::string marking(const std::string& name, const std::string& who);
    /// A query that due() asked for gave an error: the server stays.
    void failed() { failed_ = true; }
    /// It was cancelled, before it had done anything. False: so it was the last time.
    bool try_again() { return !std::exchange(tried_again_, true); }

    // ---- notifications for the client

    /// From its server, amid a query of ours.
    void from_server(const pool::Notification& said);
    void passed_on(const pool::Notification& said) { echoes_.push_back(said); }
    void from_hub(const Heard& heard);
    void missed() { missed_ = true; }
    std::size_t due_bytes() const { return due_bytes_; }

    // ---- online restart

    /// Nothing is due, nothing under way: another process can be told all of it.
    bool can_move() const;
    const std::deque<pool::Notification>& echoes() const { return echoes_; }
    /// Another process has moved the client here, and goes on hearing for it until followed():
    /// what it hears comes before all that the hub here does.
    void move_in(const std::vector<std::string>& channels,
                 const std::vector<pool::Notification>& echoes);
    void from_predecessor(const pool::Notification& said, std::uint32_t as_pid);
    /// It is done. `missed`: it may not have heard everything.
    void followed(bool missed);
    bool any_due() const { return missed_ || !server_due_.empty() || !hub_due_.empty(); }
    /// As messages, in their order.
    std::string take_due();
    /// Of these what from_server() was told.
    std::string take_servers_due();

private:
    struct Told {
        void write(std::string& out) const;

        pool::Notification said;
        std::uint32_t as_pid;
    };

    bool is_echo(const pool::Notification& said);
    bool has_room(const pool::Notification& said);
    void count_due();

    bool heard_elsewhere() const;

    WantedChannels wanted_;  // what the client listens to
    std::uint64_t told_number_ = 0;
    bool news_ = false;  // wanted_ has changed since the hub was told
    bool complete_ = true;
    bool ready_ = false;  // the hub, for what it was told
    bool failed_ = false, tried_again_ = false;
    bool missed_ = false;
    bool follows_ = false;                   // the process before this one still hears for it
    std::string who_;                        // as the hub's marker has it
    std::deque<Told> server_due_, hub_due_;  // what the server said was said before
    std::deque<Told> held_back_;             // from the hub, while the other process's comes first
    std::deque<pool::Notification> echoes_;  // of which the hub will send another copy
    std::size_t due_bytes_ = 0;
};

/// May these requests, sent at the beginning of a transaction, ask or change what the client
/// listens to, or notify, or begin a transaction in which the next ones do?
bool may_touch_channels(protocol::Bytes requests);

}  // namespace pgweir::proxy

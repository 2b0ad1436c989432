// The hubs: connections that listen for all clients of a pool.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "pool/own_errand.hpp"
#include "pool/pool.hpp"
#include "proxy/cancel_keys.hpp"
#include "proxy/listening.hpp"

namespace pgweir::proxy {

struct Shard;
class Process;
class Hubs;

/// Listens, on one connection beyond its pool's size, to all channels that clients of the pool want
/// to hear of. The connection is there while there are any; when it is lost it is opened anew, and
/// the clients are told that they may have missed something.
/// Resource; lives as long as the process. Works on the thread of the shard it was made on.
class Hub final : public pool::OwnErrand {
public:
    Hub(Hubs& hubs, Process& process, Shard& home, pool::Pool& pool);

    /// The channel of its own by which it is told where it takes over: its payload is who().
    const std::string& marker() const { return marker_; }
    static std::string who(ClientPlace client, std::uint64_t number);
    /// The payload by which it is told that a client which has moved is heard for where it is.
    static std::string farewell(ClientPlace client);

    /// What a client wants to hear; nothing: it is done. Client::hub_ready(number) follows when it
    /// is listened to. What is new is sent to the client from its marker of that number on: an
    /// earlier marker may still be under way, and is not about what came later. Any thread.
    void set(ClientPlace client, WantedChannels channels, std::uint64_t number);
    /// The client has moved here from a process whose hub has this marker and still listens for it:
    /// once ours listens as well it says `payload` there, from which on it is ours to be told of.
    /// Any thread.
    void take_over(ClientPlace client, std::uint64_t number, std::string marker,
                   std::string payload);
    /// Chores, every 100 ms.
    void tick(const Shard& here);

    // pool::OwnErrand
    void granted(pool::Server& server) override;
    void notified(const std::vector<pool::Notification>& kept,
                  const std::vector<pool::Notification>& echoes) override;
    void own_done(pool::Backend::OwnAnswer answer) override;
    void lost(const protocol::Error& error) override;

private:
    using Key = std::pair<unsigned, std::uint32_t>;  // shard, client

    struct Subscription {
        std::uint64_t since = 0;  // as in WantedChannels
        bool active = false;      // is sent
    };

    struct Subscriber {
        std::map<std::string, Subscription, std::less<>> channels;
        std::uint64_t number = 0;
    };

    /// A client that take_over() is about.
    struct Arrival {
        Key key;
        std::uint64_t number;
        std::string marker, payload;
        bool said = false;
    };

    void change(Key key, const WantedChannels& channels, std::uint64_t number);
    void forget_channels(Key key, const Subscriber& subscriber);
    void marked(const pool::Notification& said);
    void arrived(const pool::Notification& said);
    void activate(Key key, std::uint64_t number);
    bool announce();
    /// Opens, closes, listens: what is to be done next.
    void advance();
    std::string difference();
    void tell_due();
    void tell_ready();
    void tell_missed();

    Hubs& hubs_;
    Process& process_;
    Shard& home_;
    pool::Pool& pool_;
    const std::string marker_;
    pool::Hearing hearing_;
    pool::Server* server_ = nullptr;
    bool opening_ = false;
    bool busy_ = false;    // with a query
    bool missed_ = false;  // was lost since
    std::int64_t retry_at_us_ = 0;
    ChannelNames listened_, asked_for_;  // on the server: now, and after the query
    std::map<Key, Subscriber> subscribers_;
    std::set<Key> unready_;                  // that wait for hub_ready()
    std::map<Key, std::vector<Heard>> due_;  // heard and not told yet: all of a page at once
    std::map<std::string, std::set<Key>, std::less<>> by_channel_;
    std::vector<Arrival> arrivals_;
};

/// Thread-safe.
class Hubs {
public:
    explicit Hubs(Process& process) : process_(process) {}

    /// The hub of this pool, made on `here` when it is not there yet.
    Hub& of(pool::Pool& pool, Shard& here);
    void tick(const Shard& here);
    bool none() const { return none_.load(std::memory_order_relaxed); }

    /// A client runs something that notifies on this server; then another client has the server.
    void notifies(const pool::Server& server, std::uint32_t client_pid);
    void changes_hands(const pool::Server& server);
    /// The process that a notification is said to come from: the client's, where that is sure.
    std::uint32_t sender(const std::string& host, std::uint32_t server_pid) const;

private:
    Process& process_;
    std::atomic<bool> none_ = true;
    mutable std::mutex mutex_;  // guards what follows
    std::map<pool::Pool*, std::unique_ptr<Hub>> hubs_;
    std::map<std::pair<std::string, std::uint32_t>, std::uint32_t> senders_;  // by server
};

}  // namespace pgweir::proxy

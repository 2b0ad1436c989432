// The books of one pool: which servers are idle and where, how many exist, who waits, whom to serve
// next.
#pragma once

#include <cstdint>
#include <vector>

#include <boost/intrusive/list.hpp>

namespace pgweir::pool {

namespace detail {
using BookHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
template <class T>
using BookList = boost::intrusive::list<T, boost::intrusive::constant_time_size<false>>;
}  // namespace detail

/// A server's place in the books. `worker` is where it lives.
struct ServerPlace : detail::BookHook {
    unsigned worker = 0;
    bool moving = false;  // on its way to another worker
    std::int64_t idle_since_us = 0;
    const void* fits = nullptr;  // stands for what its session is like; see WaiterPlace::wants
};

/// A place in the queue. `worker` is where the waiter lives.
struct WaiterPlace : detail::BookHook {
    unsigned worker = 0;
    std::int64_t since_us = 0;
    const void* wants = nullptr;  // a server that fits this costs the least to take
    unsigned passed_over = 0;     // how often one behind it was served instead

    bool waiting() const { return is_linked(); }
};

/// Pure: no sockets, no clock, no lock; Pool wraps it in a mutex and does what it says.
///
/// Invariant: nobody waits while a server is idle, unless the pool is paused or held.
class Ledger {
public:
    struct Limits {
        int size = 0;  // servers; 0 = no limit
        int reserve_size = 0;
        std::int64_t reserve_timeout_us = 0;  // 0 = no reserve
        int opening_max = 32;                 // connection attempts at a time
        bool round_robin = false;
        std::int64_t handover_slack_us = 2'000;
    };

    explicit Ledger(unsigned workers) : shelves_(workers), queues_(workers) {}

    void set_limits(const Limits& limits) { limits_ = limits; }
    const Limits& limits() const { return limits_; }

    struct Checkout {
        ServerPlace* taken = nullptr;  // it is yours; otherwise you wait …
        ServerPlace* wanted =
            nullptr;  // … and this idle one, of another worker, is to be moved to yours
    };
    Checkout checkout(WaiterPlace& waiter, std::int64_t now_us);

    struct Checkin {
        WaiterPlace* waiter =
            nullptr;        // of the server's own worker, out of the queue now: it is theirs
        bool move = false;  // the server is wanted on worker `move_to`: to be moved there
        unsigned move_to = 0;
    };
    /// A server of worker `server.worker` is free: for a waiter there, for one elsewhere, or else
    /// it is on the shelf now. One that has just been moved serves its new worker first. Waiters
    /// are served in order, but one of the next few whom the server fits may go first: over the
    /// same head no more often than there are servers, or four times.
    Checkin checkin(ServerPlace& server, std::int64_t now_us);

    /// Should one more connection be opened now? Says it as often as it is true: tell
    /// begin_opening().
    bool wants_server(std::int64_t now_us) const;
    /// Would that be out of the reserve?
    bool from_reserve() const { return limits_.size > 0 && total_ + apart_ >= limits_.size; }
    void begin_opening() { ++total_, ++opening_; }
    /// The connection stands; its first checkin() follows.
    void opened() { --opening_; }
    void opening_failed() { --opening_, --total_; }
    /// A connection that is one client's own, on no shelf and not in total(), but within the size.
    /// False when there is no room.
    bool begin_apart();
    void end_apart() { --apart_; }
    /// An idle server, off its shelf, that is to be moved to worker `to`, where somebody waits.
    struct Move {
        ServerPlace* server = nullptr;  // nullptr: none is
        unsigned to = 0;
    };
    /// A server, idle or lent, is gone. If it was on its way to who waits, one that came free
    /// meanwhile is on a shelf: that is to go instead.
    Move closed(ServerPlace& server);
    /// An idle server is taken off its shelf for something else than a client.
    void withdraw(ServerPlace& server);

    /// A pool that grants nothing for now, on the operator's word …
    void pause() { paused_ = true; }
    bool paused() const { return paused_; }
    void resume() { paused_ = false; }
    /// … or because there is nothing to grant: no node is known that its servers may go to.
    void hold(bool held) { held_ = held; }
    bool held() const { return held_; }
    /// An idle server for somebody who waits, when it grants again: both are off their lists.
    /// A server alone: another worker's, to be moved. Empty: nobody waits there, or none is idle.
    struct Match {
        ServerPlace* server = nullptr;
        WaiterPlace* waiter = nullptr;
    };
    Match match(unsigned worker);

    void stop_waiting(WaiterPlace& waiter);
    /// The oldest waiter of one worker, or of all.
    WaiterPlace* oldest(unsigned worker);
    WaiterPlace* oldest() const;
    /// The oldest of one worker's of whom `is` is true.
    template <class F>
    WaiterPlace* find_waiting(unsigned worker, F is) {
        for (WaiterPlace& waiter : queues_[worker]) {
            if (is(waiter)) return &waiter;
        }
        return nullptr;
    }

    /// Idle servers of one worker, longest idle first.
    template <class F>
    void for_each_idle(unsigned worker, F visit) {
        for (ServerPlace& server : shelves_[worker]) visit(server);
    }

    int total() const { return total_; }
    int apart() const { return apart_; }
    int opening() const { return opening_; }
    int idle() const { return idle_; }
    int waiting() const { return waiting_; }
    int moving() const { return moving_; }
    /// Lent or being tidied.
    int in_use() const { return total_ - opening_ - idle_ - moving_; }

private:
    bool grants() const { return !paused_ && !held_; }
    void begin_move(ServerPlace& server);
    ServerPlace* take(unsigned worker, const void* wants);
    WaiterPlace& next(WaiterPlace& oldest, const ServerPlace& server);

    Limits limits_;
    std::vector<detail::BookList<ServerPlace>> shelves_;  // by worker; longest idle in front
    std::vector<detail::BookList<WaiterPlace>> queues_;   // by worker; oldest in front
    int total_ = 0, opening_ = 0, idle_ = 0, waiting_ = 0, moving_ = 0, apart_ = 0;
    bool paused_ = false, held_ = false;
};

}  // namespace pgweir::pool

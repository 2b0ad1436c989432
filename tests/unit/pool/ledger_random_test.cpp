// Random events in one pool, and what must hold after each of them (pool/ledger).
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <list>
#include <random>

#include "pool/ledger.hpp"

namespace pgweir::pool {
namespace {

/// A pool as Pool drives it, with a second set of books that is simpler and slower.
class Model {
public:
    Model(unsigned seed, unsigned workers, const Ledger::Limits& limits)
        : dice_(seed),
          workers_(workers),
          limits_(limits),
          ledger_(workers),
          queues_(workers) {
        ledger_.set_limits(limits);
    }

    void step() {
        now_us_ += below(40);
        switch (below(16)) {
            case 0:
            case 1:
            case 2:
            case 3: checkout(); break;
            case 4:
            case 5:
            case 6: give_back(); break;
            case 7: arrive(); break;
            case 8: open(); break;
            case 9: opened(); break;
            case 10: opening_failed(); break;
            case 11: close(); break;
            case 12: stop_waiting(); break;
            case 13: reap(); break;
            case 14: pause_or_resume(); break;
            default: ask(); break;
        }
        check();
    }

private:
    enum class State { lent, idle, moving };
    struct Server : ServerPlace {
        State state = State::lent;
        unsigned target = 0;
    };
    using Servers = std::list<Server>;

    int below(int end) { return static_cast<int>(dice_() % static_cast<unsigned>(end)); }
    unsigned any_worker() { return static_cast<unsigned>(below(static_cast<int>(workers_))); }

    Server* any(State state) {
        std::vector<Server*> found;
        for (Server& server : servers_) {
            if (server.state == state) found.push_back(&server);
        }
        return found.empty()
                   ? nullptr
                   : found[static_cast<std::size_t>(below(static_cast<int>(found.size())))];
    }

    int count(State state) const {
        return static_cast<int>(std::count_if(servers_.begin(), servers_.end(),
                                              [&](const Server& s) { return s.state == state; }));
    }

    int waiting() const {
        std::size_t sum = 0;
        for (const auto& queue : queues_) sum += queue.size();
        return static_cast<int>(sum);
    }

    // ------------------------------------------------------------ events

    void checkout() {
        WaiterPlace& waiter = waiters_.emplace_back();
        waiter.worker = any_worker();
        const Ledger::Checkout done = ledger_.checkout(waiter, now_us_);
        if (done.taken) {
            EXPECT_FALSE(paused_);
            lend(static_cast<Server&>(*done.taken), waiter.worker);
            return forget(waiter);
        }
        queues_[waiter.worker].push_back(&waiter);
        if (done.wanted) move(static_cast<Server&>(*done.wanted), waiter.worker, State::idle);
    }

    /// The server is what it should be: of this worker, and the one whose turn it is.
    void lend(Server& server, unsigned worker) {
        EXPECT_EQ(server.state, State::idle);
        EXPECT_EQ(server.worker, worker);
        for (const Server& other : servers_) {
            if (other.state != State::idle || other.worker != worker) continue;
            if (limits_.round_robin) {
                EXPECT_GE(other.idle_since_us, server.idle_since_us);
            } else {
                EXPECT_LE(other.idle_since_us, server.idle_since_us);
            }
        }
        server.state = State::lent;
    }

    void move(Server& server, unsigned to, State was) {
        EXPECT_FALSE(paused_);
        EXPECT_EQ(server.state, was);
        EXPECT_TRUE(server.moving);
        EXPECT_NE(server.worker, to);
        server.state = State::moving;
        server.target = to;
    }

    void give_back() {
        if (Server* const server = any(State::lent)) checkin(*server);
    }

    void arrive() {
        Server* const server = any(State::moving);
        if (!server) return;
        server->worker = server->target;
        checkin(*server);
    }

    void checkin(Server& server) {
        const bool arrived = server.state == State::moving;
        const Ledger::Checkin done = ledger_.checkin(server, now_us_);
        server.state = State::lent;
        if (done.move) return move(server, done.move_to, State::lent);
        if (!done.waiter) {
            server.state = State::idle;
            return;
        }
        EXPECT_FALSE(paused_);
        auto& queue = queues_[server.worker];
        ASSERT_FALSE(queue.empty());
        EXPECT_EQ(done.waiter, queue.front()) << "first come, first served";
        EXPECT_FALSE(!arrived && starving(*done.waiter))
            << "somebody has waited too long elsewhere";
        queue.pop_front();
        forget(*done.waiter);
    }

    bool starving(const WaiterPlace& served) const {
        if (count(State::moving) > 0) return false;
        for (const auto& queue : queues_) {
            if (!queue.empty() &&
                queue.front()->since_us + limits_.handover_slack_us < served.since_us) {
                return true;
            }
        }
        return false;
    }

    void open() {
        if (!ledger_.wants_server(now_us_)) return;
        EXPECT_FALSE(paused_);
        EXPECT_LT(opening_, limits_.opening_max);
        if (ledger_.from_reserve()) {
            EXPECT_GE(now_us_, longest_us() + limits_.reserve_timeout_us);
            EXPECT_LT(total(), limits_.size + limits_.reserve_size);
        } else if (limits_.size > 0) {
            EXPECT_LT(total(), limits_.size);
        }
        ledger_.begin_opening();
        ++opening_;
    }

    void opened() {
        if (opening_ == 0) return;
        --opening_;
        ledger_.opened();
        Server& server = servers_.emplace_back();
        server.worker = any_worker();
        checkin(server);
    }

    void opening_failed() {
        if (opening_ == 0) return;
        --opening_;
        ledger_.opening_failed();
    }

    void close() {
        Server* const server = any(static_cast<State>(below(3)));
        if (!server) return;
        const Ledger::Move instead = ledger_.closed(*server);
        if (instead.server) {
            EXPECT_EQ(server->state, State::moving);
            move(static_cast<Server&>(*instead.server), instead.to, State::idle);
        }
        servers_.remove_if([&](const Server& s) { return &s == server; });
    }

    void stop_waiting() {
        const unsigned worker = any_worker();
        auto& queue = queues_[worker];
        if (queue.empty()) return;
        const auto who = queue.begin() + below(static_cast<int>(queue.size()));
        WaiterPlace& waiter = **who;
        queue.erase(who);
        ledger_.stop_waiting(waiter);
        forget(waiter);
    }

    /// Idle servers are withdrawn and closed, as by a timeout.
    void reap() {
        Server* const server = any(State::idle);
        if (!server) return;
        ledger_.withdraw(*server);
        server->state = State::lent;
    }

    void pause_or_resume() {
        paused_ = !paused_ && below(3) == 0;
        if (paused_) return ledger_.pause();
        ledger_.resume();
        while (Server* const server = idle_and_needed()) {
            ledger_.withdraw(*server);
            server->state = State::lent;
            checkin(*server);
        }
    }

    Server* idle_and_needed() {
        return waiting() > count(State::moving) ? any(State::idle) : nullptr;
    }

    void ask() {
        const WaiterPlace* const oldest = ledger_.oldest();
        EXPECT_EQ(oldest == nullptr, waiting() == 0);
        if (!oldest) return;
        EXPECT_EQ(oldest->since_us, longest_us());
    }

    void forget(WaiterPlace& waiter) {
        EXPECT_FALSE(waiter.waiting());
        waiters_.remove_if([&](const WaiterPlace& w) { return &w == &waiter; });
    }

    // ------------------------------------------------------------ what holds

    std::int64_t longest_us() const {
        std::int64_t longest_us = now_us_ + 1;
        for (const auto& queue : queues_) {
            if (!queue.empty()) longest_us = std::min(longest_us, queue.front()->since_us);
        }
        return longest_us;
    }

    int total() const { return static_cast<int>(servers_.size()) + opening_; }

    void check() {
        EXPECT_EQ(ledger_.total(), total());
        EXPECT_EQ(ledger_.opening(), opening_);
        EXPECT_EQ(ledger_.idle(), count(State::idle));
        EXPECT_EQ(ledger_.moving(), count(State::moving));
        EXPECT_EQ(ledger_.in_use(), count(State::lent));
        EXPECT_EQ(ledger_.waiting(), waiting());
        EXPECT_EQ(ledger_.paused(), paused_);
        for (unsigned worker = 0; worker < workers_; ++worker) check(worker);
        if (paused_ || waiting() == 0 || count(State::idle) == 0) return;
        EXPECT_GE(count(State::moving), waiting()) << "somebody waits while a server is idle";
    }

    void check(unsigned worker) {
        int idle = 0;
        std::int64_t last_us = 0;
        ledger_.for_each_idle(worker, [&](const ServerPlace& place) {
            EXPECT_EQ(place.worker, worker);
            EXPECT_FALSE(place.moving);
            EXPECT_GE(place.idle_since_us, last_us) << "longest idle first";
            last_us = place.idle_since_us;
            ++idle;
        });
        EXPECT_EQ(idle, std::count_if(servers_.begin(), servers_.end(), [&](const Server& s) {
                      return s.state == State::idle && s.worker == worker;
                  }));
        const auto& queue = queues_[worker];
        EXPECT_EQ(ledger_.oldest(worker), queue.empty() ? nullptr : queue.front());
    }

    std::mt19937 dice_;
    unsigned workers_;
    Ledger::Limits limits_;
    Ledger ledger_;
    Servers servers_;
    std::list<WaiterPlace> waiters_;
    std::vector<std::deque<WaiterPlace*>> queues_;  // by worker
    int opening_ = 0;
    bool paused_ = false;
    std::int64_t now_us_ = 1;
};

struct RandomCase {
    const char* name;
    unsigned workers;
    Ledger::Limits limits;
};

constexpr RandomCase random_cases[] = {
    {"one worker", 1, {.size = 4}},
    {"one server", 3, {.size = 1}},
    {"three workers", 3, {.size = 5, .handover_slack_us = 100}},
    {"in turn", 2, {.size = 4, .round_robin = true, .handover_slack_us = 30}},
    {"with a reserve", 2, {.size = 2, .reserve_size = 2, .reserve_timeout_us = 60}},
    {"no limit", 3, {.size = 0, .opening_max = 3, .handover_slack_us = 0}},
};

TEST(LedgerRandom, KeepsItsInvariants) {
    for (const RandomCase& c : random_cases) {
        for (unsigned seed = 1; seed <= 20 && !HasFailure(); ++seed) {
            SCOPED_TRACE(std::string(c.name) + ", seed " + std::to_string(seed));
            Model model(seed, c.workers, c.limits);
            for (int step = 0; step < 500 && !HasFailure(); ++step) {
                SCOPED_TRACE("step " + std::to_string(step));
                model.step();
            }
        }
    }
}

}  // namespace
}  // namespace pgweir::pool

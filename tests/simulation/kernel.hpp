// The machine that the program runs on in a simulation: a clock, a network and epoll sets, all of
// them in memory. The program's calls to the system come here (syscalls.cpp); nothing else of it is
// replaced.
//
// Whatever happens, happens in an order that the seed decides. The program's threads are real, but
// only one of them runs at a time: a thread gives way in epoll_wait(), and the kernel says who is
// next. Time passes when nobody has anything to do, and a little with every turn of a loop.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

#include <semaphore.h>
#include <sys/epoll.h>

#include "tests/simulation/dice.hpp"

namespace pgweir::simulation {

class Wire;

/// The other end of a connection of the program's: a client, or a PostgreSQL.
class Remote {
public:
    virtual ~Remote() = default;
    /// The program has sent something, and it is here now.
    virtual void heard(std::string_view bytes) = 0;
    /// The program has ended the connection.
    virtual void hung_up() = 0;
};

/// Where a connection of the program's goes, or comes from. A wire that is cut delivers nothing
/// until it is mended.
struct Cable {
    bool cut = false;
    std::int64_t latency_us = 50;  // at least, each way
    std::vector<std::function<void()>> held_back;
};

/// One connection of the program's. It is the descriptor's and the remote's.
class Wire {
public:
    Remote* remote = nullptr;  // nullptr: it is gone
    std::shared_ptr<Cable> cable;
    std::string peer;         // of which node; "" = a client's
    std::string inbox;        // what the program can read
    bool connecting = false;  // the program's connect() is under way
    bool open = false;
    bool ended = false;  // the remote has ended it: read after the inbox
    int error = 0;       // the connection is broken: told once
    bool broken = false;
    bool closed = false;            // by the program
    std::size_t window = 64 << 10;  // bytes the program may have under way
    std::size_t under_way = 0;
    std::int64_t next_in_us = 0, next_out_us = 0;  // what is sent later arrives later
    int fd = -1;
};
using WirePtr = std::shared_ptr<Wire>;

/// Resource; one a simulation. Guarded by itself.
class Kernel {
public:
    /// Who looks at the program while it stands still.
    class Observer {
    public:
        virtual ~Observer() = default;
        /// The program sends bytes: before they are under way. In its thread.
        virtual void sending(const Wire& wire, std::string_view bytes) = 0;
        /// A loop is about to take a turn, or something to happen outside.
        virtual void step() = 0;
        /// Nobody has anything to do at this moment.
        virtual void quiet() = 0;
        /// The program connects: the wire is to be accepted or refused later, or never.
        virtual void connecting(const WirePtr& wire, const std::string& address) = 0;
    };

    Kernel(std::uint64_t seed, Observer& observer);
    ~Kernel();
    Kernel(const Kernel&) = delete;
    Kernel& operator=(const Kernel&) = delete;

    /// The one there is; nullptr: none.
    static Kernel* instance() { return instance_; }
    static constexpr int first_fd = 1 << 20;
    static bool owns(int fd) { return fd >= first_fd; }

    Dice dice;
    std::int64_t now_us() const { return now_us_; }
    /// Turns that loops have taken.
    std::uint64_t turns() const { return turns_; }
    /// A number for all that has happened: two runs of a seed have the same.
    std::uint64_t digest() const { return digest_; }
    void note(std::string_view what);

    // For what is outside of the program.
    void at(std::int64_t when_us, std::function<void()> happen);
    void in(std::int64_t delay_us, std::function<void()> happen) {
        at(now_us_ + delay_us, std::move(happen));
    }
    /// Somebody connects to the program's listening socket; nullptr: there is none.
    WirePtr dial(Remote& remote, std::shared_ptr<Cable> cable);
    void say(const WirePtr& wire, std::string_view bytes);
    void hang_up(const WirePtr& wire);
    void reset(const WirePtr& wire, int error);
    void accept(const WirePtr& wire, Remote& remote);
    void refuse(const WirePtr& wire, int error);
    void mend(Cable& cable);
    void signal(int number);
    /// From here on nothing more happens, and threads end by themselves.
    void let_go();
    /// What the program has open.
    std::size_t open_fds() const { return things_.size(); }
    std::string open_text() const;
    /// Bytes that the program could read there.
    std::size_t unread(int fd) const;
    /// Which loop runs, as it was created: the first is the main one.
    unsigned running_loop() const { return running_; }

    // The system calls. Errors as of the system: -1 and errno.
    int epoll_create();
    int epoll_ctl(int epoll, int what, int fd, epoll_event* event);
    int epoll_wait(int epoll, epoll_event* events, int max, int timeout);
    int event_fd();
    int timer_fd();
    int timer_set(int fd, std::int64_t at_us);
    int signal_fd();
    int socket();
    int listen(int fd);
    int accept(int fd);
    int connect(int fd, const std::string& address);
    int socket_error(int fd);
    long read(int fd, char* to, std::size_t size);
    long write(int fd, const char* from, std::size_t size);
    long receive(int fd, char* to, std::size_t size);
    long send(int fd, std::string_view bytes);
    int close(int fd);

    std::recursive_mutex mutex;

private:
    struct Watch {
        epoll_event event;
        bool queued = false;
    };
    /// Not std::counting_semaphore: that calls syscall(), which is the simulation's own here.
    class Turn {
    public:
        Turn() { sem_init(&given_, 0, 0); }
        ~Turn() { sem_destroy(&given_); }
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;
        void release() { sem_post(&given_); }
        void acquire() {
            while (sem_wait(&given_) != 0) {
            }
        }

    private:
        sem_t given_;
    };
    struct Poller {
        unsigned number = 0;
        std::map<int, Watch> watches;
        std::deque<int> ready;
        Turn turn;
        bool parked = false;      // its thread waits for a turn
        bool wants_turn = false;  // it has something to do by itself
    };
    struct Thing {
        enum class Kind { epoll, event, timer, signal, socket, listener };
        Kind kind = Kind::event;
        std::unique_ptr<Poller> poller = nullptr;
        std::uint64_t count = 0;    // event, timer
        std::int64_t alarm_us = 0;  // timer
        std::uint64_t alarms = 0;   // how often it was set
        std::deque<int> signals = {};
        WirePtr wire = nullptr;
        std::deque<WirePtr> backlog = {};
    };
    struct Happening {
        std::int64_t at_us;
        std::uint64_t number;
        std::function<void()> happen;
        bool operator>(const Happening& other) const {
            return std::pair(at_us, number) > std::pair(other.at_us, other.number);
        }
    };

    int add(Thing thing);
    Thing& thing(int fd);
    std::uint32_t level(const Thing& thing) const;
    void wake(int fd);
    int take_events(Poller& poller, epoll_event* events, int max);
    bool runnable(const Poller& poller) const { return poller.wants_turn || !poller.ready.empty(); }
    Poller* next();
    void deliver(const WirePtr& wire, std::string bytes);
    void carry(const std::shared_ptr<Cable>& cable, std::int64_t& place,
               std::function<void()> arrive);
    void leave(const std::shared_ptr<Cable>& cable, std::function<void()> arrive);

    static Kernel* instance_;

    Observer& observer_;
    std::int64_t now_us_ = 1'000'000'000;
    std::uint64_t turns_ = 0, happenings_ = 0, digest_ = 0;
    std::map<int, Thing> things_;
    std::vector<Poller*> pollers_;
    std::priority_queue<Happening, std::vector<Happening>, std::greater<>> future_;
    std::condition_variable_any parked_;  // one more of them is
    Poller* current_ = nullptr;
    unsigned running_ = 0;
    bool let_go_ = false;
};

}  // namespace pgweir::simulation

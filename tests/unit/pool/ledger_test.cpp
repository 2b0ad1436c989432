// The books of one pool (pool/ledger): who is served, by which server, and when one more is opened.
#include "pool/ledger.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <sstream>

namespace pgweir::pool {
namespace {

/// Plays a script against a Ledger and writes down what it answers.
///
/// Servers are letters, waiters numbers, `@1` is a worker. What is answered to each step that has
/// an answer: the server or waiter that is served, `-` for nobody, `->b@1` for "b is to be moved
/// there". `fits a=x`, `wants 1=x`: what a server is like, and what a waiter would like.
class Script {
public:
    explicit Script(const Ledger::Limits& limits) : ledger_(workers) { ledger_.set_limits(limits); }

    std::string play(const char* text) {
        std::istringstream steps(text);
        for (std::string verb, what; steps >> verb;) {
            if (verb == "pause") {
                ledger_.pause();
            } else if (verb == "resume") {
                ledger_.resume();
            } else if (verb == "fail") {
                ledger_.opening_failed();
            } else if (verb == "want?") {
                answer(ledger_.wants_server(now_us_) ? "y" : "n");
            } else if (verb == "oldest?") {
                answer_waiter(ledger_.oldest());
            } else if (verb == "counts?") {
                counts();
            } else {
                steps >> what;
                act(verb, what);
            }
        }
        return answers_.empty() ? answers_ : answers_.substr(1);
    }

private:
    static constexpr unsigned workers = 3;
    static constexpr std::array<char, 128> kinds{};  // their addresses tell them apart

    void act(const std::string& verb, const std::string& what) {
        const unsigned at =
            what.find('@') == what.npos ? 0 : static_cast<unsigned>(what.back() - '0');
        if (verb == "new") return open(what[0], at);
        if (verb == "in") return checkin(what[0]);
        if (verb == "arrive") {
            servers_[what[0]].worker = at;
            return checkin(what[0]);
        }
        if (verb == "out") return checkout(what[0], at);
        if (verb == "fits") servers_[what[0]].fits = &kinds[static_cast<unsigned char>(what[2])];
        if (verb == "wants") waiters_[what[0]].wants = &kinds[static_cast<unsigned char>(what[2])];
        if (verb == "stop") return ledger_.stop_waiting(waiters_[what[0]]);
        if (verb == "close") return close(what[0]);
        if (verb == "withdraw") return ledger_.withdraw(servers_[what[0]]);
        if (verb == "begin") return begin(std::stoi(what));
        if (verb == "wait_us") now_us_ += std::stoi(what);
        if (verb == "idle?") return idle(static_cast<unsigned>(what[0] - '0'));
    }

    void begin(int count) {
        for (; count > 0; --count) ledger_.begin_opening();
    }

    /// A connection that was just opened.
    void open(char name, unsigned worker) {
        servers_[name].worker = worker;
        ledger_.begin_opening();
        ledger_.opened();
        checkin(name);
    }

    void checkin(char name) {
        ServerPlace& server = servers_[name];
        const Ledger::Checkin done = ledger_.checkin(server, now_us_);
        EXPECT_EQ(done.move, server.moving);
        if (done.move) return answer(std::string("->") + name + '@' + std::to_string(done.move_to));
        answer_waiter(done.waiter);
    }

    void checkout(char name, unsigned worker) {
        WaiterPlace& waiter = waiters_[name];
        waiter.worker = worker;
        const Ledger::Checkout done = ledger_.checkout(waiter, now_us_);
        EXPECT_EQ(waiter.waiting(), !done.taken);
        if (done.taken) return answer(std::string(1, name_of(*done.taken)));
        answer(done.wanted ? std::string("->") + name_of(*done.wanted) : "-");
    }

    void close(char name) {
        const Ledger::Move instead = ledger_.closed(servers_[name]);
        if (instead.server)
            answer(std::string("->") + name_of(*instead.server) + '@' + std::to_string(instead.to));
    }

    void idle(unsigned worker) {
        std::string names;
        ledger_.for_each_idle(worker, [&](const ServerPlace& s) { names += name_of(s); });
        answer(names.empty() ? "none" : names);
    }

    void counts() {
        std::ostringstream text;
        text << ledger_.total() << '/' << ledger_.opening() << '/' << ledger_.idle() << '/'
             << ledger_.moving() << '/' << ledger_.in_use() << ',' << ledger_.waiting();
        answer(text.str());
    }

    char name_of(const ServerPlace& place) const {
        for (const auto& [name, server] : servers_) {
            if (&server == &place) return name;
        }
        return '?';
    }

    void answer_waiter(const WaiterPlace* place) {
        for (const auto& [name, waiter] : waiters_) {
            if (&waiter == place) return answer(std::string(1, name));
        }
        answer("-");
    }

    void answer(const std::string& text) { answers_ += ' ' + text; }

    std::map<char, ServerPlace> servers_;
    std::map<char, WaiterPlace> waiters_;
    Ledger ledger_;
    std::int64_t now_us_ = 0;
    std::string answers_;
};

struct LedgerCase {
    const char* name;
    Ledger::Limits limits;
    const char* steps;
    const char* answers;
};

constexpr Ledger::Limits two{.size = 2};
constexpr Ledger::Limits in_turn{.size = 3, .round_robin = true};
constexpr Ledger::Limits slack{.size = 3, .handover_slack_us = 100};
constexpr Ledger::Limits reserve{.size = 1, .reserve_size = 1, .reserve_timeout_us = 50};
constexpr Ledger::Limits no_reserve{.size = 1, .reserve_size = 1};
constexpr Ledger::Limits unlimited{.opening_max = 2};

const LedgerCase ledger_cases[] = {
    {"counts are total/opening/idle/moving/in use, waiting", two, "counts?", "0/0/0/0/0,0"},
    {"a server for whom it was opened", two, "out 1 new a counts?", "- 1 1/0/0/0/1,0"},
    {"opened for nobody", two, "new a counts?", "- 1/0/1/0/0,0"},
    {"an idle one is taken", two, "new a out 1 counts?", "- a 1/0/0/0/1,0"},
    {"last in, first out", two, "new a new b out 1 in b out 2 out 3", "- - b - b a"},
    {"in turn", in_turn, "new a new b new c out 1 in a out 2 out 3", "- - - a - b c"},
    {"first come, first served", two, "new a out 1 out 2 out 3 in a in a", "- a - - 2 3"},
    {"who has gone is not served", two, "new a out 1 out 2 out 3 stop 2 in a", "- a - - 3"},
    {"who has been served does not wait", two, "new a out 1 stop 1 counts?", "- a 1/0/0/0/1,0"},
    {"who stops twice", two, "out 1 stop 1 stop 1 counts?", "- 0/0/0/0/0,0"},
    {"idle ones, longest idle first", two, "new a new b new c@1 idle? 0 idle? 1 idle? 2",
     "- - - ab c none"},
    {"closed while idle", two, "new a close a counts? out 1", "- 0/0/0/0/0,0 -"},
    {"closed while lent", two, "new a out 1 close a counts?", "- a 0/0/0/0/0,0"},
    {"withdrawn, then closed", two, "new a withdraw a counts? close a counts?",
     "- 1/0/0/0/1,0 0/0/0/0/0,0"},
    {"withdrawn, then back", two, "new a withdraw a out 1 in a", "- - 1"},

    {"an idle one that fits", two, "fits a=x fits b=y new a new b wants 1=x wants 2=x out 1 out 2",
     "- - a b"},
    {"a waiter that fits", two,
     "fits a=x new a out 1 wants 2=y wants 3=x wants 4=x out 2 out 3 out 4 in a in a in a",
     "- a - - - 3 4 2"},
    {"the first of those that fit nobody", two,
     "fits a=x new a out 1 wants 2=y wants 3=z out 2 out 3 in a in a", "- a - - 2 3"},
    {"passed over four times, no more", two,
     "fits a=x new a out 1 wants 2=y wants 3=x wants 4=x wants 5=x wants 6=x wants 7=x "
     "out 2 out 3 out 4 out 5 out 6 out 7 in a in a in a in a in a in a",
     "- a - - - - - - 3 4 5 6 2 7"},
    {"passed over as often as there are servers, no more", two,
     "new a new b new c new d new e fits e=x out 1 out 2 out 3 out 4 out 5 wants 6=y wants 7=x "
     "wants 8=x wants 9=x wants A=x wants B=x wants C=x out 6 out 7 out 8 out 9 out A out B out C "
     "in e in e in e in e in e in e in e",
     "- - - - - d c b a e - - - - - - - 7 8 9 A B 6 C"},
    {"who waits again has not been passed over", two,
     "fits a=x new a out 1 wants 2=y wants 3=x out 2 out 3 in a in a "
     "out 2 out 3 out 4 wants 3=x in a in a in a",
     "- a - - 3 2 - - - 3 2 4"},

    {"a server is wanted for who waits", two, "want? out 1 want?", "n - y"},
    {"one is on its way", two, "out 1 begin 1 want? counts?", "- n 1/1/0/0/0,1"},
    {"two wait, one is on its way", two, "out 1 out 2 begin 1 want?", "- - y"},
    {"no more than the size", two, "out 1 out 2 out 3 begin 2 want?", "- - - n"},
    {"lent ones count", two, "new a new b out 1 out 2 out 3 want?", "- - b a - n"},
    {"one has gone", two, "new a new b out 1 out 2 out 3 close a want?", "- - b a - y"},
    {"no connection came of it", two, "out 1 begin 1 fail want? counts?", "- y 0/0/0/0/0,1"},
    {"as many as one likes", unlimited, "new a out 1 out 2 out 3 want? begin 1 want?",
     "- a - - y y"},
    {"but not all at a time", unlimited, "out 1 out 2 out 3 begin 2 want? fail want?", "- - - n y"},

    {"the reserve is for who waits long", reserve,
     "new a out 1 out 2 want? wait_us 49 want? wait_us 1 want? begin 1 out 3 wait_us 99 want?",
     "- a - n n y - n"},
    {"the first one counts", reserve, "new a out 1 out 2 wait_us 40 out 3 wait_us 10 want?",
     "- a - - y"},
    {"who has gone does not count", reserve,
     "new a out 1 out 2 wait_us 40 out 3 stop 2 wait_us 10 want?", "- a - - n"},

    {"without a timeout there is none", no_reserve, "new a out 1 out 2 wait_us 9 want?", "- a - n"},

    {"paused, nobody is served", two, "new a pause out 1 want? counts?", "- - n 1/0/1/0/0,1"},
    {"nor by one that comes back", two, "new a out 1 out 2 pause in a counts?",
     "- a - - 1/0/1/0/0,1"},
    {"resumed, the idle ones are checked in again", two,
     "new a pause out 1 out 2 resume withdraw a in a", "- - - 1"},
    {"resumed", two, "pause out 1 resume want?", "- y"},
    {"paused, one that was moved is kept", slack, "new a@1 out 1@0 pause arrive a@0 counts?",
     "- ->a - 1/0/1/0/0,1"},

    {"its own worker's first", two, "new a@0 new b@1 out 1@0", "- - a"},
    {"then another's is fetched", two, "new b@1 out 1@0 counts? want? arrive b@0 counts?",
     "- ->b 1/0/0/1/0,1 n 1 1/0/0/0/1,0"},
    {"the last in of another's", two, "new a@1 new b@1 out 1@0", "- - ->b"},
    {"one fetch for each", two, "new a@1 new b@2 out 1@0 out 2@0 out 3@0", "- - ->a ->b -"},
    {"who waited has gone when it comes", two, "new b@1 out 1@0 stop 1 arrive b@0 idle? 0",
     "- ->b - b"},
    {"another one waits when it comes", two, "new b@1 out 1@0 stop 1 out 2@1 arrive b@0 arrive b@1",
     "- ->b - ->b@1 2"},
    {"it was served meanwhile", two,
     "new a@0 new b@1 out 1@0 out 2@0 in a counts? arrive b@0 counts?",
     "- - a ->b 2 2/0/0/1/1,0 - 2/0/1/0/1,0"},
    {"it died on its way", two, "new b@1 out 1@0 close b counts? want?", "- ->b 0/0/0/0/0,1 y"},
    {"it died on its way, and one is free", two,
     "new a@0 new b@1 out 1@0 out 2@2 in a counts? close b counts? want? arrive a@2 counts?",
     "- - a ->b - 2/0/1/1/0,1 ->a@2 1/0/0/1/0,1 n 2 1/0/0/0/1,0"},
    {"it died on its way, and nobody waits any more", two,
     "new a@0 new b@1 out 1@0 out 2@2 in a stop 2 close b counts?", "- - a ->b - 1/0/1/0/0,0"},
    {"it died on its way, and nothing is granted", two,
     "new a@0 new b@1 out 1@0 out 2@2 in a pause close b counts?", "- - a ->b - 1/0/1/0/0,1"},
    {"a free one goes where somebody waits", two, "new a out 1 out 2@2 in a arrive a@2",
     "- a - ->a@2 2"},
    {"but not when one is on its way there", two,
     "new a@0 new b@1 out 1@0 out 2@2 in a counts? arrive b@2 counts?",
     "- - a ->b - 2/0/1/1/0,1 2 2/0/1/0/1,0"},

    {"near ones are served before older ones", slack,
     "new a out 1 out 2@1 wait_us 100 out 3@0 in a in a", "- a - - 3 ->a@1"},
    {"unless those wait too long", slack, "new a out 1 out 2@1 wait_us 101 out 3@0 in a arrive a@1",
     "- a - - ->a@1 2"},
    {"one handover at a time", slack,
     "new a new b out 1 out 2 out 3@1 wait_us 101 out 4@0 out 5@0 in a in b",
     "- - b a - - - ->a@1 4"},
    {"who was moved serves where it came to", slack,
     "new a out 1 out 2@1 wait_us 101 out 3@1 wait_us 101 out 4@2 in a arrive a@2",
     "- a - - - ->a@1 4"},
    {"the oldest of all", slack, "out 1@2 wait_us 1 out 2@0 oldest? stop 1 oldest? stop 2 oldest?",
     "- - 1 2 -"},
};

TEST(Ledger, KeepsTheBooks) {
    for (const LedgerCase& c : ledger_cases) {
        SCOPED_TRACE(c.name);
        EXPECT_EQ(Script(c.limits).play(c.steps), c.answers);
    }
}

TEST(Ledger, TellsTheReserveFromTheRest) {
    Ledger ledger(1);
    ledger.set_limits(reserve);
    EXPECT_FALSE(ledger.from_reserve());
    ledger.begin_opening();
    EXPECT_TRUE(ledger.from_reserve());
    ledger.set_limits({.size = 0});
    EXPECT_FALSE(ledger.from_reserve());
}

TEST(Ledger, CountsWhatIsApart) {
    Ledger ledger(1);
    ledger.set_limits(two);
    ledger.begin_opening();
    EXPECT_TRUE(ledger.begin_apart());
    EXPECT_FALSE(ledger.begin_apart());
    EXPECT_EQ(ledger.total(), 1);
    EXPECT_EQ(ledger.apart(), 1);
    WaiterPlace first, second;
    ledger.checkout(first, 1);
    ledger.checkout(second, 1);
    EXPECT_FALSE(ledger.wants_server(2));
    ledger.end_apart();
    EXPECT_TRUE(ledger.wants_server(2));
    ledger.set_limits({.size = 0});
    EXPECT_TRUE(ledger.begin_apart());
    ledger.stop_waiting(first);
    ledger.stop_waiting(second);
}

TEST(Ledger, KnowsHowLongAServerIsIdle) {
    Ledger ledger(1);
    ledger.set_limits(two);
    ServerPlace server;
    ledger.begin_opening();
    ledger.opened();
    ledger.checkin(server, 7);
    EXPECT_EQ(server.idle_since_us, 7);
    WaiterPlace waiter;
    ledger.checkout(waiter, 9);
    ledger.checkin(server, 11);
    EXPECT_EQ(server.idle_since_us, 11);
}

TEST(Ledger, KnowsSinceWhenSomebodyWaits) {
    Ledger ledger(1);
    WaiterPlace waiter;
    ledger.checkout(waiter, 7);
    EXPECT_TRUE(waiter.waiting());
    EXPECT_EQ(waiter.since_us, 7);
    ledger.stop_waiting(waiter);
    ledger.checkout(waiter, 9);
    EXPECT_EQ(waiter.since_us, 9);
    ledger.stop_waiting(waiter);
}

TEST(Ledger, AHeldPoolKeepsItsServersAndGrantsNone) {
    Ledger ledger(1);
    ledger.set_limits(two);
    ServerPlace server;
    ledger.begin_opening();
    ledger.opened();
    ledger.checkin(server, 1);
    ledger.hold(true);
    WaiterPlace first, second;
    EXPECT_EQ(ledger.checkout(first, 2).taken, nullptr);
    EXPECT_EQ(ledger.checkout(second, 3).taken, nullptr);
    EXPECT_FALSE(ledger.wants_server(4));
    EXPECT_EQ(ledger.match(0).server, nullptr);
    EXPECT_EQ(ledger.idle(), 1);
    ledger.hold(false);
    const Ledger::Match match = ledger.match(0);
    EXPECT_EQ(match.server, &server);
    EXPECT_EQ(match.waiter, &first);
    EXPECT_EQ(ledger.match(0).server, nullptr) << "nothing is idle any more";
    EXPECT_TRUE(ledger.wants_server(4));
    ledger.stop_waiting(second);
    EXPECT_EQ(ledger.in_use(), 1);
}

TEST(Ledger, WhoWaitsForAHeldPoolGetsAnotherWorkersServer) {
    Ledger ledger(2);
    ledger.set_limits(two);
    ServerPlace server;
    ledger.begin_opening();
    ledger.opened();
    ledger.hold(true);
    ledger.checkin(server, 1);
    WaiterPlace waiter;
    waiter.worker = 1;
    EXPECT_EQ(ledger.checkout(waiter, 2).wanted, nullptr);
    ledger.hold(false);
    EXPECT_EQ(ledger.match(0).server, nullptr) << "nobody waits on its own worker";
    const Ledger::Match match = ledger.match(1);
    EXPECT_EQ(match.server, &server);
    EXPECT_EQ(match.waiter, nullptr) << "it is to be moved first";
    EXPECT_EQ(ledger.moving(), 1);
    EXPECT_EQ(ledger.match(1).server, nullptr) << "one is on its way";
    server.worker = 1;
    EXPECT_EQ(ledger.checkin(server, 3).waiter, &waiter);
    EXPECT_EQ(ledger.moving(), 0);
}

}  // namespace
}  // namespace pgweir::pool

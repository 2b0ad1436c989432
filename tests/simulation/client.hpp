// A client of the simulated program that knows what PostgreSQL would answer: it says something that
// its dice choose, and compares every message that comes with what has to come.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "protocol/frame.hpp"
#include "protocol/replies.hpp"
#include "tests/simulation/kernel.hpp"
#include "tests/simulation/variables.hpp"

namespace pgweir::simulation {

class World;

/// What became of a write, as its client was told.
enum class Fate { unknown, done, failed };

/// Resource; lives as long as the simulation.
class Client {
public:
    Client(World& world, int number, std::string database, int requests);
    ~Client();

    void begin();
    /// It has said all it wanted to, and has gone.
    bool done() const { return done_; }
    /// It says nothing new.
    void finish() { left_ = 0; }
    /// For the report of one that is stuck.
    std::string text() const;

private:
    /// One connection; the old ones stay, so that what is under way to them has where to go.
    struct Connection final : Remote {
        explicit Connection(Client& whose) : client(whose) {}
        void heard(std::string_view bytes) override;
        void hung_up() override;
        Client& client;
        WirePtr wire;
        std::string inbox;
    };
    /// A cancel request on its way.
    struct Canceller final : Remote {
        void heard(std::string_view) override {}
        void hung_up() override {}
        WirePtr wire;
    };
    /// Something said that is answered up to a ReadyForQuery.
    struct Unit {
        std::string bytes;
        std::vector<std::string> expected;  // messages in short; the last is the ReadyForQuery
        std::function<void()> effect = {};  // of its success
        std::vector<std::string> writes = {};
        bool stateful = false;  // whether it took effect must be known to go on
        bool ends = false;      // COMMIT
        std::size_t next = 0;   // of `expected`
        bool failed = false;    // otherwise than expected: what comes up to the end is skipped
    };

    void connect();
    void disconnect(bool politely);
    void lost();
    void take(const protocol::Frame& frame);
    void start_up(const protocol::Frame& frame);
    void compare(const std::string& message);
    void unit_failed(Unit& unit, const std::string& code);
    void unit_over(Unit unit, char status);
    static std::string brief(const protocol::Frame& frame);
    void think();
    void go_on();
    void speak();
    void send(Unit unit);
    void say_held_back();
    void cancel();
    void hear(const protocol::Notification& notification);
    bool is_own(const std::string& notice) const;
    void look_for_missed(const std::string& channel, bool own, std::size_t end);
    bool waits_for_notices();
    void flaw(const std::string& what);

    // What it says.
    Unit idle_unit();
    Unit transaction_unit();
    Unit end(bool commit);
    Unit failed_unit();
    Unit simple(const std::string& sql, std::vector<std::string> answers, char status) const;
    Unit echo();
    Unit extended_echo();
    Unit named();
    Unit insert();
    Unit look();
    Unit variable();
    Unit prepared();
    Unit mistake();
    Unit failing_batch();
    Unit failing(Unit unit, std::vector<std::string> answers);
    Unit listening();
    Unit notify();
    Unit lock();
    std::string token(const char* kind);
    char status() const { return static_cast<char>(tx_); }

    World& world_;
    Dice& dice_;
    const int number_;
    const std::string database_;
    int left_;
    std::vector<std::unique_ptr<Connection>> connections_;
    std::vector<std::unique_ptr<Canceller>> cancellers_;
    std::shared_ptr<Cable> cable_ = std::make_shared<Cable>();
    bool done_ = false, logged_in_ = false;
    std::uint32_t pid_ = 0;
    std::string key_;
    int tokens_ = 0, connects_ = 0;

    // The session, as PostgreSQL would have it.
    protocol::TxStatus tx_ = protocol::TxStatus::idle;
    bool read_only_ = false, sets_ = false;
    bool cancels_ = false;  // a cancel request may hit what it says now, or later
    Variables variables_;
    Variables::Map told_;                                            // by ParameterStatus
    std::map<std::string, std::string> protocol_names_, sql_names_;  // statements: what they give
    std::set<int> locks_;
    std::vector<std::string> pending_;  // writes of the transaction
    std::deque<Unit> sent_;
    std::vector<std::string> known_;  // tokens of writes whose fate it knows
    std::string held_back_;           // the rest of what it is saying

    // Channels it listens to, and from which of the primary's notices on it has to hear of them:
    // others', and its own, which come with the answer and may overtake them.
    std::map<std::string, std::array<std::size_t, 2>> channels_;
    std::string listens_next_;     // by the LISTEN under way
    std::set<std::string> heard_;  // payloads
    bool waited_ = false;          // for notices, before it goes
    bool may_repeat_ = false;      // it was told that it may have missed some
};

}  // namespace pgweir::simulation

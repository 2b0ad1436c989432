// The admin database `pgbouncer`: requests in, rows out.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "proxy/admin/extended.hpp"
#include "proxy/attendant.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

/// One client's console. Resource; lives in its client, on that client's thread.
///
/// One command runs at a time. What it needs from the main thread or other shards is posted there
/// as values; the answer finds its way back by the client's id and the command's number, or finds
/// that nobody waits for it any more. Bytes that come meanwhile stay in the client's inbox.
class Console final : public Attendant {
public:
    Console(Client& client, ConsoleRole role);
    ~Console() override;

    /// What a client is told when it has logged in here.
    void welcome();
    /// Bytes from the client; keeps what is not a whole message yet, or not to be looked at yet.
    void input(protocol::Bytes bytes) override;
    void drained() override;
    /// A cancel request: a command that waits stops waiting, and a PAUSE is undone.
    void cancel(pool::CancelHold hold) override;
    /// Likewise.
    void closed() override;

private:
    /// Where an answer goes.
    struct Ticket {
        Shard* shard;
        std::uint32_t client;
        std::uint64_t number;  // of the command
    };
    class Poll;

    bool take(const protocol::Frame& frame);
    void simple(std::string_view text);
    void begin(admin::Statement statement);
    void look(const Ticket& ticket, const admin::Show& show);
    void act(const Ticket& ticket, const admin::Verb& verb);
    void finish(admin::Answer answer);
    void reply(admin::Answer answer);
    void poll();
    void poll_unsent();
    void undo_pause();
    void stop_waiting();
    bool busy() const { return running_.has_value(); }
    bool is_closed() const { return client_.state() == ClientState::closed; }
    void log_refusal(const protocol::Error& error) const;
    void send(const std::string& bytes);
    Ticket ticket() const;
    /// Calls `then` on the console the ticket is from, on its thread, if it still waits for this.
    static void deliver(const Ticket& ticket, std::function<void(Console&)> then);

    Client& client_;
    const ConsoleRole role_;
    admin::Extended extended_;
    std::optional<admin::Statement> running_;
    bool by_execute_ = false;               // it came by Execute and not by Query
    std::uint64_t number_ = 0;              // of the last command begun
    std::optional<admin::Answer> waiting_;  // the answer, when its time has come
    std::unique_ptr<Poll> poll_;            // asks whether it has
    int clear_polls_ = 0;                   // that saw nothing left to be closed, in a row
};

}  // namespace pgweir::proxy

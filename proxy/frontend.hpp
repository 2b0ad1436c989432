// Rules for what a client says: which bytes go to its server, under which statement names, and what
// answers are then to be expected.
#pragma once

#include <memory>

#include "protocol/requests.hpp"
#include "proxy/statements.hpp"

namespace pgweir::proxy {

/// The pure half of a client connection. Value; no sockets, no clock.
class Frontend {
public:
    struct Step {
        std::size_t consumed = 0;   // bytes of the input that are done with
        bool terminate = false;     // the client said goodbye
        bool wants_server = false;  // the next message needs a server, and enough of it is there
        bool undecided = false;     // what the next message means hangs on an answer to come
        // For the statistics: Parse messages taken from the client and sent to the server, Binds.
        unsigned client_parses = 0, server_parses = 0, binds = 0;
    };

    /// Takes what the client has sent, for a server that is linked to it.
    ///
    /// Takes all of `input` but the beginning of a message that it needs whole.
    /// Errors   08P01 for what is no message; the client is of no use then.
    Result<Step> translate(Bytes input, const RequestRules& rules, pool::Backend& server,
                           Segments& out);

    /// While no server is linked: is the first message whole, and one that needs a server? The
    /// ordinary case; answer_alone() is for all others.
    bool wants_server(Bytes input) const;

    /// The same while no server is linked, or one that has nothing under way: takes what needs none
    /// (Terminate, a lone Sync, what is left of a failed COPY) and stops at the first message that
    /// does.
    Result<Step> answer_alone(Bytes input, const RequestRules& rules, Segments& replies);

    /// Drops the request at the front of `input` that has been waiting for a server: a simple one,
    /// or all up to the next Sync, though it be still to come. Adds the error and, if due,
    /// ReadyForQuery.
    /// Returns the bytes dropped.
    std::size_t drop_request(Bytes input, const protocol::Error& error, Segments& replies);

    /// The batch under way has failed without its server: the rest of it is not taken.
    void drop_batch() { dropping_ = true, passing_ = false; }

    /// Bytes of the present message that are still to come and go to the server as they are;
    /// whoever passes some of them on without translate() says so.
    std::size_t passing() const { return passing_ ? missing_ : 0; }
    void passed(std::size_t size) { missing_ -= size; }

    /// Is what comes next, beginning with `next`, no request but left of one that is over? A server
    /// would read over it.
    bool left_over(char next) const {
        return missing_ > 0 ? !passing_ : protocol::is_copy_data(next);
    }
    /// A message has begun whose end has not come.
    bool mid_message() const { return missing_ > 0; }
    /// What comes next is the beginning of a request.
    bool at_rest() const { return missing_ == 0 && !dropping_; }

    /// The server goes back to its pool.
    void released() { statements_.released(); }

    Statements& statements() { return statements_; }
    const Statements& statements() const { return statements_; }

private:
    /// refused: Translation::refusal says why, and the client is of no use then.
    enum class Take : std::uint8_t { done, more, undecided, refused };

    /// What PostgreSQL allows, header included. Source: its own limits on messages from clients, by
    /// type.
    static std::size_t size_max(char type);
    static protocol::Error bad_message(std::string text);
    bool answer_one(const protocol::Frame& frame, protocol::TxStatus alone, Step& step,
                    Segments& replies);
    void pass_rest(Bytes& input, Segments* out);
    static Take refuse(Translation& step, protocol::Error error);
    Take take(const protocol::Frame& frame, Bytes whole, Translation& step);
    bool looks_at_names(router::Traces traces, const Translation& step) const;
    Take take_query(const protocol::Frame& frame, Bytes whole, Translation& step);
    Take take_naming_query(Bytes sql, router::Traces traces, const router::Details& details,
                           Translation& step);
    bool rename_bound(Statements::Found& found, protocol::RenamesPtr& renames, Translation& step);
    bool note_bind(Statements::Found& found, const protocol::Frame& frame, Translation& step);
    void take_reset(Bytes sql, std::string_view giving_back, Translation& step);
    void take_execute(Bytes whole, Translation& step);
    Take take_parse(const protocol::Frame& frame, Bytes whole, Translation& step);
    Take take_bind(const protocol::Frame& frame, Bytes whole, Translation& step);
    Take take_target(const protocol::Frame& frame, Bytes whole, Translation& step);
    Take take_statement(char type, std::string_view name, Bytes whole, Translation& step);

    /// What the next Execute does, of what was bound.
    struct Due {
        protocol::RenamesPtr renames;   // to names of statements
        protocol::StatementPtr resets;  // to variables of the client's own
    };

    Statements statements_;
    std::unique_ptr<Due> due_;
    QueryNotes::NamesPtr passed_names_;  // of statements that are passed on unread
    std::size_t missing_ = 0;            // bytes of the present message that are still to come
    bool passing_ = false;               // … and go to the server
    bool dropping_ = false;              // to the next Sync: the batch has been cancelled
};

}  // namespace pgweir::proxy

// Rules for what a server says: which bytes go on to the client, and what they mean for the books.
#pragma once

#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "protocol/frame.hpp"
#include "protocol/pipeline.hpp"

namespace pgweir::pool {

using protocol::Bytes;
using protocol::Result;
using protocol::Segments;
using protocol::TxStatus;

/// A notification on its way.
struct Notification {
    std::uint32_t pid;  // of the process that notified
    std::string channel, payload;
};

/// What is to become of the notifications that a server sends to whoever holds it. Those that come
/// amid a query of our own, whose replies nobody sees, or in one scan with its end are kept in any
/// case.
struct Hearing {
    bool keep_all = false;  // none is passed on: they are for the holder itself
    std::set<std::string, std::less<>> elsewhere;  // channels heard by another way: not passed on
    std::string hidden;                            // a channel of which nobody is to hear
    std::uint32_t server_pid = 0;                  // what the session itself notifies is passed on
    std::uint32_t pid = 0;                         // … as from this process
};

/// The pure half of a server connection. Value; no sockets, no clock.
///
/// Invariant: what scan() has taken of the input and what the pipeline holds agree: after a reply
/// to the last request, settled() is true, and only then may the server change hands.
class Backend {
public:
    /// Reads what has come from the server and says what of it goes to the client.
    ///
    /// Takes all of `input` but the beginning of a message that it needs whole, and but the answers
    /// behind one to a query of our own: whoever asked that acts on it first. Adds slices of
    /// `input` and replies made here to `out`.
    /// Returns  bytes taken.
    /// Errors   08P01 when the server says what no request asked for; the connection is of no use
    /// then.
    Result<std::size_t> scan(Bytes input, Segments& out);

    /// Bytes of the present message that are still to come and go to the client as they are;
    /// whoever passes some of them on without scan() says so.
    std::size_t passing() const { return passing_ ? missing_ : 0; }
    void passed(std::size_t size) { missing_ -= size; }

    /// From here on all that comes is the client's, unread: for a connection that ends with it.
    void pass_all() { passing_ = true, missing_ = std::numeric_limits<std::ptrdiff_t>::max(); }

    /// Answers that need nothing from the server, when nothing else is under way before them.
    void flush_fakes(Segments& out);

    /// No reply is outstanding and no message is half read.
    bool settled() const { return missing_ == 0 && pipeline_.settled(); }
    /// As of the last ReadyForQuery.
    TxStatus tx() const { return tx_; }
    protocol::Pipeline& pipeline() { return pipeline_; }
    const protocol::Pipeline& pipeline() const { return pipeline_; }
    /// Prepared statements that this server has (or will have, once it has read what was sent).
    protocol::ServerStatements& statements() { return statements_; }
    const protocol::ServerStatements& statements() const { return statements_; }

    /// Whose nextval()s currval() and lastval() would tell of; 0: nobody's.
    std::uint64_t sequences_of = 0;
    /// Rows were inserted since it was last asked: a serial column may have called nextval().
    bool take_inserted() { return std::exchange(inserted_, false); }
    /// Rows were written since it was last asked: triggers and the like may have run.
    bool take_wrote() { return std::exchange(wrote_, false); }

    /// Rows that commands have said to have returned or changed since it was last asked.
    std::uint64_t take_rows() { return std::exchange(rows_, 0); }

    /// A request of the client's has failed since it was last asked.
    bool take_failed() { return std::exchange(failed_, false); }

    /// What was sent now was a batch of its own whose Parse was left out, because the statement is
    /// here. Should PostgreSQL say that the result of its plan has changed, which a client that
    /// has just prepared it is not to hear, it is prepared anew and the batch is sent again.
    void may_begin_again(protocol::StatementPtr statement, const Segments& batch);

    /// What one scan() found on its way. Read it before the next one.
    struct Findings {
        bool ready = false;                       // a ReadyForQuery to a request of the client's
        bool own_ready = false;                   // a ReadyForQuery to a request of our own
        bool more = false;                        // any of what follows may have been found
        bool discarded_all = false;               // DISCARD ALL or DEALLOCATE ALL was run
        bool schema_changed = false;              // CREATE, ALTER or DROP was run …
        bool functions_changed = false;           // … of a function, perhaps
        bool fatal = false;                       // the server said that it is going away
        bool block = false;                       // one was begun that forbid_blocks() forbids
        std::vector<Notification> notifications;  // not passed on
        std::vector<Notification> echoes;         // passed on although heard elsewhere as well
        std::vector<std::pair<std::string, std::string>>
            parameters;                              // ParameterStatus: name, value
        std::optional<protocol::Error> fatal_error;  // its words
        std::string again;                           // to be sent to the server at once
        std::vector<protocol::Sqlstate> errors;      // of what was not our own

        void clear();
    };
    const Findings& findings() const { return findings_; }

    /// Its node is one of several, and nobody is to know: that it goes away, or that it is or was a
    /// replica, is not passed on.
    void conceal_node() { conceals_ = true; }

    /// The answer to what begins a transaction block, or fails in one, is not passed on: nothing of
    /// it but the rest of a message whose beginning was. What comes behind it is not read.
    void forbid_blocks(bool forbid) { no_blocks_ = forbid; }

    /// Borrowed, until it is another's or nobody's (nullptr: all is passed on).
    void hear(const Hearing* hearing) { hearing_ = hearing; }

    /// What a query of our own gave, as text. Complete when findings().own_ready is.
    struct OwnAnswer {
        using Row = std::vector<std::optional<std::string>>;
        std::vector<Row> rows;
        std::optional<protocol::Error> error;
    };
    /// Everything that is still to come answers queries of our own.
    bool only_own() const { return missing_ == 0 && pipeline_.only_own(); }
    OwnAnswer take_own_answer() { return std::exchange(own_answer_, {}); }

private:
    enum class Fate : std::uint8_t { forward, skip, replaced, unexpected };

    void forbid(Segments& out, std::size_t told);
    std::size_t rows_at(Bytes input) const;
    bool take_answer(Bytes input);
    bool take_tag(Bytes input);
    bool take_batch(Bytes input);
    Fate apply(const protocol::Frame& frame, Segments& out);
    Fate apply_error(const protocol::Frame& frame, Segments& out);
    Fate apply_tag(const protocol::Frame& frame);
    Fate apply_ready(const protocol::Frame& frame);
    Fate apply_parameter(const protocol::Frame& frame);
    Fate apply_row(const protocol::Frame& frame);
    Fate apply_notification(const protocol::Frame& frame, Segments& out);
    Fate answer(protocol::Request request);
    Fate describe_answer(const protocol::Frame& frame);
    Fate copy_in();
    Fate by_front() const;
    Fate by_owner() const;
    template <class... Askers>
    Fate forward_to(Askers... askers) const;
    bool own() const;
    void emit_fakes(Segments& out);
    Fate query_failed(const protocol::Frame& frame, const protocol::Outstanding& query,
                      Segments& out);
    void keep_unseen(const protocol::Frame& frame, const protocol::StatementPtr& statement);
    bool begin_again(const protocol::Outstanding& failed, std::string_view sqlstate);
    void undo_on_server();
    void doubt(const protocol::Renames& renames);

    /// An error that the client has not seen: of what was to be prepared in front of its query.
    struct Unseen {
        protocol::StatementPtr statement;
        std::string report;  // payload
    };

    /// may_begin_again(): for as long as the pipeline holds all of the batch.
    struct Batch {
        protocol::StatementPtr statement;
        std::string bytes;
        std::size_t requests = 0;  // whose answers are to come
    };

    protocol::Pipeline pipeline_;
    protocol::ServerStatements statements_;
    Findings findings_;
    OwnAnswer own_answer_;
    std::unique_ptr<Unseen> unseen_;
    Batch again_;
    const Hearing* hearing_ = nullptr;
    std::size_t missing_ = 0;  // bytes of the present message that are still to come
    bool passing_ = false;     // … and go to the client
    std::uint64_t rows_ = 0;
    bool inserted_ = false, wrote_ = false;
    bool copying_out_ = false;  // the tag of a COPY does not tell its direction
    bool failed_ = false;
    bool conceals_ = false, no_blocks_ = false;
    TxStatus tx_ = TxStatus::idle;
};

}  // namespace pgweir::pool

// The requests a server has not answered yet, and what is to become of each answer.
//
// Requests go in as they are sent (or made up, or left out); replies take them out. Everything that
// sits between a client and a server hangs on this queue: prepared statements under shared names,
// injected requests, COPY, errors that skip to the next Sync, and knowing when a server is free.
#pragma once

#include <cstdint>
#include <vector>

#include <boost/circular_buffer.hpp>

#include "protocol/replies.hpp"
#include "protocol/statement.hpp"

namespace pgweir::protocol {

/// What was asked.
enum class Request : std::uint8_t {
    query,          // answered up to ReadyForQuery
    function_call,  // likewise
    sync,           // ReadyForQuery
    parse,
    bind,
    describe_statement,
    describe_portal,
    execute,
    close,
    copy_end,  // CopyDone or CopyFail sent before the server had asked for data
};

/// What becomes of the answer.
enum class Reply : std::uint8_t {
    forward,  // it goes to the client
    skip,     // the request was ours: the client never sees its answer
    fake,     // the server was not asked: we answer for it when its turn comes
};

/// One request under way. Value.
struct Outstanding {
    Request request;
    Reply reply;
    /// parse, bind, describe_statement, close of a statement: which, as the client calls it.
    NamedStatementPtr named;
    /// Requests of our own (skip): the statement prepared or closed on the server.
    StatementPtr statement;
};

/// Value; belongs to one server connection. Pure.
class Pipeline {
public:
    /// A request was sent. In a batch that has failed already the server will not answer it: it is
    /// noted as undone at once.
    void push(Outstanding outstanding);
    /// CopyDone or CopyFail was sent.
    void push_copy_end();

    bool empty() const { return queue_.empty(); }
    std::size_t size() const { return queue_.size(); }
    const Outstanding& front() const { return queue_.front(); }
    bool front_is_fake() const { return !queue_.empty() && queue_.front().reply == Reply::fake; }
    /// Every reply that is still to come is one that we make up: nothing will come from the server.
    bool only_fakes() const;
    void pop() { queue_.pop_front(); }

    /// The server reported an error for the front request, which belongs to an extended-protocol batch:
    /// everything up to the next Sync is void, whether it is here already or still to be pushed.
    void fail_batch();
    /// The server waits for a Sync that has not been sent.
    bool skipping() const { return skipping_; }

    /// The server began to take COPY data for the front request: until the client ends it the server
    /// reads over every Sync.
    void begin_copy_in();
    /// The client is expected to send COPY data.
    bool copying_in() const { return copying_in_; }
    /// The COPY ended otherwise: the server reported an error.
    void abort_copy_in();
    /// A Sync came in the middle of data of a COPY that then failed: whether the server read over it
    /// cannot be known, so this connection must not be lent again.
    bool doubtful() const { return doubtful_; }

    /// Requests whose effects on names and caches are to be taken back, newest first; the caller takes
    /// them and clears.
    std::vector<Outstanding>& undone() { return undone_; }

    /// Requests that a DISCARD ALL or DEALLOCATE ALL (the front one) came before.
    template <class F>
    void for_each(F visit) const {
        for (const Outstanding& outstanding : queue_) visit(outstanding);
    }

private:
    void grow();

    boost::circular_buffer<Outstanding> queue_;
    std::vector<Outstanding> undone_;
    bool skipping_ = false;
    bool copying_in_ = false;
    bool sync_in_copy_ = false;
    bool doubtful_ = false;
};

}  // namespace pgweir::protocol

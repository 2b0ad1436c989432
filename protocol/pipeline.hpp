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
    copy_end,  // CopyDone or CopyFail sent before the server had asked for data; has no answer
};

/// Of a batch that a Sync has to end? The others end with a ReadyForQuery of their own.
constexpr bool is_of_batch(Request request) {
    return request != Request::sync && request != Request::query &&
           request != Request::function_call;
}

/// What becomes of the answer.
enum class Reply : std::uint8_t {
    forward,  // it goes to the client
    skip,     // the request was ours: the client never sees its answer
    fake,     // the server was not asked: we answer for it when its turn comes
};

/// What a text does with the names of prepared statements, which the server knows under names of
/// ours. The requests under way and whoever made it share it. One thread.
struct Renames {
    enum class Effect : std::uint8_t { none, prepares, drops };
    struct Item {
        NamedStatementPtr named;
        Effect effect = Effect::none;  // on the name, if the server carries it out
    };
    std::vector<Item> items;  // in the text's order
    std::size_t done = 0;     // items that are over, of those with effects
    /// From character `at` on the server's text is `by` characters longer than the client's was.
    struct Shift {
        long at, by;
    };
    std::vector<Shift> shifts;
    std::uint32_t references = 0;

    /// The server has carried out the next one that has an effect.
    void advance();
    /// The answer has come: none of the names hangs on it any more.
    void answered();

    friend void intrusive_ptr_add_ref(Renames* renames) { ++renames->references; }
    friend void intrusive_ptr_release(Renames* renames) {
        if (--renames->references == 0) renames->end();
    }

private:
    void end();
};

using RenamesPtr = boost::intrusive_ptr<Renames>;

/// One request under way. Value.
struct Outstanding {
    Request request;
    Reply reply;
    /// parse, bind, describe_statement, close of a statement: which, as the client calls it.
    NamedStatementPtr named;
    /// parse and close that the server is sent, query of ours that is a PREPARE: the statement it
    /// prepares or drops.
    StatementPtr statement;
    /// query and execute of a text that names statements.
    RenamesPtr renames = {};
    /// undone(): the server read this one and reported an error; the others it read over.
    bool failed = false;
};

/// Value; belongs to one server connection. Pure.
class Pipeline {
public:
    /// A request was sent. In a batch that has failed already the server will not answer it: it is
    /// noted as undone at once. A Sync within a COPY is not noted: the server reads over it.
    void push(Outstanding&& outstanding);
    /// The same for one whose answer goes to the client, with no more to be known of it.
    void push(Request request);
    /// CopyDone or CopyFail was sent.
    void push_copy_end();

    bool empty() const { return queue_.empty(); }
    std::size_t size() const { return queue_.size(); }
    const Outstanding& front() const { return queue_.front(); }
    /// The one with that many before it.
    const Outstanding& at(std::size_t place) const { return queue_[place]; }
    bool front_is_fake() const { return !queue_.empty() && queue_.front().reply == Reply::fake; }
    /// Every reply that is still to come is one that we make up: nothing will come from the server.
    bool only_fakes() const;
    /// The queue is one batch, of which the server reads over the rest; it is to be sent again
    /// behind a Close and a Parse of `statement`, all of ours.
    void begin_again(const StatementPtr& statement);

    /// The batch of the front request is one of our own: the client sees nothing of it.
    bool front_is_unseen() const;
    /// Every request that is not answered is a query of our own.
    bool only_own() const;
    void pop();

    /// Nothing is outstanding, and the last that was sent was a Sync, a simple query or a function
    /// call: what was asked is over on the server too, with its errors and implicit transaction.
    bool settled() const { return queue_.empty() && !open_ && surplus_ == 0; }
    /// The last that was sent was no part of a batch, or its Sync.
    bool between_batches() const { return !open_; }
    /// Nor is it a COPY whose data have not ended: what comes next has nothing to do with it.
    bool between_units() const { return between_batches() && !copying_in_; }
    /// Nor is it the beginning of a batch of which the server was sent nothing yet.
    bool begins_unit() const {
        return between_units() && (queue_.empty() || !is_of_batch(queue_.back().request));
    }

    /// A batch is what lies between two Syncs. The number of the one being sent, and of the first
    /// that is not answered: what came in an earlier one is known to have worked or not.
    std::uint64_t batch() const { return batch_; }
    std::uint64_t answered() const { return answered_; }

    /// The server reported an error for the front request, which belongs to an extended-protocol
    /// batch: everything up to the next Sync is void, whether it is here already or still to be
    /// pushed.
    void fail_batch();
    /// The server waits for a Sync that has not been sent.
    bool skipping() const { return skipping_; }

    /// The server began to take COPY data for the front request: until the client ends it the
    /// server reads over every Sync.
    void begin_copy_in();
    /// The client is expected to send COPY data.
    bool copying_in() const { return copying_in_; }
    /// The COPY, if there was one, worked: its Syncs have been read over.
    void end_copy();
    /// The server reported an error. Whether it had read the Syncs of a COPY yet cannot be known:
    /// each of them may be answered after all, until something else is.
    void fail_copy() { copying_in_ = false; }
    /// ReadyForQuery messages that may come although no request is waiting for them: not settled().
    std::size_t surplus() const { return surplus_; }
    void pop_surplus();
    /// The server answered a request: whatever was sent before it has been answered or read over.
    void heard() { surplus_ = 0; }

    /// Requests whose effects on names and caches are to be taken back, the newest of a batch
    /// first; the caller takes them and clears.
    std::vector<Outstanding>& undone() { return undone_; }

    /// DISCARD ALL or DEALLOCATE ALL was run. Marks the names that stay, because their Parse is
    /// behind it, and those whose Close is.
    void discard();
    /// How often that was. The mark of the names that stayed the last time.
    std::uint32_t discards() const { return discards_; }

    template <class F>
    void for_each(F visit) const {
        for (const Outstanding& outstanding : queue_) visit(outstanding);
    }

private:
    void grow();
    void discard(const Renames& renames) const;

    boost::circular_buffer<Outstanding> queue_;
    std::vector<Outstanding> undone_;
    std::uint64_t batch_ = 0, answered_ = 0;
    std::size_t swallowed_ = 0;  // Syncs that the server reads over if the COPY under way works
    std::size_t surplus_ = 0;
    std::uint32_t discards_ = 0;
    bool open_ = false;  // requests were sent that a Sync has to end
    bool skipping_ = false;
    bool copying_in_ = false;
};

}  // namespace pgweir::protocol

// What a server is known to hold and how it stands, and messages too large to be kept
// (pool/backend).
#include <gtest/gtest.h>

#include <sstream>

#include "pool/backend.hpp"
#include "tests/unit/spoken.hpp"

namespace pgweir::tests {
namespace {

using pool::Backend;
using protocol::NamedStatement;
using protocol::NamedStatementPtr;
using protocol::Reply;
using protocol::Request;
using protocol::Segments;
using protocol::StatementPtr;
using protocol::TxStatus;

/// The whole stream at once; it must be taken whole.
std::string scan(Backend& backend, Bytes bytes) {
    Segments out;
    const auto taken = backend.scan(bytes, out);
    EXPECT_TRUE(taken.has_value());
    if (taken) {
        EXPECT_EQ(*taken, bytes.size());
    }
    return out.joined();
}

// ---------------------------------------------------------------- transaction status

struct StatusCase {
    const char* said;
    TxStatus tx;
};

constexpr StatusCase status_cases[] = {
    {"ReadyForQuery transaction", TxStatus::transaction},
    {"ReadyForQuery failed", TxStatus::failed},
    {"ReadyForQuery idle", TxStatus::idle},
    {"CommandComplete BEGIN; ReadyForQuery transaction; CommandComplete X", TxStatus::transaction},
    {"CommandComplete BEGIN; ReadyForQuery transaction; ReadyForQuery idle", TxStatus::idle},
};

TEST(Backend, KnowsTheTransaction) {
    for (const StatusCase& c : status_cases) {
        SCOPED_TRACE(c.said);
        Backend backend;
        EXPECT_EQ(backend.tx(), TxStatus::idle);
        backend.pipeline().push({Request::query, Reply::forward, {}, {}});
        backend.pipeline().push({Request::query, Reply::forward, {}, {}});
        scan(backend, replies(c.said));
        EXPECT_EQ(backend.tx(), c.tx);
    }
}

// ---------------------------------------------------------------- statements

/// Requests for a statement x, sent in this order: P parse, Ps our parse, Cs our close, B bind, E
/// execute, Q query, S sync.
class Prepared {
public:
    void ask(const std::string& what) {
        protocol::Pipeline& pipeline = backend.pipeline();
        const Reply reply = what.ends_with('s') ? Reply::skip : Reply::forward;
        switch (what[0]) {
            case 'P':
                backend.statements().add(x_, pipeline.batch());
                return pipeline.push({Request::parse, reply, named_, x_});
            case 'C':
                EXPECT_EQ(backend.statements().evict(0), x_);
                return pipeline.push({Request::close, reply, {}, x_});
            case 'B': return pipeline.push({Request::bind, reply, named_, {}});
            case 'E': return pipeline.push({Request::execute, reply, {}, {}});
            case 'Q': return pipeline.push({Request::query, reply, {}, {}});
            default: return pipeline.push({Request::sync, reply, {}, {}});
        }
    }

    /// Is it there for what would be sent next? `no` also means that it would be closed first.
    std::string known() {
        protocol::Pipeline& pipeline = backend.pipeline();
        if (backend.statements().use(*x_, pipeline.batch(), pipeline.answered())) return "yes";
        return backend.statements().size() == 0 ? "no" : "perhaps";
    }

private:
    protocol::StatementTable table_;
    StatementPtr x_ = table_.intern("x", "");
    NamedStatementPtr named_ = NamedStatementPtr(new NamedStatement("my x", x_));

public:
    Backend backend;
};

struct KnownCase {
    const char* name;
    const char* asked;
    const char* said;
    const char* known;
};

const KnownCase known_cases[] = {
    {"nothing was sent", "", "", "no"},
    {"a Parse was sent", "P", "", "yes"},
    {"in an earlier batch, not answered", "P S", "", "perhaps"},
    {"its answer came but not its Sync's", "P S", "ParseComplete", "perhaps"},
    {"its Sync's came", "P S", "ParseComplete; ReadyForQuery idle", "yes"},
    {"the Parse failed", "P S", "ErrorResponse ERROR 42601 no; ReadyForQuery idle", "perhaps"},
    {"our own failed", "Ps B S", "ErrorResponse ERROR 42P01 no; ReadyForQuery idle", "perhaps"},
    {"the Parse was skipped", "B Ps B S", "ErrorResponse ERROR 22012 no; ReadyForQuery idle",
     "perhaps"},
    {"what was answered before the error was done", "Ps E S",
     "ParseComplete; ErrorResponse ERROR 22012 no; ReadyForQuery idle", "yes"},
    {"our Close was sent", "Ps S Cs", "", "no"},
    {"our Close was skipped", "Ps S E Cs S",
     "ParseComplete; ReadyForQuery idle; ErrorResponse ERROR 22012 no; ReadyForQuery idle",
     "perhaps"},
    {"skipped, but prepared again meanwhile", "Ps S E Cs S Ps",
     "ParseComplete; ReadyForQuery idle; ErrorResponse ERROR 22012 no; ReadyForQuery idle",
     "perhaps"},
    {"discarded", "P S Q", "ParseComplete; ReadyForQuery idle; CommandComplete 'DISCARD ALL'",
     "no"},
    {"deallocated", "P S E S",
     "ParseComplete; ReadyForQuery idle; CommandComplete 'DEALLOCATE ALL'; ReadyForQuery idle",
     "no"},
    {"discarded before it was prepared", "Q P S",
     "CommandComplete 'DISCARD ALL'; ReadyForQuery idle; ParseComplete; ReadyForQuery idle",
     "perhaps"},
    {"not discarded", "P S Q", "ParseComplete; ReadyForQuery idle; CommandComplete 'DISCARD TEMP'",
     "yes"},
};

TEST(Backend, KnowsItsStatements) {
    for (const KnownCase& c : known_cases) {
        SCOPED_TRACE(c.name);
        Prepared prepared;
        std::istringstream asked(c.asked);
        for (std::string request; asked >> request;) prepared.ask(request);
        scan(prepared.backend, replies(c.said));
        EXPECT_EQ(prepared.known(), c.known);
    }
}

// ---------------------------------------------------------------- large messages

constexpr std::size_t large = 100'000;

TEST(Backend, PassesLargeMessagesAsTheyCome) {
    Backend backend;
    backend.pipeline().push({Request::query, Reply::forward, {}, {}});
    const std::string row = replies("DataRow " + std::string(large, 'x'));
    EXPECT_EQ(scan(backend, Bytes(row).substr(0, 20)), row.substr(0, 20));
    EXPECT_EQ(backend.passing(), row.size() - 20);
    EXPECT_FALSE(backend.settled());
    EXPECT_EQ(scan(backend, Bytes(row).substr(20, 1000)), row.substr(20, 1000));
    backend.passed(backend.passing() - 5);
    EXPECT_EQ(backend.passing(), 5u);
    const std::string end = replies("CommandComplete X; ReadyForQuery idle");
    EXPECT_EQ(scan(backend, "xxxxx" + end), "xxxxx" + end);
    EXPECT_EQ(backend.passing(), 0u);
    EXPECT_TRUE(backend.settled());
}

TEST(Backend, DropsLargeMessagesThatAreNotTheClients) {
    Backend backend;
    backend.pipeline().push({Request::query, Reply::skip, {}, {}});
    const std::string row = replies("CopyData " + std::string(large, 'x'));
    EXPECT_EQ(scan(backend, Bytes(row).substr(0, 20)), "");
    EXPECT_EQ(backend.passing(), 0u) << "nobody may move the rest to the client";
    EXPECT_FALSE(backend.settled());
    EXPECT_EQ(scan(backend, Bytes(row).substr(20)), "");
    scan(backend, replies("CommandComplete SET; ReadyForQuery idle"));
    EXPECT_TRUE(backend.settled());
}

TEST(Backend, LeavesWhatFollowsAnAnswerOfOurOwn) {
    Backend backend;
    pool::Hearing hearing;
    backend.hear(&hearing);
    backend.pipeline().push({Request::query, Reply::skip, {}, {}});
    backend.pipeline().push({Request::query, Reply::forward, {}, {}});
    const std::string ours = replies("CommandComplete SET; ReadyForQuery idle");
    const std::string notified = replies("NotificationResponse a b");
    const std::string next = replies("CommandComplete X; ReadyForQuery idle");
    const std::string said = ours + notified + next;
    Segments out;
    EXPECT_EQ(backend.scan(said, out).value(), ours.size() + notified.size());
    EXPECT_TRUE(out.empty());
    EXPECT_TRUE(backend.findings().own_ready);
    EXPECT_EQ(backend.findings().notifications.size(), 1u);
    EXPECT_EQ(scan(backend, next), next);
    EXPECT_TRUE(backend.findings().ready);
}

TEST(Backend, AnswersOfOursBehindOneLeaveNothingToWaitFor) {
    Backend backend;
    backend.pipeline().push({Request::query, Reply::skip, {}, {}});
    backend.pipeline().push({Request::parse, Reply::fake, {}, {}});
    EXPECT_EQ(scan(backend, replies("CommandComplete SET; ReadyForQuery idle")),
              replies("ParseComplete"));
    EXPECT_TRUE(backend.findings().own_ready);
    EXPECT_TRUE(backend.settled());
}

TEST(Backend, KeepsWhatQueriesOfOurOwnGive) {
    Backend backend;
    backend.pipeline().push({Request::query, Reply::skip, {}, {}});
    const std::string value(40'000, 'x');
    const std::string said =
        replies("RowDescription a; DataRow " + value + "; DataRow b; ErrorResponse ERROR 22012 no");
    std::string unread;
    for (const char& byte : said) {  // in the end all of it has come, in whatever pieces
        unread += byte;
        Segments out;
        const auto taken = backend.scan(unread, out);
        ASSERT_TRUE(taken.has_value());
        EXPECT_TRUE(out.empty());
        unread.erase(0, *taken);
    }
    scan(backend, replies("ReadyForQuery idle"));
    EXPECT_TRUE(backend.findings().own_ready);
    const Backend::OwnAnswer answer = backend.take_own_answer();
    ASSERT_EQ(answer.rows.size(), 2u);
    EXPECT_EQ(answer.rows[0].at(0), value);
    EXPECT_EQ(answer.rows[1].at(0), "b");
    ASSERT_TRUE(answer.error.has_value());
    EXPECT_EQ(answer.error->message, "no");
    EXPECT_TRUE(backend.take_own_answer().rows.empty()) << "it is taken once";
}

struct LargeCase {
    const char* name;
    std::string said;
    bool whole;  // kept until its end has come
};

const LargeCase large_cases[] = {
    {"an error", "ErrorResponse ERROR 22012 '" + std::string(9000, 'x') + "'", true},
    {"a large error", "ErrorResponse ERROR 22012 '" + std::string(large, 'x') + "'", false},
    {"a parameter", "ParameterStatus a " + std::string(9000, 'x'), true},
    {"a large parameter", "ParameterStatus a " + std::string(large, 'x'), false},
    {"a tag", "CommandComplete " + std::string(9000, 'x'), true},
    {"a large tag", "CommandComplete " + std::string(large, 'x'), false},
    {"a notice", "NoticeResponse NOTICE 00000 " + std::string(9000, 'x'), false},
};

TEST(Backend, KeepsNoLargeMessage) {
    for (const LargeCase& c : large_cases) {
        SCOPED_TRACE(c.name);
        Backend backend;
        backend.pipeline().push({Request::query, Reply::forward, {}, {}});
        const std::string said = replies(c.said);
        const Bytes begin = Bytes(said).substr(0, 8000);
        Segments out;
        const auto taken = backend.scan(begin, out);
        ASSERT_TRUE(taken.has_value());
        EXPECT_EQ(*taken, c.whole ? 0u : begin.size());
        EXPECT_EQ(out.joined(), begin.substr(0, *taken));
        EXPECT_EQ(scan(backend, Bytes(said).substr(*taken)), said.substr(*taken));
        EXPECT_EQ(backend.findings().parameters.empty(), c.said[0] != 'P' || !c.whole);
        scan(backend, replies("ReadyForQuery idle"));
        EXPECT_TRUE(backend.settled());
    }
}

// ---------------------------------------------------------------- answers made here

TEST(Backend, FlushesFakesOnlyWhenNothingComesBefore) {
    Backend backend;
    Segments out;
    backend.flush_fakes(out);
    EXPECT_TRUE(out.empty());

    backend.pipeline().push({Request::sync, Reply::forward, {}, {}});
    backend.pipeline().push({Request::parse, Reply::fake, {}, {}});
    backend.flush_fakes(out);
    EXPECT_TRUE(out.empty());

    scan(backend, replies("ReadyForQuery idle"));
    EXPECT_TRUE(backend.pipeline().empty());
    backend.pipeline().push({Request::parse, Reply::fake, {}, {}});
    backend.pipeline().push({Request::close, Reply::fake, {}, {}});
    backend.flush_fakes(out);
    EXPECT_EQ(spoken_replies(out.joined()), (Spoken{"ParseComplete", "CloseComplete"}));
    EXPECT_TRUE(backend.settled());
}

}  // namespace
}  // namespace pgweir::tests

// What a client says, and what of it a server hears (proxy/frontend).
#include "proxy/frontend.hpp"

#include <gtest/gtest.h>

#include "tests/unit/splits.hpp"
#include "tests/unit/spoken.hpp"

namespace pgweir::tests {
namespace {

using protocol::Reply;
using protocol::Request;
using protocol::Segments;
using proxy::Frontend;

/// A client linked to a server that answers when it is told to.
class Linked {
public:
    explicit Linked(std::size_t server_max) {
        rules.server_max = server_max;
        rules.table = &table_;
    }

    /// False when it was refused.
    bool say(Bytes bytes) {
        unread_.add(bytes);
        Segments out;
        const auto step = frontend.translate(unread_.view(), rules, server, out);
        sent += out.joined();
        if (!step) {
            error = step.error().message;
            return false;
        }
        unread_.take(step->consumed);
        terminated |= step->terminate;
        client_parses += step->client_parses;
        server_parses += step->server_parses;
        binds += step->binds;
        Segments fakes;
        server.flush_fakes(fakes);
        heard += fakes.joined();
        undecided_ = step->undecided;
        return true;
    }

    /// All that is outstanding works; no transaction is open then, or one has failed.
    void answer(protocol::TxStatus tx = protocol::TxStatus::idle) {
        std::optional<Request> next;
        for (int left = 100; left > 0 && (next = next_request()); --left) {
            if (::testing::Test::HasFatalFailure()) return;
            std::string reply(answer_to(*next));
            if (reply.ends_with('Z')) {
                reply.pop_back();
                reply = replies(reply);
                protocol::write_ready_for_query(reply, tx);
            } else {
                reply = replies(reply);
            }
            hear(reply);
        }
    }

    void hear(Bytes bytes) {
        unheard_.add(bytes);
        Segments out;
        const auto taken = server.scan(unheard_.view(), out);
        ASSERT_TRUE(taken.has_value()) << taken.error().message;
        heard += out.joined();
        unheard_.take(*taken);
        frontend.statements().undo(server.pipeline().undone());
        if (server.findings().discarded_all) frontend.statements().discard_all(server.pipeline());
        if (undecided_) say("");
    }

    /// Another server, that knows nothing.
    void change_server() { server = {}; }
    std::size_t unread() const { return unread_.view().size(); }

private:
    /// What the server has to answer next.
    std::optional<Request> next_request() {
        std::optional<Request> next;
        server.pipeline().for_each([&](const protocol::Outstanding& o) {
            if (!next && o.reply != Reply::fake) next = o.request;
        });
        return next;
    }

    static std::string_view answer_to(Request request) {
        switch (request) {
            case Request::query: return "CommandComplete X; Z";
            case Request::function_call: return "FunctionCallResponse 1; Z";
            case Request::sync: return "Z";
            case Request::parse: return "ParseComplete";
            case Request::bind: return "BindComplete";
            case Request::describe_statement: return "ParameterDescription; NoData";
            case Request::describe_portal: return "NoData";
            case Request::execute: return "CommandComplete X";
            case Request::close: return "CloseComplete";
            case Request::copy_end: break;
        }
        return "NoticeResponse NOTICE 00000 x";
    }

    protocol::StatementTable table_;
    Unread unread_, unheard_;
    bool undecided_ = false;

public:
    proxy::RequestRules rules;
    Frontend frontend;
    pool::Backend server;
    std::string sent, heard, error;
    bool terminated = false;
    unsigned client_parses = 0, server_parses = 0, binds = 0;
};

struct FrontendCase {
    const char* name;
    std::size_t server_max;
    const char* before;  // said before, and answered
    const char* said;
    const char* sent;
    const char* heard = "";  // without the server's help
    bool waits = false;      // the rest: what it means is undecided
};

constexpr const char* same = nullptr;  // sent is what was said

const FrontendCase frontend_cases[] = {
    {"a query", 9, "", "Query 'select 1'; Query ''", same},
    {"the unnamed statement", 9, "",
     "Parse '' 'select $1' [23]; Bind '' '' [1 null 'a b']; Describe S ''; Describe P ''; "
     "Execute '' 5; Close S ''; Close P ''; Flush; Sync",
     same},
    {"portals have the client's names", 9, "", "Describe P p; Execute p; Close P p; Sync", same},
    {"function call", 9, "", "FunctionCall 177 [1 2]", same},
    {"copy", 9, "", "Query copy; CopyData a; CopyData b; CopyDone; CopyFail no", same},
    {"what comes after goodbye is not sent", 9, "", "Query a; Terminate; Query b", "Query a"},

    {"names are ours on the server", 9, "", "Parse s 'select $1' [23]; Sync",
     "Parse PGWEIR_1 'select $1' [23]; Sync"},
    {"a batch", 9, "",
     "Parse s 'select $1'; Describe S s; Bind p s [1]; Describe P p; Execute p; Sync",
     "Parse PGWEIR_1 'select $1'; Describe S PGWEIR_1; Bind p PGWEIR_1 [1]; Describe P p; "
     "Execute p; Sync"},
    {"known to the server, it is not asked", 9, "Parse s a; Sync", "Parse t a", "",
     "ParseComplete"},
    {"but when the types differ", 9, "Parse s a; Sync", "Parse t a [23]", "Parse PGWEIR_2 a [23]"},
    {"or the text does", 9, "Parse s a; Sync", "Parse t 'a '", "Parse PGWEIR_2 'a '"},
    {"closing is not for the server", 9, "Parse s a; Sync", "Close S s", "", "CloseComplete"},
    {"nor is closing what there never was", 9, "", "Close S s", "", "CloseComplete"},
    {"prepared again under its name", 9, "Parse s a; Sync; Close S s; Sync", "Parse s b; Bind '' s",
     "Parse PGWEIR_2 b; Bind '' PGWEIR_2"},
    {"closed, it is not there", 9, "Parse s a; Sync; Close S s; Sync", "Bind '' s",
     "Bind '' PGWEIR_0"},
    {"unknown names", 9, "", "Bind '' s; Describe S s", "Bind '' PGWEIR_0; Describe S PGWEIR_0"},
    {"a name that is taken", 9, "Parse s a; Sync", "Parse s b [23]; Bind '' s",
     "Parse PGWEIR_TAKEN b [23]; Parse PGWEIR_TAKEN b [23]; Bind '' PGWEIR_1"},
    {"even for the same", 9, "Parse s a; Sync", "Parse s a",
     "Parse PGWEIR_TAKEN a; Parse PGWEIR_TAKEN a"},
    {"names that look like ours", 9, "Parse PGWEIR_7 a; Sync", "Bind '' PGWEIR_7; Bind '' PGWEIR_1",
     "Bind '' PGWEIR_1; Bind '' PGWEIR_0"},
    {"names are passed on when none are kept", 0, "",
     "Parse s a; Bind '' s; Describe S s; Close S s; Sync", same},

    {"the least recently used goes", 2, "Parse s a; Parse t b; Bind '' s; Sync", "Parse u c",
     "Close S PGWEIR_2; Parse PGWEIR_3 c"},
    {"and comes back when it is used", 2, "Parse s a; Parse t b; Parse u c; Sync", "Bind '' s",
     "Close S PGWEIR_2; Parse PGWEIR_1 a; Bind '' PGWEIR_1"},
    {"there may be as few as one", 1, "Parse s a; Sync", "Parse t b; Bind '' s; Bind '' t",
     "Close S PGWEIR_1; Parse PGWEIR_2 b; Close S PGWEIR_2; Parse PGWEIR_1 a; Bind '' PGWEIR_1; "
     "Close S PGWEIR_1; Parse PGWEIR_2 b; Bind '' PGWEIR_2"},

    {"in the batch of its Parse a statement is there", 9, "", "Parse s a; Bind '' s; Bind '' s",
     "Parse PGWEIR_1 a; Bind '' PGWEIR_1; Bind '' PGWEIR_1"},
    {"in the next it may have been skipped", 9, "", "Parse s a; Sync; Bind '' s; Bind '' s; Sync",
     "Parse PGWEIR_1 a; Sync", "", true},
    {"a Parse behind a Sync: it may be there still", 1, "Parse s a; Sync",
     "Parse t b; Sync; Bind '' s",
     "Close S PGWEIR_1; Parse PGWEIR_2 b; Sync; Close S PGWEIR_2; Close S PGWEIR_1; "
     "Parse PGWEIR_1 a; Bind '' PGWEIR_1"},
    {"behind DISCARD ALL all waits", 9, "Parse s a; Sync",
     "Query ' Discard all'; Parse t a; Bind '' t", "Query ' Discard all'", "", true},
    {"and behind DEALLOCATE ALL", 9, "Parse s a; Sync", "Query 'deallocate all'; Bind '' s",
     "Query 'deallocate all'", "", true},
    {"but behind nothing else", 9, "Parse s a; Sync", "Query 'disc'; Query 'select'; Bind '' s",
     "Query 'disc'; Query 'select'; Bind '' PGWEIR_1"},
};

void play(const FrontendCase& c, const std::vector<Bytes>& pieces) {
    Linked linked(c.server_max);
    ASSERT_TRUE(linked.say(requests(c.before)));
    linked.answer();
    linked.sent.clear();
    linked.heard.clear();
    for (const Bytes piece : pieces) ASSERT_TRUE(linked.say(piece)) << linked.error;

    const char* const sent = c.sent == same ? c.said : c.sent;
    EXPECT_EQ(spoken_requests(linked.sent), spoken_requests(requests(sent)));
    EXPECT_EQ(spoken_replies(linked.heard), spoken_replies(replies(c.heard)));
    EXPECT_EQ(linked.unread() > 0, c.waits);
    EXPECT_FALSE(linked.frontend.mid_message());
    if (c.sent == same) {
        EXPECT_EQ(linked.sent, requests(c.said)) << "not the same bytes";
    }
}

TEST(Frontend, Translates) {
    for (const FrontendCase& c : frontend_cases) {
        SCOPED_TRACE(c.name);
        const std::string said = requests(c.said);
        if (std::string_view(c.said).find("Terminate") != Bytes::npos) {
            play(c, {Bytes(said)});  // in pieces, Link would have gone with the first
            continue;
        }
        for_each_split(said, [&](const std::vector<Bytes>& pieces) { play(c, pieces); });
    }
}

// ---------------------------------------------------------------- what a server knows

TEST(Frontend, StatementsFollowTheClient) {
    Linked linked(9);
    linked.say(requests("Parse s 'select 1'; Sync"));
    linked.answer();
    linked.change_server();
    linked.sent.clear();
    linked.heard.clear();

    linked.say(requests("Describe S s; Bind '' s; Sync"));
    EXPECT_EQ(spoken_requests(linked.sent),
              (Spoken{"Parse PGWEIR_1 \"select 1\"", "Describe S PGWEIR_1", "Bind \"\" PGWEIR_1",
                      "Sync"}));
    linked.answer();
    EXPECT_EQ(spoken_replies(linked.heard),
              (Spoken{"ParameterDescription", "NoData", "BindComplete", "ReadyForQuery idle"}));
}

TEST(Frontend, InAFailedTransactionPostgresqlDecides) {
    Linked linked(9);
    linked.say(requests("Parse s a; Sync"));
    linked.answer(protocol::TxStatus::failed);
    linked.sent.clear();
    linked.say(requests("Parse t a"));
    EXPECT_EQ(spoken_requests(linked.sent), (Spoken{"Close S PGWEIR_1", "Parse PGWEIR_1 \"a\""}));
}

// ---------------------------------------------------------------- names

struct NamesCase {
    const char* name;
    const char* said;   // all at once; prepared before and answered: a and b
    const char* heard;  // from the server
    const char* names;  // that the client has then, of a b c
};

const NamesCase names_cases[] = {
    {"both are there", "Sync", "ReadyForQuery idle", "ab"},
    {"one more", "Parse c z; Sync", "ParseComplete; ReadyForQuery idle", "abc"},
    {"one less", "Close S a; Sync", "ReadyForQuery idle", "b"},
    {"it was no statement", "Parse c z; Sync", "ErrorResponse ERROR 42601 no; ReadyForQuery idle",
     "ab"},
    {"it was skipped", "Bind '' a; Parse c z; Sync",
     "ErrorResponse ERROR 42601 no; ReadyForQuery idle", "ab"},
    {"so was a faked one", "Execute ''; Parse c y; Close S a; Sync",
     "ErrorResponse ERROR 34000 no; ReadyForQuery idle", "ab"},
    {"closed and prepared again, all skipped", "Bind '' a; Close S a; Parse a z; Sync",
     "ErrorResponse ERROR 42601 no; ReadyForQuery idle", "ab"},
    {"prepared and closed, all skipped", "Bind '' a; Parse c z; Close S c; Sync",
     "ErrorResponse ERROR 42601 no; ReadyForQuery idle", "ab"},
    {"the batch behind is not", "Bind '' a; Parse c z; Sync; Close S b; Sync",
     "ErrorResponse ERROR 42601 no; ReadyForQuery idle; ReadyForQuery idle", "a"},
    {"prepared in one, closed in the next, both fail",
     "Bind '' a; Parse c z; Sync; Bind '' a; Close S c; Sync",
     "ErrorResponse ERROR 1 no; ReadyForQuery idle; ErrorResponse ERROR 2 no; ReadyForQuery idle",
     "ab"},
    {"the name that was taken stays", "Parse a z; Sync",
     "ParseComplete; ErrorResponse ERROR 42P05 no; ReadyForQuery idle", "ab"},

    {"discarded", "Query 'discard all'", "CommandComplete 'DISCARD ALL'; ReadyForQuery idle", ""},
    {"not discarded", "Query 'discard all'", "ErrorResponse ERROR 25001 no; ReadyForQuery idle",
     "ab"},
    {"prepared behind it", "Query 'discard all'; Parse c z; Sync",
     "CommandComplete 'DISCARD ALL'; ReadyForQuery idle", "c"},
    {"and answered as well", "Query 'discard all'; Parse c z; Sync",
     "CommandComplete 'DISCARD ALL'; ReadyForQuery idle; ParseComplete; ReadyForQuery idle", "c"},
    {"prepared and closed behind it", "Query 'discard all'; Parse c z; Close S c; Sync",
     "CommandComplete 'DISCARD ALL'; ReadyForQuery idle", ""},
    {"closed behind it, but that is skipped", "Query 'discard all'; Bind '' a; Close S a; Sync",
     "CommandComplete 'DISCARD ALL'; ReadyForQuery idle; ErrorResponse ERROR 26000 no", ""},
    {"the same in one go", "Query 'discard all'; Parse c z; Bind '' a; Close S c; Sync",
     "CommandComplete 'DISCARD ALL'; ReadyForQuery idle; ParseComplete; "
     "ErrorResponse ERROR 26000 no",
     "c"},
    {"twice", "Query 'discard all'; Parse c z; Sync; Query 'discard all'",
     "CommandComplete 'DISCARD ALL'; ReadyForQuery idle; ParseComplete; ReadyForQuery idle; "
     "CommandComplete 'DISCARD ALL'; ReadyForQuery idle",
     ""},
};

std::string names_of(const Frontend& frontend) {
    std::string names;
    for (const char* name : {"a", "b", "c"}) {
        if (frontend.statements().names().find(name)) names += name;
    }
    return names;
}

TEST(Frontend, KeepsNames) {
    for (const NamesCase& c : names_cases) {
        SCOPED_TRACE(c.name);
        Linked linked(9);
        linked.say(requests("Parse a x; Parse b y; Sync"));
        linked.answer();
        linked.say(requests(c.said));
        for (const char& byte : replies(c.heard)) linked.hear({&byte, 1});
        EXPECT_EQ(names_of(linked.frontend), c.names);
        EXPECT_EQ(linked.frontend.statements().names().size(), std::string_view(c.names).size());
    }
}

// ---------------------------------------------------------------- what is refused

struct RefusalCase {
    const char* name;
    const char* said;
    const char* error;  // nullptr: it is not
};

constexpr RefusalCase refusal_cases[] = {
    {"a query", "Query a", nullptr},
    {"a password", "Raw 'psecret\\0'", "invalid frontend message type 112"},
    {"a server's message", "Raw ZI", "invalid frontend message type 90"},
    {"type zero", "Raw '\\0'", "invalid frontend message type 0"},
    {"a Parse without types", "Raw 'Ps\\0a\\0'", "invalid Parse message"},
    {"a Parse without anything", "Raw P", "invalid Parse message"},
    {"a Bind without names", "Raw Bs", "invalid string in message"},
    {"a Bind of nothing", "Raw B", "invalid string in message"},
    {"a Describe of what", "Raw 'DXs\\0'", "invalid Describe or Close message"},
    {"a Close without end", "Raw CSs", "invalid Describe or Close message"},
    {"a Bind whose values are PostgreSQL's business", "Raw 'B\\0s\\0\\xff'", nullptr},
    {"an unnamed Parse likewise", "Raw 'P\\0a'", nullptr},
};

TEST(Frontend, RefusesWhatIsNoMessage) {
    for (const RefusalCase& c : refusal_cases) {
        SCOPED_TRACE(c.name);
        Linked linked(9);
        EXPECT_EQ(linked.say(requests(c.said)), c.error == nullptr);
        EXPECT_EQ(linked.error, c.error ? c.error : "");
    }
}

TEST(Frontend, HasLimits) {
    Linked linked(9);
    linked.rules.message_max = 100;
    EXPECT_TRUE(linked.say(requests("Query " + std::string(99, 'x'))));
    EXPECT_FALSE(linked.say(requests("Query " + std::string(100, 'x'))));
    EXPECT_EQ(linked.error, "message too large");

    Linked extended_only(9);
    extended_only.rules.simple_query = false;
    EXPECT_TRUE(extended_only.say(requests("Parse '' a; Sync")));
    EXPECT_FALSE(extended_only.say(requests("Query a")));

    Linked names(9);
    const std::string bind = requests("Bind p " + std::string(70'000, 's'));
    EXPECT_FALSE(names.say(Bytes(bind).substr(0, 69'000)));
    EXPECT_EQ(names.error, "name too long");

    Linked text(9);
    EXPECT_FALSE(text.say(Bytes("P\x04\1\0\0s\0", 7)));
    EXPECT_EQ(text.error, "prepared statement too large");
    Linked unnamed(9);
    EXPECT_TRUE(unnamed.say(Bytes("P\x04\1\0\0\0", 6)));
}

TEST(Frontend, Counts) {
    Linked linked(9);
    linked.say(requests("Parse '' a; Parse s a; Parse t a; Bind '' ''; Bind '' s; Sync"));
    EXPECT_EQ(linked.client_parses, 2u);  // of s and t; they have the same text
    EXPECT_EQ(linked.server_parses, 1u);
    EXPECT_EQ(linked.binds, 1u);
}

}  // namespace
}  // namespace pgweir::tests

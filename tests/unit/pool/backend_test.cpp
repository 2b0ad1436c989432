// What a server says, and what of it the client hears (pool/backend).
#include "pool/backend.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "tests/unit/splits.hpp"
#include "tests/unit/spoken.hpp"

namespace pgweir::tests {
namespace {

using pool::Backend;
using protocol::NamedStatement;
using protocol::NamedStatementPtr;
using protocol::Outstanding;
using protocol::Reply;
using protocol::Request;
using protocol::Segments;

struct Letter {
    char letter;
    Request request;
};

constexpr Letter letters[] = {
    {'Q', Request::query},   {'F', Request::function_call},
    {'S', Request::sync},    {'P', Request::parse},
    {'B', Request::bind},    {'D', Request::describe_statement},
    {'E', Request::execute}, {'d', Request::describe_portal},
    {'C', Request::close},
};

Request request_of(char letter) {
    for (const Letter& l : letters) {
        if (l.letter == letter) return l.request;
    }
    throw std::invalid_argument(std::string("no request: ") + letter);
}

/// A Backend, what it is asked, what it says. Statements are called as their SQL: the first one
/// that is named is PGWEIR_1 on the server.
class Talk {
public:
    /// Letters of the requests; f: faked, s: skipped; `:x` statement x under the client's name `my
    /// x`, `:?x` a statement that the client does not have.
    void ask(const std::string& text) {
        if (text == "c") return backend.pipeline().push_copy_end();
        Outstanding o{request_of(text[0]), Reply::forward, {}, {}};
        if (text.substr(1).starts_with("f")) o.reply = Reply::fake;
        if (text.substr(1).starts_with("s")) o.reply = Reply::skip;
        const std::size_t colon = text.find(':');
        if (colon != text.npos) name(o, text.substr(colon + 1));
        backend.pipeline().push(std::move(o));
    }

    /// False when it was refused.
    bool say(Bytes bytes) {
        unread_.add(bytes);
        while (true) {
            const bool scanned = scan();
            if (!scanned || !backend.findings().own_ready || backend.settled()) return scanned;
        }
    }

private:
    bool scan() {
        Segments out;
        const auto taken = backend.scan(unread_.view(), out);
        heard += out.joined();
        if (!taken) return false;
        unread_.take(*taken);
        const Backend::Findings& found = backend.findings();
        if (found.ready) findings += " ready";
        if (found.own_ready) findings += " own_ready";
        if (found.discarded_all) findings += " discarded";
        if (found.fatal) findings += " fatal";
        const auto answer = backend.take_own_answer();
        if (answer.error) findings += " own_error=" + answer.error->message;
        for (const auto& [name, value] : found.parameters) findings += ' ' + name + '=' + value;
        return true;
    }

public:
    /// What can still be said when all has been: nothing may be kept back.
    std::size_t unread() const { return unread_.view().size(); }

    std::string undone() {
        std::string text;
        for (const Outstanding& o : backend.pipeline().undone()) {
            for (const Letter& l : letters) {
                if (l.request == o.request) text += l.letter;
            }
        }
        return text;
    }

private:
    void name(Outstanding& o, const std::string& text) {
        if (text[0] == '?') {
            o.named = new NamedStatement("my " + text.substr(1), {});
            return;
        }
        const protocol::StatementPtr statement = table_.intern(text, "");
        if (o.reply != Reply::skip) o.named = new NamedStatement("my " + text, statement);
        if (o.request != Request::parse && o.request != Request::close) return;
        if (o.reply == Reply::fake) return;
        o.statement = statement;
        const std::uint64_t batch = backend.pipeline().batch();
        if (o.request == Request::parse) backend.statements().add(statement, batch);
    }

    protocol::StatementTable table_;
    Unread unread_;

public:
    Backend backend;
    std::string heard;
    std::string findings;  // of every scan, in order
};

struct BackendCase {
    const char* name;
    const char* asked;
    const char* said;
    const char* heard;
    const char* findings;
    bool settled;
};

constexpr const char* same = nullptr;  // heard is what was said

const BackendCase backend_cases[] = {
    {"a query", "Q",
     "RowDescription a b; DataRow 1 2; DataRow 3 4; CommandComplete 'SELECT 2'; ReadyForQuery idle",
     same, "ready", true},
    {"several statements in one", "Q",
     "CommandComplete BEGIN; RowDescription a; CommandComplete 'SELECT 0'; EmptyQueryResponse; "
     "ReadyForQuery transaction",
     same, "ready", true},
    {"an empty query", "Q", "EmptyQueryResponse; ReadyForQuery idle", same, "ready", true},
    {"a query that fails half way", "Q",
     "DataRow 1; ErrorResponse ERROR 22012 'division by zero'; ReadyForQuery failed", same, "ready",
     true},
    {"a function call", "F", "FunctionCallResponse 7; ReadyForQuery idle", same, "ready", true},
    {"one that fails", "F", "ErrorResponse ERROR 42883 'no such'; ReadyForQuery idle", same,
     "ready", true},
    {"a batch", "P B d E S",
     "ParseComplete; BindComplete; RowDescription a; DataRow 1; CommandComplete 'SELECT 1'; "
     "ReadyForQuery idle",
     same, "ready", true},
    {"describe", "D D d d S",
     "ParameterDescription [23]; RowDescription a; ParameterDescription; NoData; RowDescription a; "
     "NoData; ReadyForQuery idle",
     same, "ready", true},
    {"portal suspended", "E E E S",
     "DataRow 1; PortalSuspended; DataRow 2; PortalSuspended; CommandComplete 'SELECT 0'; "
     "ReadyForQuery idle",
     same, "ready", true},
    {"an empty statement", "E S", "EmptyQueryResponse; ReadyForQuery idle", same, "ready", true},
    {"close", "C C S", "CloseComplete; CloseComplete; ReadyForQuery idle", same, "ready", true},
    {"not over yet", "Q Q", "CommandComplete X; ReadyForQuery idle", same, "ready", false},
    {"a batch without its Sync", "P B", "ParseComplete; BindComplete", same, "", false},
    {"an error at the Sync", "S", "ErrorResponse ERROR 23503 deferred; ReadyForQuery idle", same,
     "ready", true},
    {"an error skips to the Sync", "P B E S B E S",
     "ErrorResponse ERROR 42601 syntax; ReadyForQuery idle; BindComplete; CommandComplete X; "
     "ReadyForQuery idle",
     same, "ready", true},
    {"an error before the Sync", "P B E", "ErrorResponse ERROR 42601 syntax", same, "", false},

    {"copy out", "Q",
     "CopyOutResponse; CopyData a; CopyData b; CopyDone; CommandComplete 'COPY 2'; "
     "ReadyForQuery idle",
     same, "ready", true},
    {"copy out, extended", "E S",
     "CopyOutResponse; CopyData a; CopyDone; CommandComplete 'COPY 1'; ReadyForQuery idle", same,
     "ready", true},
    {"copy in that fails before its end comes", "Q",
     "CopyInResponse; ErrorResponse ERROR 22P04 bad; ReadyForQuery idle", same, "ready", true},
    {"copy in whose end came first", "Q c",
     "CopyInResponse; CommandComplete 'COPY 0'; ReadyForQuery idle", same, "ready", true},
    {"an end that came first, of none", "Q c", "ErrorResponse ERROR 42P01 none; ReadyForQuery idle",
     same, "ready", true},
    {"the same before a fake", "Q c Cf", "ErrorResponse ERROR 42P01 none; ReadyForQuery idle",
     "ErrorResponse ERROR 42P01 none; ReadyForQuery idle; CloseComplete", "ready", true},
    {"both ways", "Q", "CopyBothResponse; CopyData a; CopyDone; CommandComplete X", same, "",
     false},
    {"copy in, extended, its Sync read over", "E S c S",
     "CopyInResponse; CommandComplete 'COPY 0'; ReadyForQuery idle", same, "ready", true},
    {"not read over after all", "E S",
     "CopyInResponse; ErrorResponse ERROR 42809 view; ReadyForQuery idle", same, "ready", true},
    {"it is not known whether", "E S c S",
     "CopyInResponse; ErrorResponse ERROR 22P04 bad; ReadyForQuery idle", same, "ready", false},
    {"until something else is answered", "E S c S Q",
     "CopyInResponse; ErrorResponse ERROR 22P04 bad; ReadyForQuery idle; CommandComplete X; "
     "ReadyForQuery idle",
     same, "ready", true},
    {"or both are", "E S c S Q",
     "CopyInResponse; ErrorResponse ERROR 42809 view; ReadyForQuery idle; ReadyForQuery idle; "
     "ErrorResponse ERROR 42601 no; ReadyForQuery idle",
     same, "ready", true},

    {"notices, notifications and parameters come at any time", "P S",
     "NoticeResponse NOTICE 00000 a; ParseComplete; NotificationResponse ch x; ParameterStatus a "
     "b; "
     "ReadyForQuery idle; NoticeResponse WARNING 01000 b; NotificationResponse ch y; "
     "ParameterStatus c d",
     same, "a=b ready c=d", true},
    {"also before anything is asked", "",
     "NoticeResponse NOTICE 00000 a; NotificationResponse ch x; ParameterStatus a b", same, "a=b",
     true},
    {"also before the answer to what the client did not ask", "Ps B S",
     "NoticeResponse NOTICE 00000 a; ParameterStatus a b; ParseComplete; BindComplete; "
     "ReadyForQuery idle",
     "NoticeResponse NOTICE 00000 a; ParameterStatus a b; BindComplete; ReadyForQuery idle",
     "a=b ready", true},
    {"the end of a server", "Q", "ErrorResponse FATAL 57P01 shutdown", same, "fatal", false},
    {"the end of an idle server", "", "ErrorResponse FATAL 57P01 shutdown", same, "fatal", true},
    {"the end within a batch that is not the client's alone", "Ps B S",
     "ErrorResponse PANIC XX000 crash", same, "fatal", false},

    {"a query of our own", "Qs",
     "RowDescription a; DataRow 1; CommandComplete SET; ReadyForQuery idle", "", "own_ready", true},
    {"what comes with it", "Qs",
     "NoticeResponse WARNING 25P01 none; ParameterStatus a b; NotificationResponse ch x; "
     "CommandComplete SET; ReadyForQuery idle",
     "", "a=b own_ready", true},
    {"its error", "Qs", "ErrorResponse ERROR 22023 bad; ReadyForQuery idle", "",
     "own_ready own_error=bad", true},
    {"its server's end", "Qs", "ErrorResponse FATAL 57P01 shutdown", "", "fatal", false},

    {"faked answers come in their turn", "Pf:a Bs:a E Cf:a S",
     "BindComplete; DataRow 1; CommandComplete X; ReadyForQuery idle",
     "ParseComplete; DataRow 1; CommandComplete X; CloseComplete; ReadyForQuery idle", "ready",
     true},
    {"also when nothing comes any more", "S Pf:a Cf:a", "ReadyForQuery idle",
     "ReadyForQuery idle; ParseComplete; CloseComplete", "ready", true},
    {"also behind one that comes in parts", "D Cf:a", "ParameterDescription; RowDescription a",
     "ParameterDescription; RowDescription a; CloseComplete", "", false},
    {"injected ones are not heard", "Cs Cs Ps:a B:a E S",
     "CloseComplete; CloseComplete; ParseComplete; BindComplete; CommandComplete X; "
     "ReadyForQuery idle",
     "BindComplete; CommandComplete X; ReadyForQuery idle", "ready", true},
    {"but their errors are, for what they were for", "Ps:a B:a E S",
     "ErrorResponse ERROR 42P01 'relation \"t\" does not exist'; ReadyForQuery idle", same, "ready",
     true},
    {"a fake is void after an error", "P Pf:a Cf:a S",
     "ErrorResponse ERROR 42601 syntax; ReadyForQuery idle", same, "ready", true},
    {"a fake before the error is not", "Pf:a B Cf:a S",
     "ErrorResponse ERROR 26000 none; ReadyForQuery idle",
     "ParseComplete; ErrorResponse ERROR 26000 none; ReadyForQuery idle", "ready", true},

    {"errors have the client's name", "B:a S",
     "ErrorResponse ERROR 08P01 'statement \"PGWEIR_1\" requires 1'; ReadyForQuery idle",
     "ErrorResponse ERROR 08P01 'statement \"my a\" requires 1'; ReadyForQuery idle", "ready",
     true},
    {"and keep their details", "P:a S",
     "ErrorResponse ERROR 42601 'at \"x\"' 'of \"PGWEIR_1\"'; ReadyForQuery idle",
     "ErrorResponse ERROR 42601 'at \"x\"' 'of \"PGWEIR_1\"'; ReadyForQuery idle", "ready", true},
    {"unknown to the client", "B:?a S",
     "ErrorResponse ERROR 26000 'statement \"PGWEIR_0\" does not exist'; ReadyForQuery idle",
     "ErrorResponse ERROR 26000 'statement \"my a\" does not exist'; ReadyForQuery idle", "ready",
     true},
    {"described, unknown", "D:?a S", "ErrorResponse ERROR 26000 '\"PGWEIR_0\"'; ReadyForQuery idle",
     "ErrorResponse ERROR 26000 '\"my a\"'; ReadyForQuery idle", "ready", true},
    {"given twice", "P:?a S",
     "ErrorResponse ERROR 42P05 'statement \"PGWEIR_TAKEN\" already exists'; ReadyForQuery idle",
     "ErrorResponse ERROR 42P05 'statement \"my a\" already exists'; ReadyForQuery idle", "ready",
     true},
    {"a name is not looked for within another", "B:a S",
     "ErrorResponse ERROR 26000 '\"PGWEIR_11\" and PGWEIR_1'; ReadyForQuery idle", same, "ready",
     true},
    {"an error that is not about a statement", "E S",
     "ErrorResponse ERROR 22012 '\"PGWEIR_1\"'; ReadyForQuery idle", same, "ready", true},

    {"discard all", "Q", "CommandComplete 'DISCARD ALL'; ReadyForQuery idle", same,
     "discarded ready", true},
    {"deallocate all, extended", "E S", "CommandComplete 'DEALLOCATE ALL'; ReadyForQuery idle",
     same, "discarded ready", true},
    {"discard all of our own", "Qs", "CommandComplete 'DISCARD ALL'; ReadyForQuery idle", "",
     "discarded own_ready", true},
    {"other discards", "Q",
     "CommandComplete 'DISCARD PLANS'; CommandComplete DEALLOCATE; "
     "CommandComplete 'DISCARD ALLES'; ReadyForQuery idle",
     same, "ready", true},
};

void play(const BackendCase& c, const std::vector<Bytes>& pieces) {
    Talk talk;
    std::istringstream asked(c.asked);
    for (std::string request; asked >> request;) talk.ask(request);
    for (const Bytes piece : pieces) ASSERT_TRUE(talk.say(piece));

    EXPECT_EQ(talk.unread(), 0u);
    EXPECT_EQ(spoken_replies(talk.heard),
              spoken_replies(replies(c.heard == same ? c.said : c.heard)));
    EXPECT_EQ(talk.backend.settled(), c.settled);
}

/// Each finding once: in how many scans a stream came is not the row's business.
std::string findings_of(const BackendCase& c) {
    Talk talk;
    std::istringstream asked(c.asked);
    for (std::string request; asked >> request;) talk.ask(request);
    EXPECT_TRUE(talk.say(replies(c.said)));
    std::istringstream found(talk.findings);
    std::string text;
    for (std::string word; std::getline(found, word, ' ');) {
        if (!word.empty()) text += (text.empty() ? "" : " ") + word;
    }
    return text;
}

std::string sorted(std::string_view text) {
    std::istringstream words{std::string(text)};
    std::vector<std::string> all;
    for (std::string word; words >> word;) all.push_back(word);
    std::sort(all.begin(), all.end());
    std::string out;
    for (const std::string& word : all) out += word + ' ';
    return out;
}

TEST(Backend, PassesOnWhatWasAsked) {
    for (const BackendCase& c : backend_cases) {
        SCOPED_TRACE(c.name);
        for_each_split(replies(c.said), [&](const std::vector<Bytes>& pieces) { play(c, pieces); });
        EXPECT_EQ(sorted(findings_of(c)), sorted(c.findings));
    }
}

/// However it comes: what was answered before is heard, of the block no more than what had come
/// before it was known to be one, and no half message; nor does it matter what comes behind.
TEST(Backend, ForbidsBlocks) {
    const std::string before = replies("CommandComplete 'INSERT 0 1'; ReadyForQuery idle");
    const std::string begun = replies("DataRow 1; CommandComplete BEGIN");
    const std::string behind =
        replies("ReadyForQuery transaction; CommandComplete COMMIT; ReadyForQuery idle; DataRow 1");
    for_each_split(before + begun + behind, [&](const std::vector<Bytes>& pieces) {
        Talk talk;
        talk.backend.forbid_blocks(true);
        for (const char* const request : {"Q", "Q", "Q", "Q"}) talk.ask(request);
        for (const Bytes piece : pieces) {
            ASSERT_TRUE(talk.say(piece));
            if (talk.backend.findings().block) break;
        }
        ASSERT_TRUE(talk.backend.findings().block);
        EXPECT_EQ(talk.backend.passing(), 0u);
        ASSERT_LE(talk.heard.size(), before.size() + begun.size());
        EXPECT_EQ(talk.heard, (before + begun).substr(0, talk.heard.size()));
        EXPECT_GE(talk.heard.size(), before.size());
        if (pieces.size() == 1) EXPECT_EQ(talk.heard, before);
        Bytes rest = talk.heard;
        while (!rest.empty()) {
            const auto cut = protocol::cut_frame(rest, protocol::payload_size_max);
            ASSERT_TRUE(cut.cut == protocol::Cut::frame && cut.frame.missing == 0);
            rest.remove_prefix(cut.frame.size());
        }
    });
}

/// The answer to one request, which is not looked at message by message.
TEST(Backend, ForbidsABlockByItself) {
    Talk talk;
    talk.backend.forbid_blocks(true);
    talk.ask("Q");
    ASSERT_TRUE(talk.say(replies("CommandComplete BEGIN; ReadyForQuery transaction")));
    EXPECT_TRUE(talk.backend.findings().block);
    EXPECT_EQ(talk.heard, "");
}

/// What is forwarded is the server's own bytes, where they lie.
TEST(Backend, CopiesNothing) {
    Talk talk;
    talk.ask("Q");
    const std::string said = replies("DataRow 1; CommandComplete X; ReadyForQuery idle");
    Segments out;
    ASSERT_TRUE(talk.backend.scan(said, out));
    ASSERT_EQ(out.slices().size(), 1u);
    EXPECT_EQ(out.slices()[0].data(), said.data());
}

// ---------------------------------------------------------------- which answer fits which request

struct FitCase {
    const char* reply;
    const char* requests;  // that it may be an answer to
};

constexpr FitCase fit_cases[] = {
    {"DataRow 1", "QE"},
    {"CopyInResponse", "QE"},
    {"CopyOutResponse", "QE"},
    {"CopyBothResponse", "QE"},
    {"CopyData x", "QE"},
    {"CopyDone", "QE"},
    {"CommandComplete X", "QE"},
    {"EmptyQueryResponse", "QE"},
    {"RowDescription a", "QDd"},
    {"ParameterDescription", "D"},
    {"NoData", "Dd"},
    {"ParseComplete", "P"},
    {"BindComplete", "B"},
    {"CloseComplete", "C"},
    {"PortalSuspended", "E"},
    {"FunctionCallResponse 1", "F"},
    {"ReadyForQuery idle", "QFS"},
    {"ErrorResponse ERROR 42601 no", "QFSPBDdEC"},
    {"ErrorResponse FATAL 57P01 no", "-QFSPBDdEC"},
    {"NoticeResponse NOTICE 00000 no", "-QFSPBDdEC"},
    {"NotificationResponse a b", "-QFSPBDdEC"},
    {"ParameterStatus a b", "-QFSPBDdEC"},
    {"Raw 'R\\0\\0\\0\\0'", ""},      // AuthenticationOk
    {"Raw 'K\\0\\0\\0\\1abcd'", ""},  // BackendKeyData
    {"Raw 'v\\0\\3\\0\\0\\0\\0\\0\\0'", ""},
    {"Raw Q", ""},
    {"Raw '\\0'", ""},
    {"Raw ZX", ""},  // no status
    {"Raw ZII", ""},
    {"Raw Sx", ""},  // no strings
};

TEST(Backend, RefusesWhatWasNotAsked) {
    for (const FitCase& c : fit_cases) {
        for (const char front : std::string("-QFSPBDdEC")) {
            for (const char* const reply : {"", "s"}) {
                SCOPED_TRACE(std::string(c.reply) + " to " + front + reply);
                Talk talk;
                if (front != '-') talk.ask(front + std::string(reply));
                const bool fits = std::string(c.requests).find(front) != std::string::npos;
                EXPECT_EQ(talk.say(replies(c.reply)), fits);
            }
        }
    }
}

TEST(Backend, SaysWhatItRefuses) {
    Backend backend;
    Segments out;
    const auto taken = backend.scan(replies("DataRow 1"), out);
    ASSERT_TRUE(taken.has_error());
    EXPECT_EQ(taken.error().sqlstate, protocol::sqlstate::protocol_violation);
    EXPECT_EQ(taken.error().origin, protocol::Origin::server);
    EXPECT_EQ(taken.error().message, "unexpected message 'D' from server");

    const auto cut = Backend().scan(Bytes("D\0\0\0\3", 5), out);
    ASSERT_TRUE(cut.has_error());
    EXPECT_EQ(cut.error().origin, protocol::Origin::server);
}

}  // namespace
}  // namespace pgweir::tests

// A client without a server, and messages that come in parts (proxy/frontend).
#include <gtest/gtest.h>

#include "proxy/frontend.hpp"
#include "tests/unit/splits.hpp"
#include "tests/unit/spoken.hpp"

namespace pgweir::tests {
namespace {

using protocol::Segments;
using proxy::Frontend;

// ---------------------------------------------------------------- without a server

struct AloneCase {
    const char* name;
    const char* said;
    const char* heard;
    const char* left;  // for a server; nothing: none is wanted
    bool terminate = false;
};

constexpr const char* same = nullptr;  // all that was said is left

constexpr AloneCase alone_cases[] = {
    {"nothing", "", "", ""},
    {"a query", "Query a", "", same},
    {"a function call", "FunctionCall 1 []", "", same},
    {"the beginning of a batch", "Parse '' a; Sync", "", same},
    {"a Bind", "Bind '' ''; Sync", "", same},
    {"a Describe", "Describe S ''; Sync", "", same},
    {"an Execute", "Execute ''; Sync", "", same},
    {"a Close", "Close S ''; Sync", "", same},
    {"a Sync", "Sync", "ReadyForQuery idle", ""},
    {"two of them", "Sync; Sync", "ReadyForQuery idle; ReadyForQuery idle", ""},
    {"a Sync and a query", "Sync; Query a", "ReadyForQuery idle", "Query a"},
    {"Flush", "Flush; Flush", "", ""},
    {"what is left of a COPY", "CopyData a; CopyData b; CopyDone; Query a", "", "Query a"},
    {"and its failure", "CopyFail no; Sync", "ReadyForQuery idle", ""},
    {"goodbye", "Terminate", "", "", true},
    {"goodbye after all", "CopyDone; Sync; Terminate", "ReadyForQuery idle", "", true},
};

/// Says it piece by piece, until a server is wanted.
struct Alone {
    void say(Bytes bytes) {
        unread.add(bytes);
        Segments replies;
        const auto step = frontend.answer_alone(unread.view(), rules, replies);
        heard += replies.joined();
        ASSERT_TRUE(step.has_value());
        unread.take(step->consumed);
        terminate |= step->terminate;
        wants_server = step->wants_server;
    }

    proxy::RequestRules rules;
    Frontend frontend;
    Unread unread;
    std::string heard;
    bool terminate = false;
    bool wants_server = false;
};

TEST(FrontendAlone, AnswersWhatNeedsNoServer) {
    for (const AloneCase& c : alone_cases) {
        SCOPED_TRACE(c.name);
        for_each_split(requests(c.said), [&](const std::vector<Bytes>& pieces) {
            Alone alone;
            for (const Bytes piece : pieces) alone.say(piece);
            const std::string left = requests(c.left == same ? c.said : c.left);
            EXPECT_EQ(spoken_replies(alone.heard), spoken_replies(replies(c.heard)));
            EXPECT_EQ(alone.terminate, c.terminate);
            if (!c.terminate) {
                EXPECT_EQ(alone.unread.view(), left);
            }
            EXPECT_EQ(alone.wants_server, !left.empty());
        });
    }
}

TEST(FrontendAlone, RefusesWhatIsNoMessage) {
    for (const char* const said : {"Raw 'psecret\\0'", "Raw Z", "Raw '\\0'"}) {
        SCOPED_TRACE(said);
        Segments replies;
        EXPECT_TRUE(Frontend().answer_alone(requests(said), {}, replies).has_error());
    }
    Segments replies;
    proxy::RequestRules rules;
    rules.message_max = 10;
    EXPECT_TRUE(Frontend().answer_alone(requests("Query 1234567890"), rules, replies).has_error());
}

TEST(FrontendAlone, AServerIsForWhoHasSomethingToSay) {
    const std::string query = requests("Query " + std::string(100'000, 'x'));
    Alone alone;
    alone.say(Bytes(query).substr(0, 10'000));
    EXPECT_FALSE(alone.wants_server);
    alone.say(Bytes(query).substr(10'000, 10'000));
    EXPECT_TRUE(alone.wants_server);
    EXPECT_EQ(alone.unread.view().size(), 20'000u);
}

TEST(FrontendAlone, DropsWhatIsLeftOfALargeMessage) {
    const std::string data = requests("CopyData " + std::string(1000, 'x'));
    Alone alone;
    alone.say(Bytes(data).substr(0, 100));
    EXPECT_TRUE(alone.frontend.mid_message());
    EXPECT_EQ(alone.frontend.passing(), 0u) << "nobody may move the rest to a server";
    EXPECT_EQ(alone.unread.view().size(), 0u);
    alone.say(Bytes(data).substr(100));
    EXPECT_FALSE(alone.frontend.mid_message());
}

// ---------------------------------------------------------------- who no longer waits

struct DropCase {
    const char* name;
    const char* waiting;
    const char* later;
    const char* heard;
    const char* left;
};

constexpr DropCase drop_cases[] = {
    {"a query", "Query a", "", "ReadyForQuery idle", ""},
    {"a query and what is behind it", "Query a; Query b", "", "ReadyForQuery idle", "Query b"},
    {"a function call", "FunctionCall 1 []; Sync", "", "ReadyForQuery idle; ReadyForQuery idle",
     ""},
    {"a batch", "Parse '' a; Bind '' ''; Execute ''; Sync", "", "ReadyForQuery idle", ""},
    {"a batch that goes on", "Parse '' a", "Bind '' ''; Query a; Sync; Query b",
     "ReadyForQuery idle", "Query b"},
    {"only one batch", "Parse '' a; Sync; Parse '' b; Sync", "", "ReadyForQuery idle",
     "Parse '' b; Sync"},
};

TEST(FrontendAlone, DropsARequestThatWaits) {
    const protocol::Error error{protocol::sqlstate::query_canceled, protocol::Origin::client, "so"};
    for (const DropCase& c : drop_cases) {
        SCOPED_TRACE(c.name);
        for_each_split(requests(c.later), [&](const std::vector<Bytes>& pieces) {
            Alone alone;
            alone.say(requests(c.waiting));
            ASSERT_TRUE(alone.wants_server);
            Segments replies;
            alone.unread.take(alone.frontend.drop_request(alone.unread.view(), error, replies));
            alone.heard += replies.joined();
            alone.say("");
            for (const Bytes piece : pieces) alone.say(piece);

            const std::string heard = std::string("ErrorResponse ERROR 57014 so; ") + c.heard;
            EXPECT_EQ(spoken_replies(alone.heard), spoken_replies(tests::replies(heard)));
            EXPECT_EQ(spoken_requests(alone.unread.view()), spoken_requests(requests(c.left)));
        });
    }
}

TEST(FrontendAlone, DropsALargeQueryThatWaits) {
    const std::string query = requests("Query " + std::string(100'000, 'x'));
    Alone alone;
    alone.say(Bytes(query).substr(0, 50'000));
    ASSERT_TRUE(alone.wants_server);
    Segments replies;
    alone.unread.take(alone.frontend.drop_request(alone.unread.view(), {}, replies));
    EXPECT_EQ(alone.unread.view().size(), 0u);
    alone.say(Bytes(query).substr(50'000));
    alone.say(requests("Query b"));
    EXPECT_EQ(spoken_requests(alone.unread.view()), spoken_requests(requests("Query b")));
}

// ---------------------------------------------------------------- messages in parts

struct PartCase {
    const char* name;
    std::string said;
    bool kept;  // until all of it has come
};

const PartCase part_cases[] = {
    {"a query", "Query " + std::string(1000, 'x'), false},
    {"the unnamed statement", "Parse '' " + std::string(1000, 'x'), true},
    {"one that is too large", "Parse '' " + std::string(70'000, 'x'), false},
    {"a named statement", "Parse s " + std::string(1000, 'x'), true},
    {"values", "Bind '' s [" + std::string(1000, 'x') + "]", false},
    {"values, unnamed", "Bind '' '' [" + std::string(1000, 'x') + "]", false},
    {"data", "CopyData " + std::string(1000, 'x'), false},
    {"a name to describe", "Describe S " + std::string(1000, 'x'), true},
    {"a name to close", "Close P " + std::string(1000, 'x'), true},
    {"a portal", "Execute " + std::string(1000, 'x'), false},
};

TEST(Frontend, PassesLargeMessagesAsTheyCome) {
    for (const PartCase& c : part_cases) {
        SCOPED_TRACE(c.name);
        protocol::StatementTable table;
        const proxy::RequestRules rules{.server_max = 9, .table = &table};
        Frontend frontend;
        pool::Backend server;
        const std::string said =
            requests("Parse '' a; " + c.said).substr(requests("Parse '' a").size());
        Segments out;
        ASSERT_TRUE(frontend.translate(requests("Parse '' a"), rules, server, out));
        out.clear();
        const auto step = frontend.translate(Bytes(said).substr(0, 100), rules, server, out);
        ASSERT_TRUE(step.has_value());
        EXPECT_EQ(step->consumed, c.kept ? 0u : 100u);
        EXPECT_EQ(frontend.mid_message(), !c.kept);
        EXPECT_EQ(frontend.passing(), c.kept ? 0u : said.size() - 100);
        if (c.kept) continue;
        frontend.passed(500);
        EXPECT_EQ(frontend.passing(), said.size() - 600);
        const std::string begun = out.joined();
        out.clear();
        ASSERT_TRUE(frontend.translate(Bytes(said).substr(600), rules, server, out));
        EXPECT_FALSE(frontend.mid_message());
        EXPECT_TRUE(said.ends_with(out.joined()));
        EXPECT_EQ(protocol::load_u32(begun.data() + 1) + 1, begun.size() + 500 + out.size());
    }
}

TEST(Frontend, MidMessageTheRestIsSentWhateverHappens) {
    protocol::StatementTable table;
    const proxy::RequestRules rules{.server_max = 9, .table = &table};
    Frontend frontend;
    pool::Backend server;
    Segments out;
    const std::string said =
        requests("Parse '' bad; Bind '' '' [" + std::string(100, 'x') + "]; Execute ''");
    ASSERT_TRUE(frontend.translate(Bytes(said).substr(0, 60), rules, server, out));
    Segments heard;
    ASSERT_TRUE(server.scan(replies("ErrorResponse ERROR 42601 no"), heard));
    const std::string begun = out.joined();
    out.clear();
    ASSERT_TRUE(frontend.translate(Bytes(said).substr(60), rules, server, out));
    EXPECT_EQ(spoken_requests(begun + out.joined()).size(), 2u) << "the Execute is skipped";
}

}  // namespace
}  // namespace pgweir::tests

// By which way a client hears its notifications (proxy/listening).
#include "proxy/listening.hpp"

#include <gtest/gtest.h>

#include "tests/unit/spoken.hpp"

namespace pgweir::tests {
namespace {

using proxy::Listening;
using Due = Listening::Due;
using What = router::Details::Channel::What;

constexpr std::uint32_t server_pid = 7, client_pid = 1, other_pid = 9;

/// With the sender's process.
std::string told(const protocol::Frame& frame) {
    const auto said = protocol::read_notification(frame.payload);
    if (frame.type != 'A' || !said) return speak::reply(frame);
    return std::to_string(said->pid) + ' ' + std::string(said->channel) + ": " +
           std::string(said->payload);
}

/// A client on a server; the hub's marker is the channel "marker".
class Heard : public ::testing::Test {
protected:
    Heard() {
        listening.hearing.server_pid = server_pid;
        listening.hearing.pid = client_pid;
        listening.taken(false);
    }

    /// It has asked for these, and the hub has taken over.
    void hand_over(const std::vector<std::string>& channels) {
        listening.learn(channels, {});
        ASSERT_TRUE(listening.news_for_hub());
        listening.hub_ready(listening.told_number());
        ASSERT_EQ(listening.due(), Due::mark);
        listening.marking("marker", "me");
        from_server(server_pid, "marker", "me");
        ASSERT_EQ(listening.due(), Due::unlisten);
        listening.unlistened();
    }
    void from_server(std::uint32_t pid, const char* channel, const char* payload) {
        listening.from_server({pid, channel, payload});
    }
    void from_hub(const char* channel, const char* payload, std::uint64_t since = 1) {
        const pool::Notification said{other_pid, channel, payload};
        listening.from_hub({std::make_shared<const pool::Notification>(said), other_pid, since});
    }
    proxy::ChannelNames channels() const {
        proxy::ChannelNames names;
        for (const auto& [name, since] : listening.wanted()) names.insert(name);
        return names;
    }
    Spoken due() { return speak::speak(listening.take_due(), told); }

    Listening listening;
};

TEST_F(Heard, TheHubIsToldOnceForEachChange) {
    EXPECT_FALSE(listening.news_for_hub());
    listening.learn({"a"}, {});
    EXPECT_TRUE(listening.news_for_hub());
    EXPECT_FALSE(listening.news_for_hub());
    listening.learn({"a", "b"}, {});
    EXPECT_TRUE(listening.news_for_hub());
    EXPECT_EQ(listening.told_number(), 2u);
    listening.learn({}, {});
    EXPECT_TRUE(listening.news_for_hub());
}

TEST_F(Heard, IsHandedOverByAMarker) {
    listening.learn({"a"}, {});
    listening.news_for_hub();
    EXPECT_EQ(listening.due(), Due::nothing) << "the hub does not listen yet";
    listening.hub_ready(listening.told_number() + 1);
    EXPECT_EQ(listening.due(), Due::nothing) << "nor now";
    listening.hub_ready(listening.told_number());
    EXPECT_EQ(listening.due(), Due::mark);
    EXPECT_EQ(listening.marking("m\"k", "it's me"),
              "LISTEN \"m\"\"k\"; NOTIFY \"m\"\"k\", 'it''s me'");
    from_server(server_pid, "m\"k", "somebody else");
    EXPECT_EQ(listening.due(), Due::mark);
    from_server(server_pid, "m\"k", "it's me");
    EXPECT_EQ(listening.due(), Due::unlisten);
    EXPECT_EQ(due(), Spoken{}) << "nobody hears of the marker";
}

TEST_F(Heard, AfterAFailureTheServerStays) {
    listening.learn({"a"}, {});
    listening.news_for_hub();
    listening.hub_ready(1);
    listening.failed();
    EXPECT_EQ(listening.due(), Due::nothing);
    listening.learn({"a", "b"}, {});
    listening.news_for_hub();
    listening.hub_ready(2);
    EXPECT_EQ(listening.due(), Due::mark) << "the next change is another chance";
}

TEST_F(Heard, FromTheServerUntilTheMarkerFromTheHubThen) {
    listening.learn({"a"}, {});
    listening.news_for_hub();
    listening.hub_ready(1);
    listening.marking("marker", "me");
    from_hub("a", "one");
    from_server(other_pid, "a", "one");
    from_server(server_pid, "a", "its own");
    EXPECT_EQ(due(), (Spoken{"9 a: one", "1 a: its own"}))
        << "the hub's copy is dropped; who notifies has the client's pid";
    from_server(server_pid, "marker", "me");
    from_hub("a", "two");
    from_server(other_pid, "a", "two");
    EXPECT_EQ(due(), (Spoken{"9 a: two"}));
}

TEST_F(Heard, WhatTheServerSaidCanBeToldAtOnceTheHubsAfterTheRequest) {
    hand_over({"a"});
    from_hub("a", "its copy of what the next answer says");
    listening.learn({"a", "b"}, {});
    from_server(other_pid, "b", "before the next answer");
    EXPECT_EQ(speak::speak(listening.take_servers_due(), told),
              (Spoken{"9 b: before the next answer"}));
    listening.passed_on({other_pid, "a", "its copy of what the next answer says"});
    EXPECT_EQ(due(), Spoken{});
}

TEST_F(Heard, WhatWasPassedOnIsNotToldAgain) {
    hand_over({"a"});
    listening.passed_on({other_pid, "a", "twice"});
    from_hub("a", "twice");
    from_hub("a", "twice");
    EXPECT_EQ(due(), (Spoken{"9 a: twice"}));
}

TEST_F(Heard, WhatWasAskedForBeforeAnUnlistenIsNotHeard) {
    hand_over({"a", "b"});
    from_hub("a", "too late");
    from_hub("b", "in time");
    listening.learn({}, {{What::unlisten, "a"}});
    EXPECT_EQ(due(), (Spoken{"9 b: in time"}));
    listening.news_for_hub();
    listening.learn({"a"}, {});
    listening.news_for_hub();
    from_hub("a", "the old one's");
    EXPECT_EQ(due(), Spoken{});
}

TEST_F(Heard, WhatALostServerHeardTheHubHears) {
    hand_over({"a"});
    listening.learn({"a", "b"}, {});
    listening.server_lost();
    EXPECT_EQ(due(),
              (Spoken{"NoticeResponse WARNING 01000 \"notifications may have been missed\""}));
    EXPECT_TRUE(listening.news_for_hub());
    from_hub("b", "from now on", 2);
    EXPECT_EQ(due(), (Spoken{"9 b: from now on"}));
    listening.server_lost();
    EXPECT_FALSE(listening.any_due()) << "the hub heard all of it";
}

TEST_F(Heard, RoomIsGivenBackByWhatIsTold) {
    hand_over({"a"});
    listening.move_in({"a"}, {});  // so the hub's are held back
    from_hub("a", "held back");
    const std::size_t held = listening.due_bytes();
    from_server(other_pid, "b", "told");
    EXPECT_GT(listening.due_bytes(), held);
    due();
    EXPECT_EQ(listening.due_bytes(), held);
}

TEST_F(Heard, AServerThatListensForItIsToldOfAll) {
    hand_over({"b", "a\"b"});
    EXPECT_EQ(listening.restoring(), "LISTEN \"a\"\"b\";LISTEN \"b\";");
    listening.taken(true);
    listening.learn({"b"}, {});
    EXPECT_EQ(channels(), proxy::ChannelNames{"b"}) << "what the server says is all";
}

TEST_F(Heard, OfAServerThatDoesNotTheTextTells) {
    hand_over({"a", "b"});
    listening.taken(false);
    listening.learn({"c"}, {{What::unlisten, "a"}, {What::listen, "c"}});
    EXPECT_EQ(channels(), (proxy::ChannelNames{"b", "c"}));
    listening.learn({}, {{What::unlisten_all, ""}});
    EXPECT_EQ(channels(), proxy::ChannelNames{});
}

TEST_F(Heard, WhatDoesNotFitIsAWarning) {
    hand_over({"a"});
    const std::string large(700'000, 'x');
    from_hub("a", large.c_str());
    from_hub("a", large.c_str());
    EXPECT_TRUE(listening.any_due());
    const Spoken told = due();
    ASSERT_EQ(told.size(), 2u);
    EXPECT_TRUE(told[0].starts_with("NoticeResponse WARNING")) << told[0];
    EXPECT_FALSE(listening.any_due());
    from_hub("a", "again");
    EXPECT_EQ(due(), (Spoken{"9 a: again"}));
}

TEST_F(Heard, ALostHubIsAWarning) {
    hand_over({"a"});
    listening.missed();
    EXPECT_EQ(due().size(), 1u);
}

struct TouchCase {
    const char* requests;
    bool touches;
};

constexpr TouchCase touch_cases[] = {
    {"Query 'select 1'", false},
    {"Query 'insert into t values (1)'; Query 'commit'", false},
    {"Query 'listen a'", true},
    {"Query 'select 1; unlisten *'", true},
    {"Query 'notify a'", true},
    {"Query 'select pg_notify($1, $2)'", true},
    {"Query 'BEGIN'", true},
    {"Query 'start transaction'", true},
    {"Query 'rollback to a'", true},
    {"Query 'discard all'", true},
    {"Query 'execute p'", true},
    {"Query 'select my_function()'", true},
    {"Query 'do $$ begin end $$'", true},
    {"Query 'select * from pg_listening_channels()'", true},
    {"Parse '' 'select 1'; Bind '' ''; Execute ''; Sync", false},
    {"Parse '' 'listen a'; Bind '' ''; Execute ''; Sync", true},
    {"Parse s 'select 1'; Sync", false},
    {"Bind '' s; Execute ''; Sync", true},
    {"Bind '' ''; Execute ''; Sync", true},
};

TEST_F(Heard, MovesWhenNothingIsUnderWay) {
    EXPECT_TRUE(listening.can_move());
    listening.learn({"a"}, {});
    EXPECT_FALSE(listening.can_move()) << "its server still listens";
    hand_over({"a"});
    EXPECT_TRUE(listening.can_move());
    from_hub("a", "x");
    EXPECT_FALSE(listening.can_move()) << "it is to be told of something";
    EXPECT_EQ(due(), Spoken{"9 a: x"});
    EXPECT_TRUE(listening.can_move());
}

TEST_F(Heard, AfterAMoveFromTheOldHubAndThenFromTheNew) {
    listening.move_in({"a", "b"}, {{other_pid, "a", "echo"}});
    EXPECT_TRUE(listening.news_for_hub());
    EXPECT_EQ(listening.due(), Due::unlisten) << "nothing is left to a server";
    EXPECT_EQ(channels(), (proxy::ChannelNames{"a", "b"}));
    from_hub("a", "second");
    EXPECT_FALSE(listening.can_move());
    listening.from_predecessor({other_pid, "a", "echo"}, other_pid);
    listening.from_predecessor({other_pid, "b", "first"}, other_pid);
    EXPECT_EQ(due(), Spoken{"9 b: first"});
    listening.followed(false);
    EXPECT_EQ(due(), Spoken{"9 a: second"});
    listening.from_predecessor({other_pid, "a", "late"}, other_pid);
    listening.followed(true);
    EXPECT_EQ(due(), Spoken{}) << "that was over";
    EXPECT_TRUE(listening.can_move());
}

TEST_F(Heard, AfterAMoveALostPredecessorIsAWarning) {
    listening.move_in({"a"}, {});
    listening.news_for_hub();
    from_hub("a", "x");
    listening.followed(true);
    const Spoken told = due();
    ASSERT_EQ(told.size(), 2u);
    EXPECT_EQ(told[1], "9 a: x");
}

TEST(Listening, KnowsWhatMayTouchChannels) {
    for (const TouchCase& c : touch_cases) {
        SCOPED_TRACE(c.requests);
        EXPECT_EQ(proxy::may_touch_channels(requests(c.requests)), c.touches);
    }
    const std::string whole = requests("Query 'select 1'");
    EXPECT_TRUE(proxy::may_touch_channels(protocol::Bytes(whole).substr(0, whole.size() - 1)));
}

}  // namespace
}  // namespace pgweir::tests

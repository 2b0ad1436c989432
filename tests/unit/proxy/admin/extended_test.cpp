#include "proxy/admin/extended.hpp"

#include <gtest/gtest.h>

#include "protocol/requests.hpp"

namespace pgweir::proxy::admin {
namespace {

/// Gives messages to an Extended, as a console would, and answers what it wants run with `answer`.
class Session {
public:
    Answer answer = done("OK");

    /// The types of the replies; '!' where a message was refused and '?' where it was no message.
    std::string send(const std::string& bytes) {
        std::string types;
        std::string_view rest = bytes;
        while (!rest.empty()) {
            const auto frame = protocol::first_frame(rest, 1 << 20, protocol::Origin::client);
            rest.remove_prefix((*frame)->size());
            std::string out;
            const auto step = extended.take(**frame, out);
            if (step.has_error()) return types + '?';
            if (step->run) {
                ran.push_back(step->run->command.verb + ' ' + step->run->command.argument);
                extended.answered(answer, out);
            }
            types += types_of(out);
            if (step->refused) {
                types += '!';
                refusal = *step->refused;
            }
            replies = out;
        }
        return types;
    }

    static std::string types_of(std::string_view out) {
        std::string types;
        while (!out.empty()) {
            const auto frame = protocol::first_frame(out, 1 << 20, protocol::Origin::server);
            types += (*frame)->type;
            out.remove_prefix((*frame)->size());
        }
        return types;
    }

    Extended extended;
    std::vector<std::string> ran;
    protocol::Error refusal{};
    std::string replies;  // to the last message
};

std::string parse(std::string_view text, std::string_view name = {}) {
    std::string out;
    protocol::write_parse(out, name, text);
    return out;
}
std::string bind(std::string_view statement = {}, std::string_view portal = {}) {
    std::string out;
    protocol::write_bind(out, portal, statement);
    return out;
}
std::string describe(char kind, std::string_view name = {}) {
    std::string out;
    protocol::write_describe(out, kind, name);
    return out;
}
std::string close(char kind, std::string_view name = {}) {
    std::string out;
    protocol::write_close(out, kind, name);
    return out;
}
std::string execute(std::int32_t rows = 0, std::string_view portal = {}) {
    std::string out;
    protocol::write_execute(out, portal, rows);
    return out;
}
std::string sync() {
    std::string out;
    protocol::write_sync(out);
    return out;
}

TEST(ConsoleExtended, WholeRoundTrip) {
    Session session;
    session.answer.rows = {{"a", "b"}, {"c", "d"}};
    EXPECT_EQ(session.send(parse("show state;") + bind() + describe('P') + execute() + sync()),
              "12TDDCZ");
    EXPECT_EQ(session.ran, std::vector<std::string>{"show state"});
}

TEST(ConsoleExtended, NamedStatementRunsAgainAndAgain) {
    Session session;
    EXPECT_EQ(session.send(parse("reload", "r") + describe('S', "r") + sync()), "1tnZ");
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(session.send(bind("r") + describe('P') + execute() + sync()), "2nCZ");
    }
    EXPECT_EQ(session.ran.size(), 2u);
    EXPECT_EQ(session.send(parse("reload", "r")), "!");
    EXPECT_EQ(session.refusal.sqlstate.view(), "42P05");
    EXPECT_EQ(session.send(sync() + close('S', "r") + bind("r")), "Z3!");
    EXPECT_EQ(session.refusal.sqlstate.view(), "26000");
}

TEST(ConsoleExtended, RowsByPortions) {
    Session session;
    session.answer.rows = {{"1", "1"}, {"2", "2"}, {"3", "3"}};
    EXPECT_EQ(session.send(parse("show state") + bind({}, "p") + execute(2, "p")), "12DDs");
    EXPECT_EQ(session.send(execute(2, "p")), "DC");
    EXPECT_EQ(session.send(execute(2, "p")), "C");
    EXPECT_EQ(session.ran.size(), 1u);
    EXPECT_EQ(session.send(bind({}, "p")), "!");
    EXPECT_EQ(session.refusal.sqlstate.view(), "42P03");
    EXPECT_EQ(session.send(sync() + execute(0, "p")), "Z!");  // Sync has ended it
    EXPECT_EQ(session.refusal.sqlstate.view(), "34000");
}

TEST(ConsoleExtended, SkipsToSyncAfterAnError) {
    Session session;
    EXPECT_EQ(session.send(parse("no such thing") + bind() + execute() + sync()), "!Z");
    EXPECT_EQ(session.refusal.message, "invalid command 'no such thing', use SHOW HELP;");
    session.answer = failure(refusal("no"));
    EXPECT_EQ(session.send(parse("reload") + bind() + execute() + execute()), "12");
    EXPECT_TRUE(session.extended.skipping());
    EXPECT_EQ(session.send(sync()), "Z");
    EXPECT_FALSE(session.extended.skipping());
}

TEST(ConsoleExtended, NoParameters) {
    Session session;
    std::string with_value;
    const protocol::Value values[] = {"1"};
    protocol::write_bind(with_value, {}, {}, values);
    EXPECT_EQ(session.send(parse("kill_client $1")), "!");
    EXPECT_EQ(session.send(sync() + parse("reload") + with_value), "Z1!");
    EXPECT_EQ(session.refusal.message, "console commands take no parameters");
}

TEST(ConsoleExtended, BinaryRows) {
    Session session;
    session.answer.rows = {{"databases", "5"}};
    std::string binary;
    const std::uint16_t formats[] = {1};
    protocol::write_bind(binary, {}, {}, {}, {}, formats);
    EXPECT_EQ(session.send(parse("show lists") + binary + execute()), "12DC");
    const std::string row("D\0\0\0\x1b\0\2\0\0\0\x09"
                          "databases\0\0\0\4\0\0\0\5",
                          28);
    EXPECT_EQ(session.replies.substr(0, row.size()), row);
    std::string three_formats;
    const std::uint16_t many[] = {0, 0, 1};
    protocol::write_bind(three_formats, {}, {}, {}, {}, many);
    EXPECT_EQ(session.send(three_formats), "!");
}

TEST(ConsoleExtended, NoticeComesOnce) {
    Session session;
    session.answer.notice = "Console usage";
    session.answer.tag = "SHOW";
    EXPECT_EQ(session.send(parse("show help") + bind() + describe('P') + execute()), "12nNC");
    EXPECT_EQ(session.send(execute()), "C");
}

TEST(ConsoleExtended, Bounded) {
    Session session;
    for (std::size_t i = 0; i < Extended::names_max; ++i) {
        ASSERT_EQ(session.send(parse("reload", "s" + std::to_string(i))), "1");
    }
    EXPECT_EQ(session.send(parse("reload", "one more")), "!");
    EXPECT_EQ(session.refusal.sqlstate.view(), "54000");
    EXPECT_EQ(session.send(sync() + parse("reload")), "Z1");
    for (std::size_t i = 0; i < Extended::names_max; ++i) {
        ASSERT_EQ(session.send(bind({}, "p" + std::to_string(i))), "2");
    }
    EXPECT_EQ(session.send(bind({}, "one more")), "!");
}

TEST(ConsoleExtended, NoMessage) {
    for (const char type : {'P', 'B', 'D', 'E', 'C'}) {
        Session session;
        EXPECT_EQ(session.send(std::string(1, type) + std::string("\0\0\0\5x", 5)), "?") << type;
    }
}

}  // namespace
}  // namespace pgweir::proxy::admin

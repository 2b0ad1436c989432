// The conversations of tests/conversations, held through a link: as they are written, with every
// message cut at every byte, with all that is said in a row in one piece, and with a connection
// that ends before each line.
#include <gtest/gtest.h>

#include <set>

#include "tests/unit/transcript.hpp"

namespace pgweir::tests {
namespace {

using Kind = Event::Kind;

/// How the bytes of one run come.
struct Cut {
    std::size_t event = std::size_t(-1);  // the one that comes in two pieces …
    std::size_t at = 0;                   // … cut here
    bool every_byte = false;
};

/// One run of a transcript. It notes what is not as written.
class Playback {
public:
    explicit Playback(const Transcript& transcript)
        : transcript_(transcript),
          link_(transcript.options) {}

    Link& link() { return link_; }

    /// The events from `begin` to `end`, each when the one before has been dealt with.
    void play(std::size_t begin, std::size_t end, const Cut& cut) {
        for (std::size_t i = begin; i < end; ++i) {
            const Event& event = transcript_.events[i];
            switch (event.kind) {
                case Kind::says:
                    say(event.end, event.bytes, i == cut.event ? cut.at : 0, cut.every_byte);
                    break;
                case Kind::hears: hear(event); break;
                case Kind::gone: leave(event.end); break;
                default: claim(event); break;
            }
            link_.check();
            if (!::testing::Test::HasFailure()) continue;
            ADD_FAILURE() << "in line " << event.line << '\n' << link_.state();
            return;
        }
    }

    /// What is said in a row by one end comes in one piece, unless it hears something in between.
    void play_coalesced() {
        End speaker;
        std::string bytes;
        const auto flush = [&] {
            if (!bytes.empty()) say(speaker, std::exchange(bytes, {}), 0, false);
            link_.check();
        };
        for (const Event& event : transcript_.events) {
            if (event.kind == Kind::gone) {
                flush();
                leave(event.end);
            }
            if (event.kind == Kind::hears && event.end == speaker) flush();
            if (event.kind != Kind::says) continue;
            if (event.end != speaker) flush();
            speaker = event.end;
            bytes += event.bytes;
        }
        flush();
    }

    /// Everybody heard all of what is written, and nothing else.
    void expect_all_heard() {
        for (const End& end : ends()) {
            EXPECT_EQ(spoken(end, received(end)), spoken(end, written(end))) << end.text();
        }
        for (auto& [id, server] : link_.servers()) {
            if (server.gone || open_servers().contains(id)) continue;
            EXPECT_TRUE(server.backend.settled()) << "S" << id;
            EXPECT_TRUE(server.backend.pipeline().empty()) << "S" << id;
        }
    }

    /// Nobody heard anything but what is written, as far as it went.
    void expect_nothing_else_heard() {
        for (const End& end : ends()) {
            const Spoken heard = spoken(end, received(end));
            Spoken expected = spoken(end, written(end));
            ASSERT_LE(heard.size(), expected.size()) << end.text();
            expected.resize(heard.size());
            EXPECT_EQ(heard, expected) << end.text();
        }
    }

    /// New clients take the idle servers; each hears what its own server says to it.
    void probe() {
        const std::size_t idle = link_.idle().size();
        const int first = 1000;
        for (std::size_t i = 0; i < idle; ++i) {
            const int id = first + static_cast<int>(i);
            link_.client_says(id, requests("Query probe"));
            const int server_id = link_.client(id).server;
            ASSERT_NE(server_id, 0);
            const std::string& heard = link_.server(server_id).received;
            EXPECT_TRUE(heard.ends_with(requests("Query probe")));
        }
        for (std::size_t i = 0; i < idle; ++i) {
            const int id = first + static_cast<int>(i);
            const int server_id = link_.client(id).server;
            const std::string answer =
                replies("CommandComplete " + std::to_string(id) + "; ReadyForQuery idle");
            link_.server_says(server_id, answer);
            EXPECT_EQ(spoken_replies(link_.client(id).received), spoken_replies(answer));
            const bool session = transcript_.options.mode == config::PoolMode::session;
            EXPECT_EQ(link_.client(id).server, session ? server_id : 0);
        }
        link_.check();
    }

    std::set<End> ends() const {
        std::set<End> ends;
        for (const Event& event : transcript_.events) ends.insert(event.end);
        return ends;
    }

private:
    void say(const End& end, Bytes bytes, std::size_t cut_at, bool every_byte) {
        if (every_byte) {
            for (std::size_t i = 0; i < bytes.size(); ++i) say(end, bytes.substr(i, 1));
            return;
        }
        if (cut_at > 0) say(end, bytes.substr(0, cut_at));
        say(end, bytes.substr(cut_at));
    }

    void say(const End& end, Bytes bytes) {
        if (end.side == 'C') {
            link_.client_says(end.id, bytes);
        } else {
            link_.server_says(end.id, bytes);
        }
    }

    void leave(const End& end) {
        if (end.side == 'C') {
            link_.lose_client(end.id);
        } else {
            link_.lose_server(end.id, "gone");
        }
    }

    void hear(const Event& event) {
        std::string rest = received(event.end).substr(heard_[event.end]);
        const auto cut = protocol::first_frame(rest, 0x7fffffff, protocol::Origin::proxy);
        const std::string expected = spoken(event.end, event.bytes)[0];
        ASSERT_TRUE(cut && *cut) << event.end.text() << " heard nothing instead of " << expected;
        rest.resize(std::min((*cut)->size(), rest.size()));
        EXPECT_EQ(spoken(event.end, rest)[0], expected) << event.end.text();
        heard_[event.end] += rest.size();
    }

    void claim(const Event& event) {
        const int id = event.end.id;
        const bool client = event.end.side == 'C';
        const bool gone = client ? link_.client(id).gone : link_.server(id).gone;
        const int partner = client ? link_.client(id).server : link_.server(id).client;
        if (event.kind == Kind::closed) {
            EXPECT_TRUE(gone);
        }
        if (event.kind == Kind::linked) {
            EXPECT_EQ(partner, event.server);
        }
        if (event.kind == Kind::idle) {
            EXPECT_TRUE(!gone && partner == 0);
        }
    }

    /// Nothing, when there is nobody at that end yet.
    std::string received(const End& end) {
        if (end.side == 'C') return link_.client(end.id).received;
        const auto found = link_.servers().find(end.id);
        return found == link_.servers().end() ? std::string() : found->second.received;
    }

    std::string written(const End& end) const {
        std::string bytes;
        for (const Event& event : transcript_.events) {
            if (event.kind == Kind::hears && event.end == end) bytes += event.bytes;
        }
        return bytes;
    }

    std::set<int> open_servers() const {
        std::set<int> open;
        for (const Event& event : transcript_.events) {
            if (event.kind == Kind::open) open.insert(event.end.id);
        }
        return open;
    }

    static Spoken spoken(const End& end, Bytes bytes) {
        return end.side == 'C' ? spoken_replies(bytes) : spoken_requests(bytes);
    }

    const Transcript& transcript_;
    Link link_;
    std::map<End, std::size_t> heard_;  // bytes that the transcript has accounted for
};

class Conversation : public ::testing::TestWithParam<Transcript> {
protected:
    std::size_t size() const { return GetParam().events.size(); }
    const Event& event(std::size_t i) const { return GetParam().events[i]; }
};

TEST_P(Conversation, IsAsWritten) {
    Playback run(GetParam());
    run.play(0, size(), {});
    run.expect_all_heard();
    run.probe();
}

TEST_P(Conversation, ComesInAnyPieces) {
    for (std::size_t i = 0; i < size() && !HasFailure(); ++i) {
        for (std::size_t at = 1; at < event(i).bytes.size() && !HasFailure(); ++at) {
            if (event(i).kind != Kind::says) break;
            SCOPED_TRACE("cut in line " + std::to_string(event(i).line) + " at byte " +
                         std::to_string(at));
            Playback run(GetParam());
            run.play(0, size(), {i, at});
            run.expect_all_heard();
        }
    }
    Playback bytes(GetParam());
    bytes.play(0, size(), {.every_byte = true});
    bytes.expect_all_heard();

    SCOPED_TRACE("in one piece");
    Playback coalesced(GetParam());
    coalesced.play_coalesced();
    coalesced.expect_all_heard();
}

TEST_P(Conversation, MayLoseAServerAnywhere) {
    for (std::size_t i = 0; i < size() && !HasFailure(); ++i) {
        if (event(i).kind != Kind::says || event(i).end.side != 'S') continue;
        SCOPED_TRACE("before line " + std::to_string(event(i).line));
        Playback run(GetParam());
        run.play(0, i, {});
        const int id = event(i).end.id;
        const int client = run.link().server(id).client;
        run.link().server_says(id, Bytes(event(i).bytes).substr(0, 3));
        run.link().lose_server(id, "gone");

        run.expect_nothing_else_heard();
        if (client != 0) {
            EXPECT_TRUE(run.link().client(client).gone);
        }
        run.link().check();
        run.probe();
    }
}

TEST_P(Conversation, MayLoseAClientAnywhere) {
    for (std::size_t i = 0; i < size() && !HasFailure(); ++i) {
        if (event(i).kind != Kind::says) continue;
        for (const End& end : Playback(GetParam()).ends()) {
            if (end.side != 'C') continue;
            SCOPED_TRACE(end.text() + " before line " + std::to_string(event(i).line));
            Playback run(GetParam());
            run.play(0, i, {});
            const int server = run.link().client(end.id).server;
            if (event(i).end == end) {
                run.link().client_says(end.id, Bytes(event(i).bytes).substr(0, 3));
            }
            run.link().lose_client(end.id);

            run.expect_nothing_else_heard();
            if (server != 0) {
                EXPECT_EQ(run.link().client(end.id).server, 0);
            }
            run.link().check();
            run.probe();
        }
    }
}

std::string name_of(const ::testing::TestParamInfo<Transcript>& info) {
    std::string name = info.param.name;
    for (char& c : name) c = c == '-' ? '_' : c;
    return name;
}

INSTANTIATE_TEST_SUITE_P(All, Conversation,
                         ::testing::ValuesIn(read_transcripts(PGWEIR_SOURCE_DIR
                                                              "/tests/conversations")),
                         name_of);

}  // namespace
}  // namespace pgweir::tests

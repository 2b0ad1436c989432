// Random conversations, held twice: each client with a server of its own, and all through one link.
// Every client must hear the same, and the same must be committed in the end. The bytes come in
// random pieces.
//
// Left out is what cannot be the same: a statement name that is used again while its fate is not
// known yet, because names are given before the server has agreed; and the unnamed statement across
// batches, unless nothing else happened meanwhile.
#include <gtest/gtest.h>

#include <random>

#include "tests/unit/fake_postgres.hpp"
#include "tests/unit/link.hpp"

namespace pgweir::tests {
namespace {

constexpr int clients = 3;
constexpr int seeds = 60;
constexpr int steps = 60;

/// Numbers from a seed; the same everywhere, unlike the standard distributions.
class Dice {
public:
    explicit Dice(unsigned seed) : engine_(seed) {}
    int below(int end) { return static_cast<int>(engine_() % static_cast<unsigned>(end)); }
    bool one_in(int n) { return below(n) == 0; }
    template <std::size_t N>
    const char* pick(const char* const (&items)[N]) {
        return items[below(static_cast<int>(N))];
    }

private:
    std::mt19937 engine_;
};

/// A client that says anything, knowing what PostgreSQL thinks of its names and its transaction.
class Chatter {
public:
    Chatter(Dice& dice, int id) : dice_(dice), id_(std::to_string(id)) {}

    /// The next thing to say, in words. `idle`: no transaction is open.
    std::string say(bool idle) {
        if (unnamed_only_) return bind_unnamed();
        if (!open_ && idle && dice_.one_in(10)) return parse_unnamed();
        if (!open_ && dice_.one_in(3)) return simple(idle);
        if (!open_ && dice_.one_in(6)) return copy();
        if (!open_ && idle && dice_.one_in(4)) return pipeline();
        std::string batch;
        unnamed_ = unnamed_ && open_;
        for (int left = 1 + dice_.below(5); left > 0; --left) batch += request();
        open_ = dice_.one_in(4);
        return batch + (open_ ? "Flush" : "Sync");
    }
    /// Ends what is open.
    std::string last_words() { return open_ ? "Sync; Query rollback" : "Query rollback"; }

private:
    std::string text() {
        static constexpr const char* texts[] = {
            "'select 1'", "'select 2'", "'select $1'", "'rows 5'",     "begin", "commit",
            "rollback",   "fail",       "nonsense",    "'notice hey'", "''",    "out"};
        if (dice_.one_in(6)) return "'insert k" + id_ + "'";
        return dice_.pick(texts);
    }

    std::string name() {
        static constexpr const char* names[] = {"a", "b", "c", "d"};
        return dice_.pick(names);
    }

    /// As drivers do that want the types first: Parse under one Sync, Bind under the next.
    std::string parse_unnamed() {
        unnamed_only_ = 1 + dice_.below(3);
        static constexpr const char* texts[] = {"'select 1'", "'select 2'", "'rows 5'"};
        return std::string("Parse '' ") + dice_.pick(texts) + "; Describe S ''; Sync";
    }
    std::string bind_unnamed() {
        --unnamed_only_;
        const std::string ending = dice_.one_in(4) ? "Flush; Sync" : "Sync";
        return "Bind '' ''; Describe P ''; Execute '' " + std::to_string(dice_.below(3)) + "; " +
               ending;
    }

    std::string simple(bool idle) {
        if (dice_.one_in(8))
            return "Query 'insert k" + id_ + "; count k" + id_ + "; fail; select 1'";
        if (dice_.one_in(8)) return idle ? "Query 'discard all'" : "Query 'deallocate all'";
        if (dice_.one_in(8)) return "FunctionCall " + std::to_string(dice_.below(2)) + " [1]";
        if (dice_.one_in(8))
            return "Query 'select 1'; Query fail; Sync; Query 'count k" + id_ + "'";
        std::string text = this->text();
        if (text == "'select $1'") text = "'set v " + id_ + "'";
        return "Query " + text;
    }

    std::string request() {
        const std::string portal = dice_.one_in(3) ? "p" : "''";
        const bool parse = dice_.below(10) < 3;
        const bool unnamed = dice_.one_in(3) && (parse || unnamed_);
        const std::string name = unnamed ? "''" : this->name();
        if (parse) {
            unnamed_ |= name == "''";
            return "Parse " + name + ' ' + text() + "; ";
        }
        switch (3 + dice_.below(7)) {
            case 3:
            case 4: return "Bind " + portal + ' ' + name + (dice_.one_in(3) ? " [7]; " : "; ");
            case 5: return "Describe S " + name + "; ";
            case 6: return "Describe P " + portal + "; ";
            case 7: return "Execute " + portal + ' ' + std::to_string(dice_.below(4)) + "; ";
            case 8: return "Close " + (dice_.one_in(3) ? "P " + portal : "S " + name) + "; ";
            default: return "Flush; ";
        }
    }

    /// Several batches before the first answer. Names are fresh, or of the batch itself.
    std::string pipeline() {
        std::string all = dice_.one_in(4) ? "Query 'discard all'; " : "";
        for (int batches = 2 + dice_.below(3); batches > 0; --batches) {
            if (dice_.one_in(4)) all += "Parse '' fail; Bind '' ''; Execute ''; ";
            for (int left = 1 + dice_.below(3); left > 0; --left) {
                const std::string fresh = "f" + std::to_string(++fresh_);
                all +=
                    "Parse " + fresh + ' ' + safe_text() + "; Bind '' " + fresh + "; Execute ''; ";
            }
            all += "Sync; ";
        }
        return all;
    }

    std::string safe_text() {
        static constexpr const char* texts[] = {"'select 1'", "'select 2'", "'rows 5'", "fail",
                                                "nonsense"};
        return dice_.pick(texts);
    }

    std::string copy() {
        std::string data;
        for (int left = dice_.below(4); left > 0; --left) {
            data += dice_.one_in(5) ? "CopyData bad; " : "CopyData good; ";
            if (dice_.one_in(6)) data += dice_.one_in(2) ? "Sync; " : "Flush; ";
        }
        data += dice_.one_in(5) ? "CopyFail no; " : "CopyDone; ";
        const char* const what = dice_.one_in(5) ? "view" : dice_.one_in(8) ? "nonsense" : "copy";
        if (dice_.one_in(2)) {
            const char* const more = dice_.one_in(3) ? "; copy; select 1'; " : "'; ";
            const bool twice = more[1] == ' ' && more[0] == ';';
            return "Query '" + std::string(what) + more + data + (twice ? "CopyDone" : "");
        }
        const char* const early = dice_.one_in(3) ? "Sync; " : "";
        const std::string portal =
            "copy" + std::to_string(++fresh_);  // nobody executes it by chance
        return std::string("Parse '' ") + what + "; Bind " + portal + " ''; Execute " + portal +
               "; " + early + data + "Sync";
    }

    Dice& dice_;
    std::string id_;
    int fresh_ = 0;
    bool open_ = false;     // a batch that has not been ended
    int unnamed_only_ = 0;  // how often the unnamed statement is still to be bound
    bool unnamed_ = false;  // the unnamed statement is of the batch under way: it outlives no other
};

/// The link with a server behind every connection it opens.
class Pooled {
public:
    Pooled(const LinkOptions& options, Dice& dice) : link_(options), dice_(dice) {}

    void say(int id, Bytes bytes) { said_[id] += bytes; }
    void leave(int id) { link_.lose_client(id); }

    /// Until nothing moves any more.
    void settle() {
        while (step()) link_.check();
    }
    const std::string& heard(int id) { return link_.client(id).received; }
    Link& link() { return link_; }

private:
    std::string piece(std::string& from) {
        const std::size_t size =
            dice_.one_in(2) ? from.size() : static_cast<std::size_t>(1 + dice_.below(20));
        std::string taken = from.substr(0, size);
        from.erase(0, size);
        return taken;
    }

    bool step() {
        bool moved = false;
        for (auto& [id, bytes] : said_) {
            if (bytes.empty() || dice_.one_in(3)) continue;
            link_.client_says(id, piece(bytes));
            moved = true;
        }
        for (auto& [id, server] : link_.servers()) {
            if (server.gone) {
                fakes_.erase(id);
                continue;
            }
            moved |= serve(id, server);
        }
        for (const auto& [id, bytes] : said_) moved |= !bytes.empty() && !link_.client(id).gone;
        return moved;
    }

    bool serve(int id, Link::Server& server) {
        Fake& fake = fakes_.try_emplace(id, database).first->second;
        bool moved = false;
        if (fake.heard < server.received.size()) {
            std::string fresh = server.received.substr(fake.heard);
            const std::string part = piece(fresh);
            fake.heard += part.size();
            fake.answer += fake.postgres.read(part);
            moved = true;
        }
        if (fake.answer.empty()) return moved;
        link_.server_says(id, piece(fake.answer));
        if (fake.answer.empty() && fake.postgres.gone()) link_.lose_server(id, "gone");
        return true;
    }

    struct Fake {
        explicit Fake(Database& database) : postgres(database) {}
        FakePostgres postgres;
        std::size_t heard = 0;
        std::string answer;
    };

public:
    Database database;

private:
    Link link_;
    Dice& dice_;
    std::map<int, std::string> said_;
    std::map<int, Fake> fakes_;
};

/// Each client with a server of its own.
class Direct {
public:
    void say(int id, Bytes bytes) {
        const auto found = servers_.try_emplace(id, database).first;
        heard_[id] += found->second.read(bytes);
    }
    void leave(int id) { servers_.erase(id); }
    bool is_gone(int id) const { return servers_.contains(id) && servers_.at(id).gone(); }
    const std::string& heard(int id) { return heard_[id]; }

    Database database;

private:
    std::map<int, FakePostgres> servers_;
    std::map<int, std::string> heard_;
};

class Play {
public:
    explicit Play(unsigned seed, const LinkOptions& options)
        : dice_(seed),
          pooled_(options, dice_) {}

    void run() {
        for (int step = 0; step < steps && !::testing::Test::HasFailure(); ++step) {
            const int id = step % clients == 0 ? 1 + dice_.below(clients) : 1 + step % clients;
            if (pooled_.heard(speaker(id)) != direct_.heard(speaker(id))) continue;  // it waits
            if (dice_.one_in(25)) {
                leave(id);
            } else {
                say(id, chatter(id).say(is_idle(id)));
            }
        }
        for (int round = 0; round < 2; ++round) {
            for (int id = 1; id <= clients; ++id) say(id, chatter(id).last_words());
        }
        for (int id = 1; id <= clients; ++id) compare(id);
        std::erase_if(direct_.database, [](const auto& item) { return item.second == 0; });
        std::erase_if(pooled_.database, [](const auto& item) { return item.second == 0; });
        EXPECT_EQ(pooled_.database, direct_.database) << script_;
    }

private:
    /// A client that left comes back under another number.
    int speaker(int id) { return id + 100 * lives_[id]; }

    Chatter& chatter(int id) {
        return chatters_.try_emplace(speaker(id), dice_, speaker(id)).first->second;
    }

    bool is_idle(int id) {
        const std::string& heard = direct_.heard(speaker(id));
        return heard.empty() || heard.ends_with('I');
    }

    void say(int id, const std::string& words) {
        script_ += "C" + std::to_string(speaker(id)) + "> " + words + '\n';
        const std::string bytes = requests(words);
        direct_.say(speaker(id), bytes);
        pooled_.say(speaker(id), bytes);
        pooled_.settle();
        const std::string& heard = pooled_.heard(speaker(id));
        if (!direct_.heard(speaker(id)).starts_with(heard)) compare(id);
        if (direct_.is_gone(speaker(id))) ++lives_[id];
    }

    void leave(int id) {
        script_ += "C" + std::to_string(speaker(id)) + "> gone\n";
        direct_.leave(speaker(id));
        pooled_.leave(speaker(id));
        pooled_.settle();
        ++lives_[id];
    }

    /// Names the first message that differs, and what was said last.
    void compare(int id) {
        const Spoken ours = spoken_replies(pooled_.heard(speaker(id)));
        const Spoken theirs = spoken_replies(direct_.heard(speaker(id)));
        if (ours == theirs) return;
        const auto [a, b] = std::mismatch(ours.begin(), ours.end(), theirs.begin(), theirs.end());
        ADD_FAILURE() << "C" << speaker(id) << " heard " << (a == ours.end() ? "nothing" : *a)
                      << "\ninstead of " << (b == theirs.end() ? "nothing" : *b) << "\nafter "
                      << (a == ours.begin() ? "nothing" : *(a - 1))
                      << "; servers closed because: " << pooled_.link().last_loss << '\n'
                      << pooled_.link().state()
                      << script_.substr(script_.size() > 1500 ? script_.size() - 1500 : 0);
    }

    Dice dice_;
    Pooled pooled_;
    Direct direct_;
    std::map<int, int> lives_;
    std::map<int, Chatter> chatters_;
    std::string script_;
};

TEST(RandomConversations, AreTheSameThroughALink) {
    for (unsigned seed = 1; seed <= seeds && !HasFailure(); ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        LinkOptions options;
        options.servers_max = 1 + static_cast<int>(seed % clients);
        options.statements_max = 1 + seed % 5;
        Play(seed, options).run();
    }
}

}  // namespace
}  // namespace pgweir::tests

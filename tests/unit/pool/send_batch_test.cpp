#include "pool/net/send_batch.hpp"

#include <array>
#include <cerrno>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "pool/net/loop.hpp"
#include "pool/net/socket.hpp"

namespace pgweir::net {
namespace {

/// Two ends of a connection; ours does not wait.
std::array<int, 2> connection() {
    std::array<int, 2> ends{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    EXPECT_EQ(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    return ends;
}

/// A socket that does something when it can be read, and who is at the other end of it.
struct Line final : Socket::Owner {
    explicit Line(Loop& on) : loop(on), socket(*this) {
        const auto [ours, theirs] = connection();
        peer = theirs;
        socket.open(loop, ours);
    }
    ~Line() { ::close(peer); }
    void on_readable() override {
        std::array<char, 16> page{};
        while (socket.is_open() && socket.readable()) {
            if (socket.receive(page.data(), page.size()) == 0 && socket.readable()) break;
        }
        then();
    }
    void on_drained() override { drained(); }
    void wake() const { EXPECT_EQ(write(peer, "x", 1), 1); }
    /// What has come so far.
    std::string heard() const {
        std::string all;
        std::array<char, 65536> page{};
        for (;;) {
            const ssize_t got = recv(peer, page.data(), page.size(), MSG_DONTWAIT);
            if (got <= 0) return all + (got == 0 ? "<end>" : "");
            all.append(page.data(), static_cast<std::size_t>(got));
        }
    }

    Loop& loop;
    Socket socket;
    int peer = -1;
    std::function<void()> then = [] {}, drained = [] {};
};

/// A turn with two events: `work` is done in the first, and `end`.
class SendBatch : public testing::Test {
protected:
    void SetUp() override {
        Uring uring;
        if (!uring.open()) GTEST_SKIP() << "no io_uring here";
    }

    void in_one_turn(const std::function<void()>& work) {
        in_one_turn(work, [this] { loop.stop(); });
    }
    void in_one_turn(const std::function<void()>& work, const std::function<void()>& end) {
        bool done = false;
        one.then = two.then = [&] {
            if (std::exchange(done, true)) return;
            EXPECT_NE(loop.batch(), nullptr);
            work();
            end();
        };
        one.wake();
        two.wake();
        loop.run();
        ASSERT_TRUE(done);
    }

    Loop loop;
    Line one{loop}, two{loop};
};

TEST(Uring, SaysWhatCameOfEach) {
    Uring uring;
    if (!uring.open()) GTEST_SKIP() << "no io_uring here";
    auto fine = connection(), broken = connection(), full = connection(), tight = connection();
    ::close(broken[1]);
    const std::string much(4 << 20, 'm');
    while (send(full[0], much.data(), much.size(), MSG_NOSIGNAL) > 0) {
    }
    for (int round = 0; round < 100; ++round) {  // the rings are gone round
        std::array<Send, 4> sends{Send{fine[0], "abc", 3, 0}, Send{broken[0], "abc", 3, 0},
                                  Send{full[0], "abc", 3, 0}, Send{fine[0], "de", 2, 0}};
        uring.send(sends);
        EXPECT_EQ(sends[0].result, 3);
        EXPECT_EQ(sends[1].result, -EPIPE);
        EXPECT_EQ(sends[2].result, -EAGAIN);
        EXPECT_EQ(sends[3].result, 2);
        std::array<char, 16> got{};
        EXPECT_EQ(read(fine[1], got.data(), got.size()), 5);
        EXPECT_EQ(std::string(got.data()), "abcde");
    }
    std::array<Send, 2> sends{Send{tight[0], much.data(), much.size(), 0},
                              Send{fine[0], "f", 1, 0}};
    uring.send(sends);
    EXPECT_GT(sends[0].result, 0);
    EXPECT_LT(sends[0].result, static_cast<ssize_t>(much.size()));
    EXPECT_EQ(sends[1].result, 1);
    for (const auto& ends : {fine, full, tight}) {
        ::close(ends[0]);
        ::close(ends[1]);
    }
    ::close(broken[0]);
}

TEST_F(SendBatch, GoesOutAtTheEndOfTheTurn) {
    in_one_turn([&] {
        one.socket.send("a");
        two.socket.send("b");
        EXPECT_EQ(one.heard() + two.heard(), "");
    });
    EXPECT_EQ(one.heard(), "a");
    EXPECT_EQ(two.heard(), "b");
    EXPECT_EQ(loop.batch(), nullptr);
}

TEST_F(SendBatch, KeepsTheOrderOfASocket) {
    const std::string large(100'000, 'l');
    in_one_turn([&] {
        one.socket.send("1");
        one.socket.send("2");
        two.socket.send("3");
        one.socket.send("4");
        one.socket.send(large);
        protocol::Segments parts;
        parts.add("5");
        parts.own("6");
        one.socket.send(parts);
    });
    EXPECT_EQ(one.heard(), "124" + large + "56");
    EXPECT_EQ(two.heard(), "3");
}

TEST_F(SendBatch, IsSentBeforeItsSocketCloses) {
    in_one_turn([&] {
        two.socket.send("other");
        one.socket.send("last words");
        one.socket.close();
    });
    EXPECT_EQ(one.heard(), "last words<end>");
    EXPECT_EQ(two.heard(), "other");
}

TEST_F(SendBatch, IsSentBeforeItsSocketMoves) {
    Loop other;
    in_one_turn([&] {
        one.socket.send("from here");
        one.socket.leave();
        EXPECT_EQ(one.heard(), "from here");
        one.socket.join(other);
        one.socket.send(", from there");
    });
    EXPECT_EQ(one.heard(), ", from there");
    one.socket.leave();  // the other loop ends first
}

TEST_F(SendBatch, WhatTheKernelDoesNotTakeIsKept) {
    std::string all, heard;
    std::thread reader;
    one.drained = [&] {
        EXPECT_FALSE(one.socket.blocked());
        one.socket.close();
        loop.stop();
    };
    in_one_turn(
        [&] {
            for (int i = 0; !one.socket.blocked(); ++i) {
                const std::string line = std::to_string(i) + std::string(1000, ' ');
                one.socket.send(line);
                two.socket.send("x");
                all += line;
            }
            EXPECT_GT(one.socket.outbox_size(), 0U);
            reader = std::thread([&] {
                std::array<char, 4096> page{};
                for (ssize_t got; (got = read(one.peer, page.data(), page.size())) > 0;) {
                    heard.append(page.data(), static_cast<std::size_t>(got));
                }
            });
        },
        [] {});
    reader.join();
    EXPECT_EQ(heard, all);
}

TEST_F(SendBatch, ABrokenConnectionIsTheEndOfInput) {
    ::close(std::exchange(two.peer, dup(one.peer)));
    in_one_turn([&] {
        one.socket.send("a");
        two.socket.send("b");
    });
    EXPECT_EQ(one.heard(), "a");
    EXPECT_EQ(two.socket.error(), EPIPE);
    EXPECT_TRUE(two.socket.readable());
}

TEST(Loop, MakesNoBatchesWhereTheyAreNotAllowed) {
    Loop loop;
    loop.allow_batches(false);
    Line one(loop), two(loop);
    int calls = 0;
    one.then = two.then = [&] {
        EXPECT_EQ(loop.batch(), nullptr);
        one.socket.send("a");
        EXPECT_EQ(one.heard(), "a");
        if (++calls == 2) loop.stop();
    };
    one.wake();
    two.wake();
    loop.run();
}

}  // namespace
}  // namespace pgweir::net

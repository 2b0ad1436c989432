// The HTTP server as its clients see it: requests of every kind over real sockets.
#include <gtest/gtest.h>

#include <array>
#include <future>
#include <mutex>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/http/listen.hpp"
#include "proxy/http/server.hpp"
#include "proxy/http/text.hpp"

namespace pgweir::proxy::http {
namespace {

using namespace std::chrono_literals;

/// A listening socket on a port of the system's choice.
int any_socket() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd, static_cast<sockaddr*>(static_cast<void*>(&at)), sizeof at), 0);
    EXPECT_EQ(::listen(fd, 16), 0);
    return fd;
}

class Peer {
public:
    explicit Peer(const Server& server) {
        sockaddr_storage at{};
        socklen_t size = sizeof at;
        auto* const raw = static_cast<sockaddr*>(static_cast<void*>(&at));
        EXPECT_EQ(::getsockname(server.socket(), raw, &size), 0);
        EXPECT_EQ(::connect(fd_, raw, size), 0);
        const timeval limit{20, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    }
    ~Peer() { ::close(fd_); }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    /// False when the other side is gone.
    bool send(std::string_view text) const {
        while (!text.empty()) {
            const ssize_t size = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
            if (size <= 0) return false;
            text.remove_prefix(static_cast<std::size_t>(size));
        }
        return true;
    }
    /// Up to this text, or the end of the connection.
    std::string receive_until(std::string_view end) const {
        std::string got;
        std::array<char, 1> byte{};
        while (!got.ends_with(end) && ::recv(fd_, byte.data(), 1, 0) == 1) got += byte[0];
        return got;
    }
    /// Everything, to the end of the connection.
    std::string receive() const {
        std::string got;
        std::array<char, 4096> some{};
        for (ssize_t size; (size = ::recv(fd_, some.data(), some.size(), 0)) > 0;)
            got.append(some.data(), static_cast<std::size_t>(size));
        return got;
    }
    std::string ask(std::string_view request) const {
        send(request);
        return receive();
    }

private:
    int fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
};

void echo(const Request& request, const Server::Reply& reply) {
    const std::string text = request.path + " of " + request.host;
    reply([text] { return Response{200, "text/x-test", text}; });
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

TEST(HttpServer, AnswersAndKeepsTheConnection) {
    const Server server(any_socket(), echo, {{"X-Own", "yes"}}, {});
    const Peer peer(server);
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(peer.send("GET /a?b=c HTTP/1.1\r\nHost: here:1\r\n\r\n"));
        const std::string answer = peer.receive_until("of here:1");
        EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
        EXPECT_TRUE(contains(answer, "Content-Type: text/x-test\r\n")) << answer;
        EXPECT_TRUE(contains(answer, "Content-Length: 12\r\n")) << answer;
        EXPECT_TRUE(contains(answer, "X-Own: yes\r\n")) << answer;
        EXPECT_TRUE(answer.ends_with("\r\n\r\n/a of here:1")) << answer;
    }
    ASSERT_TRUE(peer.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n"
                          "Connection: close\r\n\r\n"));
    const std::string both = peer.receive();
    EXPECT_TRUE(contains(both, "/1 of x") && both.ends_with("/2 of x")) << both;
}

TEST(HttpServer, HeadHasNoBody) {
    const Server server(any_socket(), echo, {}, {});
    const std::string answer = Peer(server).ask("HEAD /ab HTTP/1.0\r\n\r\n");
    EXPECT_TRUE(contains(answer, " 200 OK\r\n")) << answer;
    EXPECT_TRUE(contains(answer, "Content-Length: 7\r\n")) << answer;
    EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
}

TEST(HttpServer, RefusesWhatItDoesNotServe) {
    const Server server(any_socket(), echo, {}, {});
    const std::string post =
        Peer(server).ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    EXPECT_TRUE(post.starts_with("HTTP/1.1 405 ")) << post;
    EXPECT_TRUE(contains(post, "Allow: GET, HEAD\r\n")) << post;
    EXPECT_TRUE(contains(post, "Connection: close\r\n")) << post;
    EXPECT_TRUE(Peer(server)
                    .ask("GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
                    .starts_with("HTTP/1.1 413 "));
    EXPECT_TRUE(Peer(server).ask("\x16\x03\x01\x02 nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
    const std::string large = "GET / HTTP/1.1\r\nX: " + std::string(1'000'000, 'x') + "\r\n\r\n";
    EXPECT_TRUE(Peer(server).ask(large).starts_with("HTTP/1.1 431 "));
    EXPECT_TRUE(Peer(server).ask("GET /fine HTTP/1.0\r\n\r\n").ends_with("/fine of "));
}

TEST(HttpServer, ASlowRequestIsCutOff) {
    Server::Limits limits;
    limits.request = 100ms;
    const Server server(any_socket(), echo, {}, limits);
    const Peer peer(server);
    ASSERT_TRUE(peer.send("GET / HT"));
    EXPECT_EQ(peer.receive(), "");
}

TEST(HttpServer, ASilentConnectionIsClosed) {
    Server::Limits limits;
    limits.silence = 100ms;
    const Server server(any_socket(), echo, {}, limits);
    EXPECT_EQ(Peer(server).receive(), "");
}

TEST(HttpServer, AnAnswerThatDoesNotComeIs503) {
    Server::Limits limits;
    limits.reply = 50ms;
    std::mutex mutex;
    std::vector<Server::Reply> kept;
    std::string answer;
    {
        const Server server(
            any_socket(),
            [&](const Request&, const Server::Reply& reply) {
                const std::lock_guard lock(mutex);
                kept.push_back(reply);
            },
            {}, limits);
        answer = Peer(server).ask("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
        const std::lock_guard lock(mutex);
        for (const auto& reply : kept) reply([] { return Response{200, {}, "too late"}; });
    }
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 503 ")) << answer;
    ASSERT_EQ(kept.size(), 1u);
    kept.front()([] { return Response{200, {}, "the server is gone"}; });
}

TEST(HttpServer, RepliesMayComeFromAnywhere) {
    std::vector<std::future<void>> others;
    std::string answer;
    {
        const Server server(
            any_socket(),
            [&](const Request& request, const Server::Reply& reply) {
                others.push_back(std::async(std::launch::async, [reply, path = request.path] {
                    reply([path] { return Response{200, {}, "other " + path}; });
                }));
            },
            {}, {});
        const Peer peer(server);
        for (const char* path : {"/1", "/2", "/3"}) {
            ASSERT_TRUE(peer.send(std::string("GET ") + path + " HTTP/1.1\r\n\r\n"));
            answer = peer.receive_until(std::string("other ") + path);
            EXPECT_TRUE(contains(answer, " 200 OK")) << answer;
        }
    }
}

TEST(HttpServer, MakesRoomByClosingWhoIsSilentLongest) {
    Server::Limits limits;
    limits.connections = 2;
    const Server server(any_socket(), echo, {}, limits);
    const Peer first(server);
    ASSERT_TRUE(first.send("GET /1 HTTP/1.1\r\n\r\n"));
    first.receive_until("/1 of ");
    const Peer second(server);
    ASSERT_TRUE(second.send("GET /2 HTTP/1.1\r\n\r\n"));
    second.receive_until("/2 of ");
    const Peer third(server);
    ASSERT_TRUE(third.send("GET /3 HTTP/1.1\r\n\r\n"));
    EXPECT_TRUE(third.receive_until("/3 of ").ends_with("/3 of "));
    EXPECT_EQ(first.receive(), "");
    ASSERT_TRUE(second.send("GET /4 HTTP/1.1\r\n\r\n"));
    EXPECT_TRUE(second.receive_until("/4 of ").ends_with("/4 of "));
}

TEST(HttpListen, SaysWhatIsWrong) {
    std::vector<int> none;
    const int taken = any_socket();
    sockaddr_in at{};
    socklen_t size = sizeof at;
    ::getsockname(taken, static_cast<sockaddr*>(static_cast<void*>(&at)), &size);
    const std::string address = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
    const auto refused = listen(address, none);
    ASSERT_TRUE(refused.has_error());
    EXPECT_EQ(refused.error().message,
              "cannot listen on " + address + " for http: Address already in use");
    std::vector<int> inherited{taken};
    const auto given = listen(address, inherited);
    ASSERT_TRUE(given.has_value());
    EXPECT_EQ(*given, taken);
    EXPECT_TRUE(inherited.empty());
    ::close(taken);
}

TEST(HttpText, WhatIsNoUtf8IsSpelledOut) {
    EXPECT_EQ(utf8("plain \"text\" <ü€😀>"), "plain \"text\" <ü€😀>");
    EXPECT_EQ(utf8("\xff"
                   "a\xc3"),
              "\\xffa\\xc3");
    EXPECT_EQ(utf8("\xc0\x80"), "\\xc0\\x80");           // longer than it need be
    EXPECT_EQ(utf8("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // half a pair
    EXPECT_EQ(utf8("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
    EXPECT_EQ(utf8("\xe2\x82"), "\\xe2\\x82");
}

}  // namespace
}  // namespace pgweir::proxy::http

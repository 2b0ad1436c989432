#include "proxy/http_get.hpp"

#include <fmt/format.h>

#include "pool/net/address.hpp"

namespace pgweir::proxy {

namespace {

constexpr std::size_t answer_max = 1 << 20;  // bytes

protocol::Error failed(const char* text) {
    return {protocol::sqlstate::connection_failure, protocol::Origin::server, text};
}

}  // namespace

void HttpGet::start(const config::Endpoint& at, std::string path, std::int64_t timeout_us) {
    expire_in(timeout_us);
    story_.start(worker_.loop, run(at, std::move(path)));
}

net::Task<void> HttpGet::run(config::Endpoint at, std::string path) {
    auto body = co_await get(std::move(at), std::move(path));
    finish(std::move(body));
}

net::Task<protocol::Result<std::string>> HttpGet::get(config::Endpoint at, std::string path) {
    const auto found =
        co_await net::resolve(worker_.loop, worker_.shared.offload, at.host, at.port);
    if (found.has_error()) co_return found.error();
    const auto fd = co_await net::connect(worker_.loop, found->front(), {});
    if (fd.has_error()) co_return fd.error();
    socket_.open(worker_.loop, *fd);
    socket_.send(fmt::format("GET {} HTTP/1.0\r\nHost: {}:{}\r\nAccept: application/json\r\n"
                             "Connection: close\r\n\r\n",
                             path, at.host, at.port));
    std::string answer;
    while (!socket_.eof()) {
        while (socket_.readable() && answer.size() < answer_max) {
            char bytes[4096];
            const std::size_t size = socket_.receive(bytes, sizeof bytes);
            answer.append(bytes, size);
            if (socket_.eof()) break;
        }
        if (answer.size() >= answer_max) co_return failed("the answer is too large");
        if (!socket_.eof()) co_await readable_;
    }
    co_return body_of(answer);
}

void HttpGet::finish(protocol::Result<std::string> body) {
    cancel();
    socket_.close();
    done_(std::move(body));
}

void HttpGet::expired() {
    story_.cancel();
    finish(failed("no answer in time"));
}

protocol::Result<std::string> body_of(std::string_view answer) {
    const std::size_t end = answer.find("\r\n\r\n");
    const std::size_t space = answer.find(' ');
    if (!answer.starts_with("HTTP/1.") || end == std::string_view::npos || space > end)
        return failed("not an answer of HTTP");
    const std::string_view status = answer.substr(space + 1, 3);
    if (status != "200") {
        return protocol::Error{protocol::sqlstate::config_file_error, protocol::Origin::server,
                               fmt::format("HTTP status {}", status)};
    }
    return std::string(answer.substr(end + 4));
}

}  // namespace pgweir::proxy

#include "proxy/http_call.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "pool/net/address.hpp"
#include "protocol/base64.hpp"

namespace pgweir::proxy {

namespace {

constexpr std::size_t answer_max = 1 << 20;  // bytes

protocol::Error failed(std::string text) {
    return {protocol::sqlstate::connection_failure, protocol::Origin::server, std::move(text)};
}

}  // namespace

void HttpCall::start(Request request, std::int64_t timeout_us) {
    expire_in(timeout_us);
    story_.start(worker_.loop, run(std::move(request)));
}

net::Task<void> HttpCall::run(Request request) {
    auto body = co_await ask(std::move(request));
    finish(std::move(body));
}

net::Task<protocol::Result<std::string>> HttpCall::ask(Request request) {
    const auto found = co_await net::resolve(worker_.loop, worker_.shared.offload, request.at.host,
                                             request.at.port);
    if (found.has_error()) co_return found.error();
    const auto fd = co_await net::connect(worker_.loop, found->front(), {});
    if (fd.has_error()) co_return fd.error();
    socket_.open(worker_.loop, *fd);
    if (request.tls) {
        const auto secured = co_await secure(request.ca_file, request.at.host);
        if (secured.has_error()) co_return secured.error();
    }
    socket_.send(request_text(request));
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

net::Task<protocol::Result<void>> HttpCall::secure(std::string ca_file, std::string host) {
    const net::TlsContextPtr context = worker_.tls->for_https(ca_file);
    if (!context) co_return failed("the TLS settings have changed meanwhile");
    socket_.start_tls(context, host);
    while (true) {
        const net::Tls::Step step = socket_.handshake();
        if (step == net::Tls::Step::done) co_return protocol::Result<void>();
        if (step == net::Tls::Step::failed)
            co_return failed("TLS handshake failed: " + socket_.tls()->failure());
        co_await readable_;
    }
}

void HttpCall::finish(protocol::Result<std::string> body) {
    cancel();
    socket_.close();
    done_(std::move(body));
}

void HttpCall::expired() {
    story_.cancel();
    finish(failed("no answer in time"));
}

std::string request_text(const HttpCall::Request& request) {
    std::string text =
        fmt::format("{} {} HTTP/1.0\r\nHost: {}:{}\r\nAccept: application/json\r\n",
                    request.json ? "POST" : "GET", request.path, request.at.host, request.at.port);
    if (!request.user_password.empty()) {
        text += fmt::format("Authorization: Basic {}\r\n",
                            protocol::base64_encode(request.user_password));
    }
    if (request.json) {
        text += fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n",
                            request.json->size());
    }
    return text + "Connection: close\r\n\r\n" + request.json.value_or("");
}

protocol::Result<std::string> body_of(std::string_view answer) {
    const std::size_t end = answer.find("\r\n\r\n");
    const std::size_t space = answer.find(' ');
    if (!answer.starts_with("HTTP/1.") || end == std::string_view::npos || space > end)
        return failed("not an answer of HTTP");
    const std::string_view status = answer.substr(space + 1, 3);
    const std::string_view body = answer.substr(end + 4);
    if (status != "200") {
        constexpr std::size_t shown_max = 200;
        const std::string_view line = body.substr(0, std::min(body.find('\n'), shown_max));
        return protocol::Error{
            protocol::sqlstate::config_file_error, protocol::Origin::server,
            fmt::format("HTTP status {}{}{}", status, line.empty() ? "" : ": ", line)};
    }
    return std::string(body);
}

}  // namespace pgweir::proxy

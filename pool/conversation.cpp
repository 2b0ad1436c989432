#include "pool/conversation.hpp"

#include <algorithm>

#include "protocol/startup.hpp"

namespace pgweir::pool {

net::Task<bool> Conversation::more() {
    while (true) {
        const std::size_t before = inbox_.size();
        if (socket_.readable()) {
            inbox_.keep(inbox_.fill(socket_, worker_.page.get(), Worker::page_size));
            if (inbox_.size() > before) co_return true;
            ended_ = socket_.eof();
            if (ended_) co_return false;
            continue;
        }
        co_await signal_;
    }
}

net::Task<protocol::Result<Conversation::Message>> Conversation::message(std::size_t payload_max,
                                                                         protocol::Origin sender) {
    while (true) {
        const auto cut = protocol::first_frame(inbox_.kept(), payload_max, sender);
        if (cut.has_error()) co_return cut.error();
        if (*cut && (*cut)->missing == 0) {
            Message message{(*cut)->type, {}};
            constexpr std::size_t long_enough = 64;  // to be moved on, and not copied
            message.payload.reserve(std::max((*cut)->payload.size(), long_enough));
            message.payload = (*cut)->payload;
            const std::string rest(inbox_.kept().substr((*cut)->size()));
            constexpr char password = 'p';
            if (message.type == password) inbox_.keep(std::string(inbox_.size(), '\0'));
            inbox_.keep(rest);
            co_return message;
        }
        if (!co_await more()) {
            co_return protocol::Error{protocol::sqlstate::connection_failure, sender,
                                      "unexpected eof"};
        }
    }
}

net::Task<Conversation::Failure> Conversation::secure(net::TlsContextPtr context,
                                                      std::string_view host,
                                                      protocol::Origin peer) {
    socket_.start_tls(std::move(context), host, inbox_.kept());
    inbox_.keep({});
    while (true) {
        switch (socket_.handshake()) {
            case net::Tls::Step::done: co_return Failure();
            case net::Tls::Step::wants_input: co_await signal_; break;
            case net::Tls::Step::failed:
                co_return protocol::Error{protocol::sqlstate::connection_failure, peer,
                                          "TLS handshake failed: " + socket_.tls()->failure()};
        }
    }
}

net::Task<protocol::Result<bool>> Conversation::ask_for_tls(net::TlsContextPtr context,
                                                            std::string host) {
    const auto bad = [](const char* text) {
        return protocol::Error{protocol::sqlstate::connection_failure, protocol::Origin::server,
                               text};
    };
    if (context->direct()) {
        if (const Failure failure = co_await secure(context, host, protocol::Origin::server))
            co_return *failure;
        // Without it who answers could be any server, or have been made to believe anything.
        if (!socket_.tls()->protocol_agreed())
            co_return bad("server did not agree on ALPN in direct TLS");
        co_return true;
    }
    std::string request;
    protocol::write_ssl_request(request);
    socket_.send(request);
    if (!co_await more()) co_return bad("unexpected eof");
    const char answer = inbox_.kept().front();
    // What stands here could have been put here by anybody, an error's text as well.
    if (answer != 'S' && answer != 'N') co_return bad("server refused to negotiate TLS");
    if (inbox_.size() > 1) co_return bad("received unencrypted data after SSL response");
    inbox_.keep({});
    if (answer == 'N') co_return false;
    if (const Failure failure =
            co_await secure(std::move(context), host, protocol::Origin::server)) {
        co_return *failure;
    }
    co_return true;
}

}  // namespace pgweir::pool

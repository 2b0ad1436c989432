#include "pool/conversation.hpp"

namespace pgweir::pool {

net::Task<bool> Conversation::more() {
    while (true) {
        const std::size_t before = inbox_.size();
        if (socket_.readable()) {
            inbox_.keep(inbox_.fill(socket_, worker_.page.get(), Worker::page_size));
            if (inbox_.size() > before) co_return true;
            if (socket_.eof()) co_return false;
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
            Message message{(*cut)->type, std::string((*cut)->payload)};
            inbox_.keep(inbox_.kept().substr((*cut)->size()));
            co_return message;
        }
        if (!co_await more()) {
            co_return protocol::Error{protocol::sqlstate::connection_failure, sender,
                                      "unexpected eof"};
        }
    }
}

}  // namespace pgweir::pool

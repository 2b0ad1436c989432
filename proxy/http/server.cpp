#include "proxy/http/server.hpp"

#include <array>
#include <cassert>
#include <csignal>
#include <map>
#include <optional>

#include <pthread.h>
#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "pool/net/log.hpp"

namespace pgweir::proxy::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace wire = boost::beast::http;
using asio::ip::tcp;
using Failure = beast::error_code;

/// Everything in it belongs to the server's thread; it outlives that, for replies that come late.
struct Server::Core {
    asio::io_context io{1};  // first: the others refer to it until they end
    tcp::acceptor acceptor{io};
    asio::steady_timer again{io};
    Handler handler;
    Headers headers;
    Limits limits;
    std::map<std::uint64_t, std::shared_ptr<Session>> sessions;  // by number
    std::uint64_t numbers = 0;
    std::weak_ptr<Core> self;

    void accept();
    void accepted(tcp::socket socket);
    void make_room();
};

/// One connection. What is under way keeps it alive; the core knows it as long as it is open.
class Server::Session : public std::enable_shared_from_this<Session> {
public:
    Session(Core& core, std::uint64_t number, tcp::socket socket)
        : core_(core),
          number_(number),
          stream_(std::move(socket)),
          timer_(core.io) {}

    void wait_for_request();
    void close();
    /// Since when nothing has come from it; nullopt: a request is under way.
    std::optional<asio::steady_timer::time_point> silent_since() const { return silent_since_; }
    /// The handler's answer to the request of this number.
    void answer(std::uint64_t request, const Make& make);

private:
    void read_header();
    void header_came(Failure failure);
    void handle();
    void refuse(wire::status status, std::string_view text);
    void respond(Response response, bool keep_alive);
    void sent(Failure failure);
    void drain();

    Core& core_;
    const std::uint64_t number_;
    beast::tcp_stream stream_;
    beast::flat_buffer buffer_{2 * header_max};
    asio::steady_timer timer_;
    std::optional<wire::request_parser<wire::empty_body>> parser_;
    std::optional<wire::response<wire::string_body>> response_;
    std::optional<wire::response_serializer<wire::string_body>> serializer_;
    std::optional<asio::steady_timer::time_point> silent_since_;
    std::uint64_t request_ = 0;
    bool answered_ = true;
    std::array<char, 4096> rest_{};  // of what nobody wants to read
    std::size_t drained_ = 0;
};

void Server::Session::wait_for_request() {
    if (buffer_.size() > 0) return read_header();
    silent_since_ = asio::steady_timer::clock_type::now();
    stream_.expires_after(core_.limits.silence);
    stream_.async_read_some(buffer_.prepare(1024),
                            [self = shared_from_this()](Failure failure, std::size_t size) {
                                self->silent_since_.reset();
                                if (failure) return self->close();
                                self->buffer_.commit(size);
                                self->read_header();
                            });
}

void Server::Session::read_header() {
    parser_.emplace();
    parser_->header_limit(header_max);
    stream_.expires_after(core_.limits.request);
    wire::async_read_header(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](Failure failure, std::size_t) { self->header_came(failure); });
}

void Server::Session::header_came(Failure failure) {
    if (failure == wire::error::header_limit || failure == wire::error::buffer_overflow)
        return refuse(wire::status::request_header_fields_too_large, "the request is too large");
    const bool malformed = failure.category() == Failure(wire::error::bad_method).category();
    if (malformed && failure != wire::error::end_of_stream &&
        failure != wire::error::partial_message) {
        return refuse(wire::status::bad_request, "this is no HTTP request");
    }
    if (failure) return close();
    const wire::verb method = parser_->get().method();
    if (method != wire::verb::get && method != wire::verb::head)
        return refuse(wire::status::method_not_allowed, "only GET and HEAD are served");
    if (!parser_->is_done()) return refuse(wire::status::payload_too_large, "no body is wanted");
    handle();
}

void Server::Session::handle() {
    const auto& asked = parser_->get();
    const std::string_view target = asked.target();
    const std::uint64_t number = ++request_;
    answered_ = false;
    stream_.expires_never();
    timer_.expires_after(core_.limits.reply);
    timer_.async_wait([self = shared_from_this(), number](Failure failure) {
        if (failure) return;
        self->answer(number, [] { return Response{503, {}, "no answer in time\n"}; });
    });
    core_.handler(
        {std::string(target.substr(0, target.find('?'))), std::string(asked[wire::field::host])},
        [core = core_.self, session = number_, number](Make make) {
            const auto live = core.lock();
            if (!live) return;
            asio::post(live->io, [here = live.get(), session, number, make = std::move(make)] {
                const auto found = here->sessions.find(session);
                if (found != here->sessions.end()) found->second->answer(number, make);
            });
        });
}

void Server::Session::answer(std::uint64_t request, const Make& make) {
    if (request != request_ || answered_) return;
    answered_ = true;
    timer_.cancel();
    respond(make(), parser_->get().keep_alive());
}

void Server::Session::refuse(wire::status status, std::string_view text) {
    respond({static_cast<unsigned>(status), {}, std::string(text) + "\n"}, false);
}

void Server::Session::respond(Response response, bool keep_alive) {
    const bool head = parser_->is_header_done() && parser_->get().method() == wire::verb::head;
    serializer_.reset();
    response_.emplace(wire::int_to_status(response.status), 11);
    for (const auto& [name, value] : core_.headers) response_->set(name, value);
    for (const auto& [name, value] : response.headers) response_->set(name, value);
    if (response.status == 405) response_->set(wire::field::allow, "GET, HEAD");
    response_->set(wire::field::content_type,
                   response.type.empty() ? "text/plain; charset=utf-8" : response.type);
    response_->body() = std::move(response.body);
    response_->content_length(response_->body().size());
    response_->keep_alive(keep_alive);
    serializer_.emplace(*response_);
    stream_.expires_after(core_.limits.sending);
    auto done = [self = shared_from_this()](Failure failure, std::size_t) { self->sent(failure); };
    if (head) {
        wire::async_write_header(stream_, *serializer_, std::move(done));
    } else {
        wire::async_write(stream_, *serializer_, std::move(done));
    }
}

void Server::Session::sent(Failure failure) {
    const bool keep_alive = response_->keep_alive();
    serializer_.reset();
    response_.reset();
    if (failure) return close();
    if (keep_alive) return wait_for_request();
    Failure ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(std::chrono::seconds(1));
    drain();
}

/// What the client still sends is taken, up to a point: closing at once would make its system throw
/// away what it has not read of the answer.
void Server::Session::drain() {
    constexpr std::size_t drained_max = 1 << 18;
    stream_.async_read_some(asio::buffer(rest_),
                            [self = shared_from_this()](Failure failure, std::size_t size) {
                                self->drained_ += size;
                                if (failure || self->drained_ > drained_max) return self->close();
                                self->drain();
                            });
}

void Server::Session::close() {
    timer_.cancel();
    stream_.close();
    answered_ = true;
    core_.sessions.erase(number_);
}

void Server::Core::accept() {
    acceptor.async_accept([this](Failure failure, tcp::socket socket) {
        if (failure == asio::error::operation_aborted) return;
        if (!failure) {
            accepted(std::move(socket));
            return accept();
        }
        // Out of descriptors, most likely.
        again.expires_after(std::chrono::milliseconds(200));
        again.async_wait([this](Failure stopped) {
            if (!stopped) accept();
        });
    });
}

void Server::Core::accepted(tcp::socket socket) {
    if (sessions.size() >= limits.connections) make_room();
    if (sessions.size() >= limits.connections) return;  // it is closed
    const std::uint64_t number = ++numbers;
    const auto session = std::make_shared<Session>(*this, number, std::move(socket));
    sessions.emplace(number, session);
    session->wait_for_request();
}

void Server::Core::make_room() {
    std::shared_ptr<Session> longest;
    for (const auto& [number, session] : sessions) {
        const auto since = session->silent_since();
        if (since && (!longest || *since < *longest->silent_since())) longest = session;
    }
    if (longest) longest->close();
}

Server::Server(int socket, Handler handler, Headers headers, Limits limits)
    : core_(std::make_shared<Core>()) {
    core_->self = core_;
    core_->handler = std::move(handler);
    core_->headers = std::move(headers);
    core_->limits = limits;
    sockaddr_storage at{};
    socklen_t size = sizeof at;
    [[maybe_unused]] const int known =
        getsockname(socket, static_cast<sockaddr*>(static_cast<void*>(&at)), &size);
    assert(known == 0);
    core_->acceptor.assign(at.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(), socket);
    core_->accept();
    thread_ = std::thread([core = core_] {
        pthread_setname_np(pthread_self(), "http");
        core->io.run();
    });
}

Server::~Server() {
    core_->io.stop();
    thread_.join();
}

int Server::socket() const { return core_->acceptor.native_handle(); }

}  // namespace pgweir::proxy::http

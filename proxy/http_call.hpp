// One request over HTTP/1.0, or HTTPS, within a time limit.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "config/cluster.hpp"
#include "pool/net/socket.hpp"
#include "pool/net/task.hpp"
#include "pool/worker.hpp"

namespace pgweir::proxy {

/// Resource; one request at a time, on its worker.
class HttpCall final : private net::Socket::Owner, private net::Timer {
public:
    /// What is asked for. Value.
    struct Request {
        config::Endpoint at{};
        bool tls = false;
        std::string ca_file{};  // with `tls`: a setting of the configuration; "" = the system's
        std::string path{};
        std::string user_password{};        // "user:password" for basic authentication; "" = none
        std::optional<std::string> json{};  // the body of a POST; nullopt: it is a GET
    };
    /// Hears of each end once; it must neither begin another one nor destroy this.
    using Done = std::function<void(protocol::Result<std::string> body)>;

    HttpCall(pool::Worker& worker, Done done)
        : net::Timer(worker.loop),
          worker_(worker),
          done_(std::move(done)) {}

    /// Errors   08006 when it fails, takes too long or is nobody to be trusted, F0000 for another
    ///          answer than 200.
    void start(Request request, std::int64_t timeout_us);

private:
    net::Task<void> run(Request request);
    net::Task<protocol::Result<std::string>> ask(Request request);
    net::Task<protocol::Result<void>> secure(std::string ca_file, std::string host);
    void finish(protocol::Result<std::string> body);
    void on_readable() override { readable_.set(true); }
    void on_drained() override {}
    void expired() override;

    pool::Worker& worker_;
    const Done done_;
    net::Socket socket_{*this};
    net::Signal<bool> readable_;
    net::Story story_;
};

/// The bytes of a request.
std::string request_text(const HttpCall::Request& request);

/// The body of an answer; see HttpCall::start() for errors, which have the first line of the body.
protocol::Result<std::string> body_of(std::string_view answer);

}  // namespace pgweir::proxy

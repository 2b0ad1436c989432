// One GET over HTTP/1.0, within a time limit.
#pragma once

#include <functional>
#include <string>

#include "config/cluster.hpp"
#include "pool/net/socket.hpp"
#include "pool/net/task.hpp"
#include "pool/worker.hpp"

namespace pgweir::proxy {

/// Resource; one request at a time, on its worker.
class HttpGet final : private net::Socket::Owner, private net::Timer {
public:
    /// `done` hears of each end once; it must neither begin another one nor destroy this.
    using Done = std::function<void(protocol::Result<std::string> body)>;

    HttpGet(pool::Worker& worker, Done done)
        : net::Timer(worker.loop),
          worker_(worker),
          done_(std::move(done)) {}

    /// Errors   08006 when it fails or takes too long, F0000 for another answer than 200.
    void start(const config::Endpoint& at, std::string path, std::int64_t timeout_us);

private:
    net::Task<void> run(config::Endpoint at, std::string path);
    net::Task<protocol::Result<std::string>> get(config::Endpoint at, std::string path);
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

/// The body of an answer; see HttpGet::start() for errors.
protocol::Result<std::string> body_of(std::string_view answer);

}  // namespace pgweir::proxy

// A switchover that Patroni carries out.
#pragma once

#include <optional>
#include <string>

#include "health/patroni.hpp"
#include "proxy/drain.hpp"
#include "proxy/http_call.hpp"

namespace pgweir::proxy {

/// Resource; on its worker.
class PatroniSwitchover {
public:
    PatroniSwitchover(pool::Worker& worker, const config::Health& health);

    /// Does Patroni know both nodes, and does `from` lead? To be asked before anybody waits.
    net::Task<Trouble> prepare(const config::Endpoint& from, const config::Endpoint& to);
    /// Tells it, after prepare() went well. It goes on by itself from then on.
    void begin(std::int64_t timeout_us);
    /// Why it is not going to happen, as far as is known by now.
    Trouble trouble() const;

private:
    net::Task<protocol::Result<std::string>> call(HttpCall::Request request,
                                                  std::int64_t timeout_us);

    net::Loop& loop_;
    const config::Health health_;
    std::optional<protocol::Result<std::string>> answer_;  // to what was asked last
    HttpCall call_;
    HttpCall::Request order_;
};

}  // namespace pgweir::proxy

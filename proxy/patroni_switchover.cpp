#include "proxy/patroni_switchover.hpp"

#include <utility>

namespace pgweir::proxy {

PatroniSwitchover::PatroniSwitchover(pool::Worker& worker, const config::Health& health)
    : loop_(worker.loop),
      health_(health),
      call_(worker, [this](protocol::Result<std::string> body) { answer_ = std::move(body); }) {}

net::Task<protocol::Result<std::string>> PatroniSwitchover::call(HttpCall::Request request,
                                                                 std::int64_t timeout_us) {
    answer_.reset();
    call_.start(std::move(request), timeout_us);
    while (!answer_) co_await net::Sleep(loop_, 1'000);
    co_return *answer_;
}

net::Task<Trouble> PatroniSwitchover::prepare(const config::Endpoint& from,
                                              const config::Endpoint& to) {
    std::string why = "health.patroni has no URL";
    for (const std::string& text : health_.patroni) {
        const auto url = health::patroni_url(text);
        if (!url) continue;
        HttpCall::Request question{
            .at = url->at, .tls = url->tls, .ca_file = health_.patroni_ca_file, .path = "/cluster"};
        const auto body = co_await call(std::move(question), health_.timeout.count());
        const auto members = body.has_value()
                                 ? health::read_patroni_members(*body)
                                 : protocol::Result<std::vector<health::Member>>(body.error());
        if (members.has_error()) {
            why = members.error().message;
            continue;
        }
        auto json = health::patroni_switchover(*members, from, to);
        if (json.has_error()) co_return json.error().message;
        order_ = {.at = url->at,
                  .tls = url->tls,
                  .ca_file = health_.patroni_ca_file,
                  .path = "/switchover",
                  .user_password = url->user_password,
                  .json = std::move(*json)};
        co_return std::nullopt;
    }
    co_return "no answer from Patroni: " + why;
}

void PatroniSwitchover::begin(std::int64_t timeout_us) {
    answer_.reset();
    call_.start(order_, timeout_us);
}

Trouble PatroniSwitchover::trouble() const {
    if (!answer_ || answer_->has_value()) return std::nullopt;
    return "Patroni: " + answer_->error().message;
}

}  // namespace pgweir::proxy

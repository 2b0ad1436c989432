#include "proxy/prober.hpp"

#include <fmt/format.h>

#include "proxy/node_query.hpp"

namespace pgweir::proxy {

Prober::Prober(Listener& listener, pool::Registry& registry, pool::Worker& on,
               const config::Cluster& cluster, const config::Endpoint& node)
    : pool::OwnErrand(on),
      net::Timer(on.loop),
      listener_(listener),
      worker_(on),
      node_(node),
      timeout_us_(cluster.health.timeout.count()),
      pool_(registry, {cluster.name, cluster.health.user, {}}, settings_for_node(on, cluster, node),
            totals_, totals_) {
    pool_.internal = true;
    pool_.server_protocol = protocol::protocol_3_0;  // not worth a question
    pool_.set_credentials({.user = cluster.health.user,
                           .secret = cluster.health.password,
                           .client_key = {},
                           .server_key = {}});
}

Prober::~Prober() {
    const auto found = worker_.servers.find(server_id_);
    if (server_id_ == 0 || found == worker_.servers.end()) return;
    found->second->release();
    found->second->close("the monitor is done");
}

void Prober::ask() {
    timed_out_ = false;
    expire_in(timeout_us_);
    if (server_) return send_question();
    const std::uint32_t id = pool_.open_apart(worker_, *this);
    if (worker_.servers.contains(id)) server_id_ = id;
}

void Prober::send_question() {
    sent_us_ = net::monotonic_us();
    expire_in(timeout_us_);
    server_->run_own(health::probe_sql());
}

void Prober::granted(pool::Server& server) {
    server_ = &server;
    server_id_ = server.id();
    send_question();
}

void Prober::own_done(pool::Backend::OwnAnswer answer) {
    cancel();
    if (answer.error) return listener_.failed(node_, health::failure_of(*answer.error));
    const auto read = answer.rows.size() == 1 ? health::read_answer(answer.rows.front())
                                              : health::read_answer({});
    if (read.has_error()) return listener_.failed(node_, health::failure_of(read.error()));
    listener_.answered(node_, *read, sent_us_);
}

void Prober::lost(const protocol::Error& error) {
    cancel();
    server_ = nullptr;
    server_id_ = 0;
    if (timed_out_) {
        return listener_.failed(node_, {health::Failure::Kind::timed_out,
                                        fmt::format("no answer within {} ms", timeout_us_ / 1000)});
    }
    listener_.failed(node_, health::failure_of(error));
}

void Prober::expired() {
    timed_out_ = true;
    hang_up();
}

void Prober::hang_up() {
    const auto found = worker_.servers.find(server_id_);
    if (found != worker_.servers.end()) found->second->close("health.timeout");
}

}  // namespace pgweir::proxy

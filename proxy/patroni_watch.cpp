#include "proxy/patroni_watch.hpp"

#include "health/cluster.hpp"
#include "pool/net/log.hpp"

namespace pgweir::proxy {

using net::log::Level;

PatroniWatch::PatroniWatch(pool::Worker& worker, const config::Cluster& cluster, Tell tell)
    : net::Timer(worker.loop),
      cluster_(cluster.name),
      urls_(cluster.health.patroni),
      ca_file_(cluster.health.patroni_ca_file),
      interval_us_(cluster.health.interval.count()),
      timeout_us_(cluster.health.timeout.count()),
      tell_(std::move(tell)),
      call_(worker, [this](const protocol::Result<std::string>& body) { answered(body); }) {
    expire_in(1);
}

void PatroniWatch::expired() {
    const auto url = health::patroni_url(urls_[next_]);
    if (!url) {
        net::log::print(Level::error, {}, "cluster {}: health.patroni[{}]: not a URL", cluster_,
                        next_);
        next_ = (next_ + 1) % urls_.size();
        return expire_in(60'000'000);
    }
    at_ = health::name_of(url->at);
    call_.start({.at = url->at, .tls = url->tls, .ca_file = ca_file_, .path = "/cluster"},
                timeout_us_);
}

void PatroniWatch::answered(const protocol::Result<std::string>& body) {
    protocol::Result<std::optional<health::Leader>> leader = std::optional<health::Leader>();
    if (body.has_error()) {
        leader = body.error();
    } else {
        leader = health::read_patroni_cluster(*body);
    }
    expire_in(interval_us_);
    if (leader.has_value()) {
        failures_ = 0;
        return tell_(*leader);
    }
    if (++failures_ == urls_.size()) {
        net::log::print(Level::warning, {}, "cluster {}: no answer from Patroni, {}: {}", cluster_,
                        at_, leader.error().message);
    }
    next_ = (next_ + 1) % urls_.size();
}

}  // namespace pgweir::proxy

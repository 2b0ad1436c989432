#include "proxy/fence_peers.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

#include <fmt/format.h>

#include "health/cluster.hpp"
#include "health/patroni.hpp"
#include "pool/net/log.hpp"

namespace pgweir::proxy {

using net::log::Level;

namespace {

constexpr int default_port = 9127;
constexpr std::int64_t shortest_us = 1'000'000;  // between two rounds: each is a connection

}  // namespace

std::string fence_path(const std::string& cluster) {
    std::string path = "/fence/";
    for (const char c : cluster) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = byte < 0x80 && (std::isalnum(byte) != 0 || c == '-' || c == '_');
        path += plain ? std::string(1, c) : fmt::format("%{:02X}", byte);
    }
    return path;
}

FencePeers::FencePeers(pool::Worker& worker, const config::Cluster& cluster, Heard heard)
    : net::Timer(worker.loop),
      cluster_(cluster.name),
      interval_us_(std::max<std::int64_t>(cluster.health.interval.count(), shortest_us)),
      timeout_us_(cluster.health.timeout.count()),
      heard_(std::move(heard)) {
    for (const std::string& text : cluster.failover.peers) {
        const auto url = health::rest_url(text, default_port);
        if (!url) continue;
        auto peer = std::make_unique<Peer>();
        peer->name = health::name_of(url->at);
        peer->question = {.at = url->at,
                          .tls = url->tls,
                          .ca_file = cluster.failover.peers_ca_file,
                          .path = fence_path(cluster.name),
                          .user_password = url->user_password};
        peer->call = std::make_unique<HttpCall>(
            worker, [this, its = peer.get()](const protocol::Result<std::string>& body) {
                answered(*its, body);
            });
        peers_.push_back(std::move(peer));
    }
    expire_in(1);
}

void FencePeers::expired() {
    expire_in(interval_us_);
    for (const auto& peer : peers_) {
        if (std::exchange(peer->busy, true)) continue;
        peer->call->start(peer->question, timeout_us_);
    }
}

void FencePeers::answered(Peer& peer, const protocol::Result<std::string>& body) {
    peer.busy = false;
    peer.asked = true;
    auto fence = body.has_value() ? health::parse_fence(*body, cluster_)
                                  : protocol::Result<health::Fence>(body.error());
    if (fence.has_value()) {
        peer.told = false;
        heard_.fence(*fence);
    } else if (!std::exchange(peer.told, true)) {
        net::log::print(Level::warning, {}, "cluster {}: no answer from the peer {}: {}", cluster_,
                        peer.name, fence.error().message);
    }
    const bool all = std::ranges::all_of(peers_, [](const auto& one) { return one->asked; });
    if (all && !std::exchange(all_asked_, true)) heard_.all();
}

}  // namespace pgweir::proxy

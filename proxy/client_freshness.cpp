// What a client of a cluster's entry has to be shown: the wait for a replica that can, tokens, and
// what its answers mean for the next read.
#include "proxy/client.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

using protocol::TxStatus;

std::optional<health::Token> Client::causal_token() {
    const health::Topology* const topology = routing_->cluster->topology();
    if (!topology) return std::nullopt;
    health::resolve(routing_->bound, *topology);
    return health::token_of(routing_->bound, *topology);
}

void Client::claim_token() {
    const auto claim = routing_->take_claim();
    const health::Topology* const topology = routing_->cluster->topology();
    if (claim && topology) health::raise(routing_->bound, *topology, *claim, net::monotonic_us());
}

/// No replica shows enough, as far as is known: they are asked, and it waits. False: it goes to the
/// primary, and they are asked when that has answered.
/// `until_us`: it has waited already, for so long at most; 0: it has not.
bool Client::wait_for_replica(std::int64_t until_us) {
    constexpr std::int64_t gap_us = 2'000;
    const health::Topology& topology = *routing_->cluster->topology();
    const std::int64_t wait_us = routing_->cluster->settings()->reads.wait.count();
    const std::int64_t now_us = shard_.worker.loop.now_us();
    if (wait_us == 0 || (until_us != 0 && until_us <= now_us)) return false;
    bool near = false;
    for (std::size_t i = 0; i < topology.nodes.size(); ++i)
        near |= health::is_near(topology, i, wait_us);
    if (!near) return false;
    shard_.want_sample(topology.cluster, gap_us);
    routing_->request.waits_until_us = until_us > 0 ? until_us : now_us + wait_us;
    shard_.fresh_wait.add(id_, routing_->request.waits_until_us);
    return true;
}

/// What may be the news of a write is about to go out: from here on everybody may know of it.
void Client::note_acknowledged() {
    const bool over = server_->backend().tx() == TxStatus::idle || routing_->request.ends;
    if (over && server_->pool().node().empty()) shard_.process.note_write(net::monotonic_us());
}

/// The server has answered everything, and no transaction is open.
void Client::note_unit_done() {
    const health::Topology* const topology = routing_->cluster->topology();
    const bool on_replica = !server_->pool().node().empty();
    routing_->request.for_primary = false;
    if (on_replica) {
        NodeLoad* const home = routing_->home;
        if (topology && home && home->place != NodeLoad::nowhere)
            health::note_read(routing_->bound, *topology, home->place, net::monotonic_us());
        if (const std::int64_t asked_us = std::exchange(routing_->request.asked_us, 0)) {
            const std::int64_t now_us = shard_.worker.loop.now_us();
            home->answered(now_us - asked_us, now_us);
        }
    } else if (routing_->request.dirties) {
        const std::int64_t now_us = net::monotonic_us();
        health::note_write(routing_->bound, now_us);
        shard_.process.note_write(now_us);
    } else if (routing_->request.shows) {
        health::note_shown(routing_->bound, net::monotonic_us());
        // Only what is asked for now covers it.
        constexpr std::int64_t gap_us = 25'000;
        if (routing_->request.sent.cause == Cause::not_fresh)
            shard_.want_sample(routing_->cluster->name(), gap_us);
    }
    RoutedRequest& request = routing_->request;
    if (request.alters) {
        shard_.process.catalogs().changed(
            {routing_->rules().cluster, pool_->settings(shard_.worker).database.dbname});
    }
    request.dirties = request.shows = request.alters = request.ends = request.holds = false;
    request.again = request.withholds = false;
    request.tries = request.refusals = 0;
    request.refused_by = nullptr;
    routing_->transaction_over();
}

}  // namespace pgweir::proxy

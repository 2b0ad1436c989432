// What passes with time for a client: its limits, the notice that it waits, how long it is pinned.
#include "proxy/client.hpp"

#include <bit>

#include "pool/net/log.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

void Client::check_timeouts(std::int64_t now_us) {
    if (shard_.process.shutting_down() == Shutdown::wait_for_servers && waiting()) {
        return close(
            {protocol::sqlstate::admin_shutdown, protocol::Origin::proxy, "server shutting down"});
    }
    if (state_ == ClientState::login) return check_login(now_us);
    if (!pool_ || attendant_) return;
    if (pins_ != 0) warn_pinned(now_us);
    if (wants_token_ && !in_doubt() && causal_token()) {
        wants_token_ = false;
        return consume_kept();
    }
    if (unasked_ && server_->close_needed) give_up();
    const bool at_rest = query_began_us_ == 0 && xact_began_us_ == 0;
    if (session_mode_ && server_ && server_->close_needed && at_rest &&
        shard_.worker.config->settings.server_fast_close) {
        return close({protocol::sqlstate::admin_shutdown, protocol::Origin::proxy,
                      "database configuration changed"});
    }
    if (state_ == ClientState::waiting) notify_waiting(now_us);
    if (server_ && session_ && session_->may_give_way()) give_way(now_us);
    const config::PoolLimits& limits = pool_->settings(shard_.worker).limits;
    const auto over = [now_us](std::int64_t from_us, config::Duration limit) {
        return limit.count() > 0 && from_us > 0 && now_us - from_us > limit.count();
    };
    const auto end = [this](const protocol::Sqlstate& state, const char* text) {
        close({state, protocol::Origin::client, text});
    };
    if (query_began_us_ != 0 && over(query_began_us_, limits.query_timeout)) {
        return end(protocol::sqlstate::query_canceled, server_ ? "query timeout" : "query_timeout");
    }
    if (server_ && over(xact_began_us_, limits.transaction_timeout)) {
        return end(protocol::sqlstate::idle_in_transaction_timeout, "transaction timeout");
    }
    if (server_ && query_began_us_ == 0 && xact_began_us_ != 0 &&
        over(request_us_, limits.idle_transaction_timeout)) {
        return end(protocol::sqlstate::idle_in_transaction_timeout, "idle transaction timeout");
    }
    // Who is pinned is as idle without a request as who has no server.
    const bool resting = pins_ != 0 && at_rest;
    if ((state_ == ClientState::idle || resting || unasked_) &&
        over(std::max(request_us_, connected_us_), idle_timeout(limits))) {
        return end(protocol::sqlstate::idle_session_timeout, "client_idle_timeout");
    }
}

std::size_t Client::held_bytes() const {
    std::size_t bytes = sizeof *this + kept_bytes() + unsent_bytes() +
                        frontend_.statements().bytes() + vars()->bytes() + startup_->bytes();
    if (session_) bytes += sizeof *session_;
    if (routing_) {
        const RoutedRequest& request = routing_->request;
        bytes += sizeof *routing_ + request.replay.size() + request.withheld.size();
    }
    if (listening_) bytes += sizeof *listening_ + listening_->due_bytes();
    return bytes;
}

/// Who logs in waits for a server as others do.
void Client::check_login(std::int64_t now_us) {
    const auto end = [this](const protocol::Sqlstate& state, const char* text) {
        close({state, protocol::Origin::client, text});
    };
    const bool queued = pool_ && waiting();
    if (queued) {
        const std::int64_t query_us = pool_->settings(shard_.worker).limits.query_timeout.count();
        if (query_us > 0 && now_us - since_us > query_us)
            return end(protocol::sqlstate::query_canceled, "query_timeout");
    }
    const std::int64_t most_us = shard_.worker.config->settings.client_login_timeout.count();
    if (most_us == 0 || now_us - connected_us_ <= most_us) return;
    end(protocol::sqlstate::protocol_violation,
        queued ? "client_login_timeout (server down)" : "client_login_timeout");
}

/// It is the client's user whose patience counts, not the entry's forced one.
config::Duration Client::idle_timeout(const config::PoolLimits& limits) const {
    const config::Config& config = *shard_.worker.config;
    if (user_ == pool_->user() || config.users.empty()) return limits.client_idle_timeout;
    const config::Database& entry = pool_->settings(shard_.worker).database;
    return config::limits_of(config, entry, config.user(user_)).client_idle_timeout;
}

/// A server that is kept for the sake of currval() only goes to those who wait, after a while.
void Client::give_way(std::int64_t now_us) {
    constexpr std::int64_t kept_us = 1'000'000;
    const bool at_rest = query_began_us_ == 0 && xact_began_us_ == 0 && !in_doubt() &&
                         server_->backend().settled() && !frontend_.mid_message();
    if (!at_rest || now_us - request_us_ < kept_us) return;
    if (server_->pool().counts(now_us).waiting == 0) return;
    session_->give_way();
    rest();
}

void Client::notify_waiting(std::int64_t now_us) {
    const std::int64_t after_us = shard_.worker.config->settings.query_wait_notify.count();
    if (notified_ || after_us == 0 || now_us - since_us < after_us) return;
    notified_ = true;
    std::string notice;
    protocol::write_notice(
        notice, protocol::Severity::notice, protocol::sqlstate::successful_completion,
        "No server connection available in postgres backend, client being queued");
    socket_.send(notice);
}

void Client::note_pins() {
    const router::Traces before = std::exchange(pins_, session_->pins());
    for (router::Traces taken = pins_ & ~before; taken != 0; taken &= taken - 1)
        stats_->pin_counts[static_cast<std::size_t>(std::countr_zero(taken))].add(1);
    if (before != 0 && pins_ != 0) return;
    pinned_since_us_ = pins_ != 0 ? shard_.worker.loop.now_us() : 0;
    pin_warned_ = false;
}

void Client::warn_pinned(std::int64_t now_us) {
    const std::int64_t after_us = shard_.worker.config->native.pin_warn_after.count();
    const std::int64_t age_us = now_us - pinned_since_us_;
    if (pin_warned_ || after_us == 0 || age_us <= after_us) return;
    pin_warned_ = true;
    log(net::log::Level::warning, "pinned to its server for {}s: {}", age_us / 1'000'000,
        pin_text(pins_));
}

}  // namespace pgweir::proxy

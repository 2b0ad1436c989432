// The end of a client, of its request, or of its wait.
#include "pool/cancel.hpp"
#include "pool/net/log.hpp"
#include "proxy/client.hpp"
#include "proxy/login.hpp"
#include "proxy/process.hpp"
#include "proxy/socket_peer.hpp"

namespace pgweir::proxy {

using net::log::Level;

namespace {

void log_end(const Client& client, std::string_view reason) {
    const pool::Worker& worker = client.shard().worker;
    if (!worker.config->settings.log_disconnections || reason.empty()) return;
    const std::int64_t age_s = (worker.loop.now_us() - client.connected_us()) / 1'000'000;
    client.log(Level::log, "closing because: {} (age={}s)", reason, age_s);
}

}  // namespace

void Client::cancel_passed_on(std::string_view outcome) {
    if (login_) login_->cancel_passed_on(outcome);
}

void Client::cancel(pool::CancelHold hold) {
    if (attendant_) return attendant_->cancel(std::move(hold));
    if (server_ && query_began_us_ != 0) return pool::cancel_query(*server_, std::move(hold));
    pool::ended(hold, "cancel request for idle client");
    if (state_ != ClientState::waiting) return;
    target_->stop_waiting(*this);
    drop_waiting({protocol::sqlstate::query_canceled, protocol::Origin::client,
                  "canceling statement due to user request"});
}

/// The request that waits for a server is not carried out.
void Client::drop_waiting(const protocol::Error& error) {
    state_ = ClientState::idle;
    query_began_us_ = xact_began_us_ = 0;
    if (routing_ && routing_->status() != protocol::TxStatus::idle) {
        routing_->fail(error);  // in the transaction that the client has begun
    } else {
        count_error(error);
        protocol::Segments& replies = shard_.worker.segments;
        replies.clear();
        const std::size_t dropped = frontend_.drop_request(inbox_.kept(), error, replies);
        deliver(replies);
        inbox_.keep(inbox_.kept().substr(dropped));
    }
    socket_.resume();
    if (!inbox_.empty()) consume(inbox_.kept());
}

void Client::refused(const protocol::Error& error) {
    if (login_) return login_->server_refused(error);
    const bool no_node = error.origin == protocol::Origin::proxy &&
                         error.sqlstate == protocol::sqlstate::cannot_connect_now;
    const bool at_replica = routing_ && target_ != pool_;
    // It does not let this user in, or has not got the role or the database yet.
    const bool unwelcome = at_replica && error.origin == protocol::Origin::server;
    if (!routing_ || !(no_node || unwelcome)) return close(error);
    if (!at_replica) return drop_waiting(error);
    // The replica has gone: another, or the primary. Not from here, which may be amid checkout().
    constexpr unsigned at_once = 4, refusals_max = 80;
    constexpr std::int64_t pause_us = 50'000;
    RoutedRequest& request = routing_->request;
    request.refused_by = routing_->home;
    request.for_primary = unwelcome || ++request.refusals > refusals_max;
    if (!unwelcome && request.refusals % at_once == 0) {
        // It waits for the primary, if there is one, and is looked at again.
        request.no_replica_until_us = shard_.worker.loop.now_us() + pause_us;
        shard_.fresh_wait.add(id_, request.no_replica_until_us);
    }
    state_ = ClientState::waiting;
    shard_.worker.loop.post([&shard = shard_, id = id_] {
        const auto found = shard.clients.find(id);
        if (found == shard.clients.end()) return;
        Client& client = *found->second;
        if (client.state_ != ClientState::waiting || client.server_) return;
        client.target_->stop_waiting(client);  // should it have been given another request since
        client.state_ = ClientState::idle;
        client.go_on();
    });
}

void Client::close(const protocol::Error& error) {
    if (state_ == ClientState::closed) return;
    const config::Settings& settings = shard_.worker.config->settings;
    if (settings.log_pooler_errors) {
        log(Level::warning, "pooler error: {}", error.message);
    }
    count_error(error);
    log_end(*this, error.message);  // who has been told may look for it in the log
    // Behind half a message it would be read as the rest of that.
    if (server_ && server_->backend().passing() > 0) return sever();
    std::string farewell;
    protocol::write_error(farewell, protocol::Severity::fatal, error.sqlstate, error.message,
                          error.detail, error.hint);
    socket_.send(farewell);
    sever();
}

/// That we tell the client.
void Client::count_error(const protocol::Error& error) {
    (stats_ ? stats_->own_errors : shard_.errors).count(error.sqlstate);
}

void Client::hang_up(std::string_view reason) {
    if (state_ == ClientState::closed) return;
    log_end(*this, reason);
    sever();
}

void Client::sever() {
    state_ = ClientState::closed;
    set_unasked(false);
    net::Loop& loop = shard_.worker.loop;
    shard_.end_login(id_);
    if (login_) loop.bury(std::move(login_));  // before the attendant: it may wait for it
    if (attendant_) {
        attendant_->closed();
        loop.bury(std::move(attendant_));
    }
    socket_.close();
    if (cancel_key_ != 0) shard_.process.cancel_keys().take_back(cancel_key_);
    if (counted_) shard_.process.client_left(*this);
    if (target_) target_->stop_waiting(*this);
    if (routing_) routing_->leave_home();
    if (hub_) hub_->set({shard_.worker.index, id_}, {}, 0);
    loop.bury(std::move(shard_.clients.extract(id_).mapped()));
    if (pool::Server* const server = std::exchange(server_, nullptr)) {
        if (query_began_us_ != 0 && !server->backend().settled() && !server->busy_with_own())
            pool::cancel_abandoned(*server);
        if (session_ && (session_->pins() != 0 || session_->unsettled() || server->busy_with_own()))
            server->soil(session_->spoils_server());
        server->pool().give_back(*server);
    }
    shard_.load.fetch_sub(1, std::memory_order_relaxed);
    shard_.process.client_gone();
}

void Client::refresh() {
    if (!pool_) return;
    const auto& config = *shard_.worker.config;
    if (!config.database(pool_->database()) && !config.database("*")) {
        return close(
            {protocol::sqlstate::admin_shutdown, protocol::Origin::proxy, "database removed"});
    }
    if (!login_) set_up_routing();  // else it is not known yet how it is pooled
}

std::string Client::log_context() const {
    const std::string at =
        address_.is_unix()
            ? fmt::format("unix({}):{}", pid_of(*this), shard_.worker.config->settings.listen_port)
            : address_.text();
    return fmt::format("C-{}: {}/{}@{} ", static_cast<const void*>(this),
                       database_.empty() ? "(nodb)" : database_, user_.empty() ? "(nouser)" : user_,
                       at);
}

}  // namespace pgweir::proxy

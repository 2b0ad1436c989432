#include "pool/server.hpp"

#include <cassert>

#include "pool/net/log.hpp"
#include "pool/pool.hpp"
#include "pool/server_login.hpp"
#include "protocol/requests.hpp"

namespace pgweir::pool {

using net::log::Level;

namespace {

constexpr int rounds_max = 16;                 // pages read before others have their turn
constexpr std::size_t moved_min = 128 * 1024;  // bytes left of a message from which splice() pays

/// Whether a replication connection was to end, nobody here knows.
protocol::Error ended(const Server& server) {
    return {protocol::sqlstate::connection_failure, protocol::Origin::server,
            server.replication() ? "server closed the connection" : "server conn crashed?"};
}

}  // namespace

std::string_view state_text(ServerState state) {
    switch (state) {
        case ServerState::login: return "new";
        case ServerState::idle: return "idle";
        case ServerState::active: return "active";
        case ServerState::tested: return "tested";
        case ServerState::canceling: return "being_canceled";
        case ServerState::closed: return "justfree";
    }
    return "";
}

Server::Server(Worker& worker, Pool& pool, std::uint32_t id, protocol::Vars startup)
    : epoch(pool.epoch()),
      worker_(&worker),
      pool_(pool),
      vars_(worker.shared.vars.empty()),
      startup_(std::move(startup)),
      id_(id) {
    this->ServerPlace::worker = worker.index;
    connected_us_ = worker.loop.now_us();
    if (pool.settings(worker).of_cluster()) backend_.conceal_node();
}

Server::~Server() = default;

void Server::open() {
    login_ = std::make_unique<ServerLogin>(*this);
    login_->start();
}

void Server::logged_in() {
    fresh_vars_ = vars_;
    const std::string from = net::local_address(socket_.fd()).text();
    net::log::print(pool_.internal ? Level::debug : Level::log, log_context(),
                    "new connection to server (from {})", from);
    worker_->loop.bury(std::move(login_));
    state_ = ServerState::idle;
    pool_.opened(*this);
}

void Server::login_failed(const protocol::Error& error) { close(error); }

void Server::obey(const PoolSettings& settings) {
    backend_.forbid_blocks(settings.limits.mode == config::PoolMode::statement);
}

bool Server::lend(Peer& peer) {
    assert(state_ != ServerState::closed && !peer_ && backend_.settled());
    peer_ = &peer;
    state_ = ServerState::active;
    request_us = worker_->loop.now_us();
    const PoolSettings& settings = pool_.settings(*worker_);
    obey(settings);
    const bool stale = idle_since_us != 0 && request_us - idle_since_us > settings.check_delay_us;
    if (peer.vars() == vars_ && !stale) return true;
    std::string script = protocol::set_script(*vars_, *peer.vars(), *fresh_vars_);
    if (!script.empty()) {
        net::log::print(Level::debug, log_context(), "varcache_apply: {}", script);
    } else if (!stale || !settings.check_query) {
        return true;
    } else {
        script = *settings.check_query;
    }
    lending_ = true;
    run_own(script);
    return false;
}

void Server::run_own(std::string_view sql) {
    std::string query;
    protocol::write_query(query, sql);
    backend_.pipeline().push({protocol::Request::query, protocol::Reply::skip, {}, {}});
    backend_.statements().set_unnamed({}, 0);  // a simple query drops it
    own_running_ = true;
    socket_.send(query);
}

void Server::tidy(std::string_view sql) {
    state_ = ServerState::tested;
    run_own(sql);
}

void Server::tidy_all() {
    state_ = ServerState::tested;
    if (own_running_) return;  // own_done() comes back to it
    soiled_ = false;
    vars_ = fresh_vars_;
    backend_.sequences_of = 0;
    run_own("DISCARD ALL");
}

void Server::on_readable() {
    if (login_) return login_->input();
    for (int round = 0; socket_.readable(); ++round) {
        if (round == rounds_max) return socket_.yield();
        if (move_past()) continue;
        const Bytes input = inbox_.fill(socket_, worker_->page.get(), Worker::page_size);
        if (socket_.eof()) return close(ended(*this));
        if (!take(input)) return;
    }
}

bool Server::move_past() {
    net::Socket* const to = peer_ ? peer_->output() : nullptr;
    if (!to || backend_.passing() < moved_min || !inbox_.empty() || !worker_->pipe.usable() ||
        !socket_.can_move_to(*to)) {
        return false;
    }
    const std::size_t moved = socket_.move(*to, worker_->pipe, backend_.passing());
    if (socket_.eof()) return false;
    backend_.passed(moved);
    pool_.stats(*worker_).sent.add(moved);
    reply_bytes += moved;
    if (peer_->full()) socket_.pause();
    return true;
}

/// Its node is down for certain. What it may have said before is not passed on: see Aim::trusted.
void Server::on_hangup() {
    if (pool_.settings(*worker_).of_cluster() && pool_.held()) close(ended(*this));
}

void Server::doubt(bool doubted) {
    if (!doubted) {
        doubted_since_us_ = 0;
    } else if (doubted_since_us_ == 0) {
        doubted_since_us_ = worker_->loop.now_us();
    }
    socket_.hold(net::Socket::doubted, doubted);
    if (peer_) peer_->server_doubted(doubted);
}

bool Server::awaited() const {
    return peer_ && (peer_->is_asking() || (!backend_.settled() && !busy_with_own()));
}

void Server::on_drained() {
    if (peer_) peer_->server_drained();
}

bool Server::take(Bytes input) {
    protocol::Segments& out = worker_->segments;
    out.clear();
    const auto taken = backend_.scan(input, out);
    if (taken.has_error()) {
        close(taken.error());
        return false;
    }
    if (backend_.findings().more || !backend_.pipeline().undone().empty()) report_findings();
    if (!out.empty()) {
        reply_bytes += out.size();
        if (peer_) {
            peer_->deliver(out);
            if (state_ == ServerState::closed) return false;
            if (peer_ && peer_->full()) socket_.pause();
        } else if (!backend_.findings().fatal && state_ != ServerState::idle) {
            // Nobody asked for it.
            close("server sent data to nobody");
            return false;
        }
    }
    inbox_.keep(input.substr(*taken));  // not before: `out` has slices of it
    const Backend::Findings& found = backend_.findings();
    if (!found.ready && !found.own_ready) return state_ != ServerState::closed;
    // From here on the server may change hands, and even its thread.
    if (socket_.readable()) socket_.yield();
    if (!found.own_ready) {
        if (peer_) peer_->settled();
        return false;
    }
    // Then it stays, or is closed, and the scan has left what came behind our answer.
    const bool asked = !backend_.settled();
    own_done();
    return asked && state_ != ServerState::closed && take(inbox_.kept());
}

void Server::report_findings() {
    const Backend::Findings& found = backend_.findings();
    if (!found.again.empty()) socket_.send(found.again);
    for (const auto& [name, value] : found.parameters) {
        if (pool_.tracks(name)) vars_ = worker_->shared.vars.with(vars_, name, value);
        if (peer_) peer_->parameter(name, value);
    }
    for (const protocol::Sqlstate& sqlstate : found.errors) {
        if (peer_) pool_.stats(*worker_).server_errors.count(sqlstate);
    }
    if (found.fatal) {
        close_needed = true;
        net::log::print(Level::warning, log_context(), "server said: {}",
                        found.fatal_error->message);
    }
    if (!backend_.pipeline().undone().empty()) {
        if (peer_) peer_->undone(backend_.pipeline().undone());
        backend_.pipeline().undone().clear();
    }
    const bool said = !found.notifications.empty() || !found.echoes.empty();
    if (said && peer_) peer_->notified(found.notifications, found.echoes);
    if (found.discarded_all && peer_) peer_->discarded_all();
    if (found.schema_changed && peer_) peer_->schema_changed(found.functions_changed);
}

void Server::own_done() {
    own_running_ = false;
    Backend::OwnAnswer answer = backend_.take_own_answer();
    if (std::exchange(lending_, false) && peer_ && !answer.error) vars_ = peer_->vars();
    if (peer_) return peer_->own_done(std::move(answer));
    if (soiled_) return tidy_all();
    if (answer.error) {
        net::log::print(Level::warning, log_context(), "reset query failed: {}",
                        answer.error->message);
        return close("reset query failed");
    }
    pool_.tidied(*this);
}

void Server::close(std::string_view reason) {
    close({protocol::sqlstate::connection_failure, protocol::Origin::proxy, std::string(reason)});
}

void Server::close(const protocol::Error& error) {
    if (state_ == ServerState::closed) return;
    const std::int64_t age_s = (worker_->loop.now_us() - connected_us_) / 1'000'000;
    net::log::print(pool_.internal ? Level::debug : Level::log, log_context(),
                    "closing because: {} (age={}s)",
                    replication() && refused_login(error) ? "login failed" : error.message, age_s);
    const ServerState was = state_;
    state_ = ServerState::closed;
    if (login_) worker_->loop.bury(std::move(login_));
    if (socket_.is_open() && was != ServerState::login && backend_.settled()) {
        std::string goodbye;
        protocol::write_terminate(goodbye);
        socket_.send(goodbye);
    }
    socket_.close();
    Peer* const peer = std::exchange(peer_, nullptr);
    std::unique_ptr<Server> self = std::move(worker_->servers.extract(id_).mapped());
    worker_->loop.bury(std::move(self));
    pool_.closed(*this, was, error);
    if (peer) peer->lost(error);
}

/// What goes wrong on the way has the code of a broken connection; the server's words have theirs.
bool Server::refused_login(const protocol::Error& error) const {
    return backend_pid_ == 0 && error.origin == protocol::Origin::server &&
           !(error.sqlstate == protocol::sqlstate::connection_failure);
}

std::unique_ptr<Server> Server::depart() {
    socket_.leave();
    return std::move(worker_->servers.extract(id_).mapped());
}

Server& Server::arrive(std::unique_ptr<Server> server, Worker& worker) {
    Server& self = *server;
    self.worker_ = &worker;
    self.ServerPlace::worker = worker.index;
    worker.servers.emplace(self.id_, std::move(server));
    self.socket_.join(worker.loop);
    return self;
}

bool Server::can_move() {
    const bool plain = socket_.is_open() && !socket_.tls() && !apart_ && !replication() &&
                       !pool_.settings(*worker_).of_cluster();
    return plain && state_ == ServerState::active && !own_running_ && !soiled_ && cancels == 0 &&
           backend_.settled() && backend_.tx() == protocol::TxStatus::idle && inbox_.empty() &&
           socket_.all_sent();
}

std::pair<HandedServer, int> Server::move_out() {
    HandedServer handed{
        .address = address_,
        .host = host_,
        .connected_us = connected_us_,
        .backend_pid = backend_pid_,
        .cancel_key = cancel_key_,
        .close_needed = close_needed || epoch != pool_.epoch(),
        .startup = startup_->entries(),
        .vars = vars_->entries(),
        .fresh_vars = fresh_vars_->entries(),
    };
    const int fd = socket_.release();
    peer_ = nullptr;
    close("handed over");
    return {std::move(handed), fd};
}

void Server::move_in(const HandedServer& handed, int fd, Peer& holder) {
    protocol::VarTable& table = worker_->shared.vars;
    address_ = handed.address;
    host_ = handed.host;
    connected_us_ = handed.connected_us;
    backend_pid_ = handed.backend_pid;
    cancel_key_ = handed.cancel_key;
    close_needed = handed.close_needed;
    vars_ = table.of(handed.vars);
    fresh_vars_ = table.of(handed.fresh_vars);
    request_us = worker_->loop.now_us();
    obey(pool_.settings(*worker_));
    peer_ = &holder;
    state_ = ServerState::active;
    socket_.open(worker_->loop, fd);
}

std::string Server::node_text() const {
    if (address_.is_unix() || address_.empty()) return host_;
    return node_name({host_, address_.port()});
}

std::string Server::log_context() const {
    return fmt::format(
        "S-{}: {}/{}@{} ", static_cast<const void*>(this), pool_.database(), pool_.user(),
        address_.empty() ? host_.empty() ? "(unconnected)" : host_ : address_.text());
}

}  // namespace pgweir::pool

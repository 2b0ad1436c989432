// A client on its way from one process to the next: online restart.
#include "pool/net/log.hpp"
#include "proxy/client.hpp"
#include "proxy/login.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

bool Client::can_move() {
    const bool plain = !socket_.tls() && replication_ == Replication::none;
    const bool logged_in = !login_ && !attendant_ && pool_ && cancel_key_ != 0;
    const bool at_rest = inbox_.empty() && frontend_.at_rest();
    if (!plain || !logged_in || !at_rest) return false;
    if (routing_ && routing_->status() != protocol::TxStatus::idle) return false;
    if (listening_ && !listening_->can_move()) return false;
    const bool free = server_ ? server_can_move() : state_ == ClientState::idle;
    return free && socket_.all_sent();
}

/// What it holds its server for is all there, and the next process can be told of it.
bool Client::server_can_move() {
    constexpr router::Traces stays =
        router::trace::statements | router::trace::channels | pin_unknown;
    const bool at_rest = state_ == ClientState::active && query_began_us_ == 0 &&
                         xact_began_us_ == 0 && !preparing_ && !awaiting_ && !undecided_;
    const bool known =
        session_mode_ || (session_ && !session_->unsettled() && (session_->pins() & stays) == 0);
    return at_rest && known && server_->can_move();
}

void Client::move_if_due() {
    if (shard_.process.moves_clients() && can_move()) shard_.process.hand_over(*this);
}

Client::Moved Client::move_out() {
    Moved moved;
    HandedClient& handed = moved.client;
    handed.user = user_;
    handed.database = database_;
    handed.address = address_;
    handed.connected_us = connected_us_;
    handed.long_cancel_key = long_cancel_key_;
    handed.session_mode = session_mode_;
    handed.unasked = unasked_;
    handed.credentials = pool_->credentials();
    handed.vars = vars()->entries();
    handed.startup = session_mode_ ? startup_->entries() : handed.vars;
    if (session_) {
        handed.startup = session_->startup()->entries();
        handed.own = session_->own()->entries();
        handed.pins = session_->pins();
        handed.prepared = session_->prepared();
    }
    if (routing_) {
        handed.route = {.startup = routing_->startup(),
                        .settings = routing_->settings(),
                        .has_seen = !health::is_empty(routing_->bound)};
    }
    const std::uint64_t epoch = shard_.worker.shared.schema_epoch.load(std::memory_order_relaxed);
    const std::uint64_t context = session_ ? session_->context(epoch).value_or(0) : 0;
    for (const protocol::NamedStatementPtr& named : frontend_.statements().all()) {
        const protocol::Statement& statement = *named->statement;
        handed.statements.push_back({named->name, std::string(statement.query()),
                                     std::string(statement.types()),
                                     statement.context() == context});
    }
    const CancelKeys::Id key = std::exchange(cancel_key_, 0);
    handed.cancel_key = shard_.process.cancel_keys().take_out(key).value_or(CancelKey{});
    if (listening_) leave_hub(handed);
    if (pool::Server* const server = std::exchange(server_, nullptr)) {
        const bool sequences = server->backend().sequences_of == id_;
        std::tie(handed.server.emplace(), moved.server_fd) = server->move_out();
        handed.server->holders_sequences = sequences;
    }
    moved.fd = socket_.release();
    sever();
    return moved;
}

/// The hub goes on hearing for it until the next process's does.
void Client::leave_hub(HandedClient& handed) {
    const WantedChannels& wanted = listening_->wanted();
    if (!hub_ || wanted.empty()) return;
    for (const auto& [name, since] : wanted) handed.channels.names.push_back(name);
    handed.channels.echoes.assign(listening_->echoes().begin(), listening_->echoes().end());
    handed.channels.marker = hub_->marker();
    handed.channels.payload = Hub::farewell({shard_.worker.index, id_});
    shard_.departed.emplace(id_, Departed{handed.cancel_key, hub_, shard_.worker.loop.now_us()});
    shard_.process.count_departed(1);
    hub_ = nullptr;
}

void Client::move_in(const HandedClient& handed, int server_fd) {
    const config::ConfigPtr config = shard_.worker.config;
    user_ = handed.user;
    database_ = handed.database;
    connected_us_ = handed.connected_us;
    request_us_ = shard_.worker.loop.now_us();  // when it was: nobody has said
    long_cancel_key_ = handed.long_cancel_key;
    const auto refuse = [&](const protocol::Error& error) {
        pool_ = nullptr;
        if (server_fd >= 0) ::close(server_fd);
        close(error);
    };
    if (shard_.process.shutting_down() == Shutdown::now) {
        return refuse({protocol::sqlstate::admin_shutdown, protocol::Origin::proxy,
                       "pooler is shutting down"});
    }
    const auto database = shard_.process.database(*config, database_);
    if (!database) {
        return refuse(
            {protocol::sqlstate::admin_shutdown, protocol::Origin::proxy, "database removed"});
    }
    pool_ = &shard_.process.registry().pool(*config, *database, database->user.value_or(user_));
    shard_.process.client_moved_in(*this);
    pool_->change_credentials([&](pool::ServerCredentials known) {
        if (!known.secret.empty() || !known.client_key.empty()) return known;
        if (!handed.credentials.listed) return handed.credentials;
        const config::Credential* const listed = config->credential(handed.credentials.user);
        if (listed) known = handed.credentials, known.secret = listed->secret;
        return known;
    });
    protocol::VarTable& vars = shard_.worker.shared.vars;
    vars_ = vars.of(handed.startup);
    begin_session(vars.of(handed.own), handed.session_mode, handed.route.startup);
    if (routing_) take_route(handed.route);
    if (session_) session_->move_in(vars.of(handed.vars), handed.pins, handed.prepared);
    if (session_mode_) startup_ = std::exchange(vars_, vars.of(handed.vars));
    take_statements(handed);
    const ClientPlace place{shard_.worker.index, id_};
    if (shard_.process.cancel_keys().take_in(place, handed.cancel_key))
        cancel_key_ = CancelKeys::id_of(handed.cancel_key.pid, handed.cancel_key.secret);
    if (!handed.channels.names.empty() && session_) enter_hub(handed.channels);
    if (handed.server) hold_server(handed, server_fd);
}

/// Positions are not handed over: the primary's next one covers all that was there before.
void Client::take_route(const HandedClient::Route& route) {
    routing_->move_in(route.settings);
    if (!route.has_seen) return;
    const std::int64_t now_us = net::monotonic_us();
    health::note_write(routing_->bound, now_us);
    shard_.process.note_write(now_us);
}

void Client::take_statements(const HandedClient& handed) {
    const std::uint64_t epoch = shard_.worker.shared.schema_epoch.load(std::memory_order_relaxed);
    protocol::StatementTable& table = shard_.worker.shared.statements;
    const std::optional<std::uint64_t> context =
        session_ ? session_->context(epoch) : std::optional<std::uint64_t>(0);
    for (const HandedClient::Statement& statement : handed.statements) {
        const bool shared = statement.current && context;
        frontend_.statements().take_in(statement.name,
                                       table.intern(statement.query, statement.types,
                                                    shared ? *context : table.own_context()));
    }
}

/// This process's hub listens for it; what the last one's hears until then comes from there.
void Client::enter_hub(const HandedClient::Channels& channels) {
    listening_ = std::make_unique<Listening>();
    listening_->move_in(channels.names, channels.echoes);
    hub_ = &shard_.process.hubs().of(*pool_, shard_);
    const ClientPlace place{shard_.worker.index, id_};
    listening_->news_for_hub();
    hub_->set(place, listening_->wanted(), listening_->told_number());
    hub_->take_over(place, listening_->told_number(), channels.marker, channels.payload);
    if (cancel_key_ == 0) listening_->followed(true);  // it would not be found by what is heard
}

void Client::hold_server(const HandedClient& handed, int fd) {
    server_ = &pool_->move_in(shard_.worker, *this, *handed.server, fd);
    state_ = ClientState::active;
    if (handed.server->holders_sequences) server_->backend().sequences_of = id_;
    if (session_mode_) return set_unasked(handed.unasked);
    if (!session_) return server_->soil(true);  // as it is, nobody else can have it
    note_pins();
    if (listening_) restore_listening();
    // What it has prepared for us there goes by names that here mean something else.
    preparing_ = true;
    server_->run_own("DEALLOCATE ALL");
}

void Client::hear_from_predecessor(const HandedNotification& heard) {
    if (!listening_) return;
    if (heard.said) {
        listening_->from_predecessor(*heard.said, heard.as_pid);
    } else {
        listening_->followed(heard.missed);
    }
    deliver_due();
}

}  // namespace pgweir::proxy

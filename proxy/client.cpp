#include "proxy/client.hpp"

#include <cassert>

#include "pool/net/log.hpp"
#include "pool/release.hpp"
#include "proxy/login.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

using net::log::Level;
using protocol::TxStatus;

namespace {

constexpr int rounds_max = 16;                   // pages read before others have their turn
constexpr std::size_t moved_min = 128 * 1024;    // bytes left of a message from which splice() pays
constexpr std::size_t outstanding_max = 16'384;  // requests under way before the client is not read

}  // namespace

std::string_view state_text(ClientState state) {
    switch (state) {
        case ClientState::login: return "login";
        case ClientState::idle: return "idle";
        case ClientState::waiting: return "waiting";
        case ClientState::active: return "active";
        case ClientState::closed: return "justfree";
    }
    return "";
}

Client::Client(Shard& shard, std::uint32_t id, int fd, net::Address address)
    : shard_(shard),
      vars_(shard.worker.shared.vars.empty()),
      startup_(vars_),
      id_(id),
      address_(address) {
    worker = shard.worker.index;
    connected_us_ = shard.worker.loop.now_us();
    socket_.open(shard.worker.loop, fd);
}

Client::~Client() = default;

void Client::start() {
    if (!shard_.begin_login(*this)) return;
    login_ = std::make_unique<Login>(*this);
    login_->start();
}

void Client::on_readable() {
    if (login_) return login_->input();
    for (int round = 0; socket_.readable(); ++round) {
        if (round == rounds_max) return socket_.yield();
        if (move_past()) continue;
        // It does not take what it is answered here. (A server that is full stops by itself.)
        if (socket_.blocked() && !server_ && !attendant_) return socket_.pause();
        const std::size_t before = inbox_.size();
        const Bytes input = inbox_.fill(socket_, shard_.worker.page.get(), pool::Worker::page_size);
        if (socket_.eof()) {
            return hang_up("client unexpected eof");
        }
        if (input.size() == before) continue;
        if (stats_) stats_->received.add(input.size() - before);
        consume(input);
    }
}

bool Client::move_past() {
    net::Pipe& pipe = shard_.worker.pipe;
    if (!server_ || frontend_.passing() < moved_min || !inbox_.empty() || !pipe.usable() ||
        !socket_.can_move_to(server_->input())) {
        return false;
    }
    const std::size_t moved = socket_.move(server_->input(), pipe, frontend_.passing());
    if (socket_.eof()) return false;
    frontend_.passed(moved);
    stats_->received.add(moved);
    if (server_->full()) socket_.pause();
    return true;
}

void Client::consume(Bytes input) {
    if (attendant_) {
        attendant_->input(input);
        return;
    }
    if (preparing_ || awaiting_) {  // nothing is sent to a server that is not yet what was promised
        inbox_.keep(input);
        return socket_.pause();
    }
    if (server_ && lacks_channels(input)) return listen_first(input);
    if (server_ && routing_) return forward_routed(input);
    if (!server_) {
        if (!frontend_.wants_server(input) && !answer_alone(input)) return inbox_.keep(input);
        if (routing_) return route(input);
        restoring_ = may_want_channels(input);
        if (!checkout()) {
            inbox_.keep(input);
            return socket_.pause();
        }
    }
    forward(input, input.size());
}

bool Client::answer_alone(Bytes& input) {
    protocol::Segments& replies = shard_.worker.segments;
    replies.clear();
    const auto step = frontend_.answer_alone(input, rules(), replies);
    if (step.has_error()) {
        close(step.error());
        return false;
    }
    if (!replies.empty()) deliver(replies);
    input.remove_prefix(step->consumed);
    if (step->terminate) {
        hang_up("client close request");
        return false;
    }
    return step->wants_server;
}

/// A server now; or else it waits (or is refused, and then gone).
bool Client::checkout() {
    begin_request();
    while (true) {
        pool::Server* const server = target_->checkout(shard_.worker, *this);
        if (!server) {
            if (state_ == ClientState::idle) state_ = ClientState::waiting;
            notified_ = false;
            if (session_mode_) shard_.process.reclaim(*pool_);
            return false;
        }
        if (take_server(*server, 0)) return !preparing_;
    }
}

/// False when the server was started with other parameters than a session of this client needs: it
/// is gone then, and there is room for one that fits.
bool Client::take_server(pool::Server& server, std::int64_t waited_us) {
    if (session_mode_) {
        if (server.startup() != startup_) {
            server.close("startup parameters differ");
            return false;
        }
        const std::string* const name = vars_->find("application_name");
        const protocol::Vars fresh = server.vars();
        vars_ = name ? shard_.worker.shared.vars.with(fresh, "application_name", *name) : fresh;
    }
    server_ = &server;
    state_ = ClientState::active;
    stats_->wait_time.add(waited_us);
    waited_us_ = waited_us;
    preparing_ = !server.lend(*this);
    if (listening_) restore_listening();
    return true;
}

void Client::granted(pool::Server& server) {
    if (login_) return login_->server_granted(server);
    const std::int64_t waited_us = shard_.worker.loop.now_us() - since_us;
    state_ = ClientState::idle;
    if (!take_server(server, waited_us) && !checkout()) return;
    if (preparing_) return;
    consume(inbox_.kept());
    socket_.resume();
}

void Client::own_done(pool::Backend::OwnAnswer answer) {
    if (login_) return login_->server_answered(std::move(answer));
    if (handing_over_ != Listening::Due::nothing) return handed_over(answer);
    if (routing_ && routing_->request.leaving) return left_replica();
    if (!std::exchange(preparing_, false)) return learn(std::move(answer));
    if (routing_ && routing_->request.beginning) return begun_there(answer.error);
    const bool pinned = session_ && session_->pins() != 0;  // no other server would do
    if (answer.error && is_cancelled(*answer.error) && !pinned) {
        // Meant for the request that waits for it: that has not been sent.
        release_unused();
        return drop_waiting(*answer.error);
    }
    if (answer.error && routing_ && target_ != pool_ && !pinned) {
        // What the client's settings name, a role say, may not have come to the replica yet.
        routing_->request.for_primary = true;
        release_unused();
        return go_on();
    }
    if (answer.error) return close(*answer.error);
    if (restoring_) return restore_listening();
    deliver_servers_due();
    consume_kept();
    deliver_due();
}

void Client::learn(pool::Backend::OwnAnswer answer) {
    const bool again =
        answer.error && is_cancelled(*answer.error) && session_->ask_again();  // by rest()
    if (answer.error && !again) {
        log(Level::warning, "cannot ask for the session's state: {}", answer.error->message);
        session_->no_answer();
    } else if (!answer.error) {
        protocol::Vars have = server_->vars();
        session_->answer(answer.rows, server_->fresh_vars(), have);
        server_->set_vars(std::move(have));
        learn_channels();
    }
    own_over(std::exchange(awaiting_, false));
}

void Client::own_over(bool waited) {
    deliver_servers_due();
    if (server_->backend().settled()) {
        if (query_began_us_ != 0) end_request(server_->backend().tx() == TxStatus::idle);
        rest();
    }
    deliver_due();
    const bool ready = state_ != ClientState::closed && !preparing_ && !awaiting_;
    if (ready && (waited || undecided_)) consume_kept();
}

/// The first `size` bytes, and the data of a COPY behind them; the rest has to wait for the answer.
/// `first`: what was found about what they begin with.
void Client::forward(Bytes input, std::size_t size, const Unit* first) {
    constexpr char terminate = 'X';  // is no request
    if (query_began_us_ == 0 && input.front() != terminate) begin_request();
    protocol::Segments& out = shard_.worker.segments;
    out.clear();
    pool::Backend& backend = server_->backend();
    RequestRules rules = this->rules();
    QueryNotes notes{shard_.queries, *pool_, target_ != pool_};
    if (notes.book.counts()) rules.queries = &notes;
    if (routing_ && amid_request()) rules.unit_end = 0;
    // A client need not wait for a COPY to begin with its data.
    if (routing_ && size < input.size() && protocol::is_copy_data(input[size]))
        rules.unit_end = std::exchange(size, input.size());
    if (first && first->simple) rules.sql = first->sql, rules.familiar = first->familiar;
    const auto step = frontend_.translate(input.substr(0, size), rules, backend, out);
    if (notes.last) note_query(notes);
    if (session_ && session_->may_listen() && !listening_) start_listening();
    if (session_ && session_->take_may_notify()) note_notifier();
    if (!out.empty()) server_->send(out);
    if (step.has_error()) return close(step.error());
    inbox_.keep(input.substr(step->consumed));
    if (step->terminate) return hang_up("client close request");
    if (step->client_parses + step->server_parses + step->binds > 0) {
        stats_->client_parse_count.add(step->client_parses);
        stats_->server_parse_count.add(step->server_parses);
        stats_->bind_count.add(step->binds);
    }

    if (backend.pipeline().front_is_fake()) {
        out.clear();
        backend.flush_fakes(out);
        if (!out.empty()) deliver(out);
    }
    undecided_ = step->undecided || size < input.size();
    if (server_->full() || undecided_ || backend.pipeline().size() > outstanding_max)
        socket_.pause();
    if (backend.settled()) rest();  // what was left of a COPY that has failed
}

RequestRules Client::rules() const {
    const config::Settings& settings = shard_.worker.config->settings;
    RequestRules rules;
    rules.texts = &shard_.texts;
    rules.message_max =
        static_cast<std::size_t>(std::max<std::int64_t>(settings.max_packet_size, 0));
    rules.simple_query = !settings.disable_pqexec;
    if (routing_) rules.alone = routing_->status();
    if (!session_mode_) {
        rules.server_max = static_cast<std::size_t>(std::max(settings.max_prepared_statements, 0));
        rules.table = &shard_.worker.shared.statements;
        rules.session = session_.get();
        rules.client = id_;
        rules.schema_epoch = shard_.worker.shared.schema_epoch.load(std::memory_order_relaxed);
        rules.cache_unnamed = session_ && shard_.worker.config->native.cache_unnamed;
    }
    return rules;
}

void Client::deliver(const protocol::Segments& replies) {
    if (routing_ && routing_->request.withholds && withhold(replies)) return;
    if (routing_ && routing_->request.dirties && server_) note_acknowledged();
    if (stats_) stats_->sent.add(replies.size());
    socket_.send(replies);
    if (server_ && !undecided_ && !server_->full() &&
        server_->backend().pipeline().size() <= outstanding_max / 2) {
        socket_.resume();
    }
}

/// Which has no transaction blocks.
bool Client::is_pooled_by_statement() const {
    return pool_->settings(shard_.worker).limits.mode == config::PoolMode::statement;
}

void Client::refuse_block() {
    close(protocol::protocol_violation(protocol::Origin::client,
                                       "transaction blocks not allowed in statement pooling mode"));
}

void Client::on_drained() {
    if (attendant_) return attendant_->drained();
    if (server_) server_->resume();
    if (!server_ && state_ == ClientState::idle) socket_.resume();
    deliver_due();
}

/// Who leaves the queue has not run what he sent, and nothing more is sent to a server in doubt.
void Client::on_hangup() {
    if (state_ == ClientState::waiting || in_doubt()) hang_up("client unexpected eof");
}

void Client::parameter(std::string_view name, std::string_view value) {
    if (!vars()->find(name) && !pool_->tracks(name)) return;
    if (session_) return session_->report(name, value);
    vars_ = shard_.worker.shared.vars.with(vars_, name, value);
}

void Client::schema_changed(bool functions) {
    schema_changed_ = true;
    if (session_) session_->schema_changed();
    if (functions && pool_) shard_.process.function_book(database_).forget();
}

/// Others are not to rely any more on what statements meant before. Changes of temporary tables
/// are nobody else's.
void Client::publish_schema_change() {
    if (!std::exchange(schema_changed_, false)) return;
    if (session_ && (session_->pins() & router::trace::temporary) != 0) return;
    shard_.worker.shared.schema_epoch.fetch_add(1, std::memory_order_relaxed);
}

void Client::discarded_all() {
    if (!session_mode_ && server_ && !preparing_)  // else it was a query of ours
        frontend_.statements().discard_all(server_->backend().pipeline());
}

void Client::settled() {
    if (server_->backend().findings().block) return refuse_block();
    if (server_->backend().settled()) {
        if (routing_ && routing_->request.refused) return run_again();
        end_request(server_->backend().tx() == TxStatus::idle);
        rest();
    }
    deliver_due();
    if (undecided_ && state_ != ClientState::closed && !preparing_) consume_kept();
}

void Client::consume_kept() {
    undecided_ = false;
    go_on();
}

/// Takes up what is kept, and then input again, unless that has to wait for something.
void Client::go_on() {
    if (!inbox_.empty()) consume(inbox_.kept());
    const bool waits = state_ == ClientState::waiting || state_ == ClientState::closed ||
                       (routing_ && routing_->request.waits_until_us > 0);
    if (!waits && !undecided_) socket_.resume();
}

void Client::rest() {
    const pool::Backend& backend = server_->backend();
    query_began_us_ = 0;
    if (backend.tx() == TxStatus::idle) xact_began_us_ = 0;
    if (routing_ && backend.tx() == TxStatus::idle && backend.settled()) note_unit_done();
    const config::PoolMode mode = pool_->settings(shard_.worker).limits.mode;
    if (backend.tx() == TxStatus::idle && !(session_ && session_->unsettled()))
        publish_schema_change();
    if (!pool::may_release(session_mode_ ? config::PoolMode::session : mode, backend.tx(),
                           !frontend_.mid_message())) {
        return move_if_due();
    }
    if (!session_) return release_server();
    if (server_->backend().take_inserted()) session_->inserted();
    if (server_->backend().take_wrote()) session_->wrote();
    if (session_->take_sequences()) server_->backend().sequences_of = id_;
    if (backend.tx() == TxStatus::idle && session_->unsettled()) {
        stats_->question_count.add(1);
        server_->run_own(session_->ask(server_->backend().take_failed()));
        awaiting_ = session_->resets();
        return;
    }
    session_->transaction_over();
    if (hand_over()) return;
    if (session_->pins() != pins_) note_pins();
    if (pins_ == 0) return release_server();
    // It stays, and has to be what the client was promised: a RESET gives startup values back.
    if (server_->vars() == vars()) return move_if_due();
    const std::string script =
        protocol::set_script(*server_->vars(), *vars(), *server_->fresh_vars());
    server_->set_vars(vars());
    if (script.empty()) return;
    preparing_ = true;
    server_->run_own(script);
}

void Client::begin_request() {
    set_unasked(false);
    const std::int64_t now_us = shard_.worker.loop.now_us();
    // Counted when they begin, as in PgBouncer; their times when they are over.
    if (query_began_us_ == 0) stats_->query_count.add(1);
    request_us_ = query_began_us_ = now_us;
    if (xact_began_us_ != 0) return;
    xact_began_us_ = now_us;
    stats_->xact_count.add(1);
}

void Client::end_request(bool transaction_over) {
    const std::int64_t now_us = shard_.worker.loop.now_us();
    stats_->query_time.add(now_us - query_began_us_);
    note_answered(now_us - query_began_us_);
    query_began_us_ = 0;
    if (!transaction_over) {
        request_us_ = now_us;  // idle in transaction from here on
        return;
    }
    stats_->xact_time.add(now_us - xact_began_us_);
    xact_began_us_ = 0;
    if (query_details_) query_details_->traceparent.clear();
}

/// Its server is, or becomes, none of its own.
void Client::share_names(pool::Backend* server) {
    frontend_.statements().share_names(shard_.worker.shared.statements, server);
    if (session_) session_->shares_names();
}

void Client::release_server() {
    pool::Server* const server = std::exchange(server_, nullptr);
    state_ = ClientState::idle;
    server_doubted(false);
    frontend_.released();
    if (frontend_.statements().has_own_names()) share_names(&server->backend());
    noted_notifier_ = false;
    server->pool().give_back(*server);
    move_if_due();
}

/// What was cancelled, or refused, was ours: the client's request has not been sent. What else has
/// been done to the server for it, LISTENs say, is nobody's.
void Client::release_unused() {
    if (session_ && session_->unsettled()) server_->soil(false);
    release_server();
}

void Client::lost(const protocol::Error& error) {
    pool::Server* const gone = std::exchange(server_, nullptr);
    const bool told = gone && gone->backend().findings().fatal;
    const bool unasked = unasked_;
    set_unasked(false);
    server_doubted(false);
    if (login_) return login_->server_answered({{}, error});
    handing_over_ = Listening::Due::nothing;
    if (gone && routing_) return lost_in_cluster(*gone);
    share_names(nullptr);
    const bool keeps = session_ && session_->pins() != 0;  // what is gone now
    state_ = ClientState::idle;
    // Nothing of the request was sent: it takes another server.
    if (std::exchange(preparing_, false) && !keeps) return go_on();
    if (unasked && !told) return;  // it takes another when it needs one
    if (told) return hang_up("server conn crashed?");
    if (gone && gone->backend().passing() > 0) return hang_up(error.message);
    close({protocol::sqlstate::connection_failure, protocol::Origin::server, error.message});
}

}  // namespace pgweir::proxy

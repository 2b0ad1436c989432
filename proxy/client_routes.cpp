// A client of a cluster's entry: which of its servers each request goes to.
#include <algorithm>

#include "pool/net/log.hpp"
#include "proxy/client.hpp"
#include "proxy/explain_route.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

using protocol::TxStatus;
using router::Verdict;

namespace {

// Bytes. What is larger is for the primary, unread: waiting for all of it is not worth the memory.
constexpr UnitLimits unit_max{.read = 4 << 20, .other = 256 << 10};

/// The client's BEGIN for a replica, which refuses the very word READ WRITE: what it comes to.
std::string begin_on_replica(const router::TransactionOptions& options) {
    std::string sql = "BEGIN READ ONLY";
    if (options.repeatable_read) {
        sql += ", ISOLATION LEVEL REPEATABLE READ";
    } else if (options.serializable) {
        sql += ", ISOLATION LEVEL READ COMMITTED";
    }
    return sql;
}

/// The names of statements that a batch closes: up to an error, which PostgreSQL does not make of
/// closing one in a failed transaction.
std::vector<std::string_view> closed_by(Bytes unit, bool fails) {
    std::vector<std::string_view> names;
    bool skipping = false;
    while (!unit.empty()) {
        const auto cut = protocol::cut_frame(unit, protocol::payload_size_max);
        if (cut.cut != protocol::Cut::frame || cut.frame.missing > 0) break;
        const protocol::Frame& frame = cut.frame;
        unit.remove_prefix(frame.size());
        const bool asks = std::string_view("PBDE").find(frame.type) != std::string_view::npos;
        skipping = frame.type != 'S' && (skipping || (fails && asks));
        if (frame.type != 'C' || skipping) continue;
        const auto target = protocol::read_target(frame.payload);
        if (!target.has_error() && target->kind == 'S') names.push_back(target->name);
    }
    return names;
}

/// Bytes up to behind the next Sync; all, if there is none.
std::size_t up_to_sync(Bytes input) {
    std::size_t size = 0;
    while (size < input.size()) {
        const auto cut = protocol::cut_frame(input.substr(size), protocol::payload_size_max);
        if (cut.cut != protocol::Cut::frame || cut.frame.missing > 0) break;
        size += cut.frame.size();
        if (cut.frame.type == 'S') return size;
    }
    return input.size();
}

}  // namespace

router::Conditions Client::conditions() const {
    const Routing::Variables& variables = routing_->variables(vars());
    router::Conditions conditions;
    conditions.catalog = catalog_->catalog.get();
    conditions.suspect = catalog_->suspect();
    conditions.now_us = shard_.worker.loop.now_us();
    conditions.search_path = variables.search_path;
    conditions.user = pool_->user();
    conditions.standard_strings = variables.standard_strings;
    conditions.unsafe_encoding = variables.unsafe_encoding;
    return conditions;
}

/// `number`: of the statement, if it is of one that is prepared; 0: it is a text of the input.
Judged Client::judge(std::string_view sql, std::uint64_t number) {
    const router::Conditions conditions = this->conditions();
    const router::Familiar familiar =
        number == 0 ? shard_.texts.look_at(sql) : router::Familiar{false, number};
    Judged judged{shard_.router.judge(sql, conditions, familiar.number),
                  number == 0 ? familiar : router::Familiar()};
    for (const std::string& name : judged.verdict->executes) {
        const protocol::Statement* const meant = frontend_.statements().meant_by(name);
        if (judged.verdict->read && meant &&
            shard_.router.judge(meant->query(), conditions, meant->id())->read) {
            continue;
        }
        Verdict unsure;
        unsure.dirties = true;
        unsure.reason = router::Reason::prepared;
        judged.verdict = std::make_shared<const Verdict>(std::move(unsure));
        break;
    }
    return judged;
}

Unit Client::look_at(Bytes input) {
    struct Sources final : UnitSources {
        explicit Sources(Client& owner) : client(owner) {}
        Judged judge(std::string_view sql, std::uint64_t number) const override {
            return client.judge(sql, number);
        }
        const protocol::Statement* prepared(std::string_view name) const override {
            return client.frontend_.statements().meant_by(name);
        }
        Client& client;
    };
    return examine(input, unit_max, Sources(*this));
}

/// No server, and a request that may need one.
void Client::route(Bytes input) {
    const Unit unit = look_at(input);
    if (unit.extent == Unit::Extent::unfinished) return inbox_.keep(input);
    if (answer_here(unit, input)) return;
    pool::Pool* const target = choose_pool(unit);
    if (target) aim_at(*target);
    // A replica cannot listen, and nothing that runs there changes what is listened to.
    restoring_ = target == pool_ && may_want_channels(input);
    if (!target || !checkout()) {
        inbox_.keep(input);
        return socket_.pause();
    }
    begin_unit(unit, input);
}

/// True when the unit was answered without a server, or waits for what an answer needs.
bool Client::answer_here(const Unit& unit, Bytes input) {
    const bool own = unit.verdict && unit.verdict->kind == Verdict::Kind::own;
    const auto token = own ? causal_token() : std::nullopt;
    const bool shows_token = own && unit.verdict->own.action == router::OwnSetting::Action::show &&
                             unit.verdict->own.name != "pgweir.route" &&
                             unit.verdict->own.name != "pgweir.consistency";
    if (shows_token && !token && !routing_->failed()) {
        inbox_.keep(input);
        wants_token_ = true;
        socket_.pause();
        return true;
    }
    const Bytes bytes = input.substr(0, unit.size);
    const std::optional<LocalAnswer> answer =
        explains(unit) ? explain_route(*explained(unit.sql))
        : server_      ? routing_->answer_in_transaction(unit, server_->backend().tx(), token)
                       : routing_->answer(unit, bytes, token);
    if (!answer) return false;
    if (routing_->status() != TxStatus::idle && is_pooled_by_statement()) {
        refuse_block();
        return true;
    }
    claim_token();
    std::string replies;
    write_local_answer(replies, bytes, *answer);
    for (const std::string_view name : closed_by(bytes, answer->error.has_value()))
        frontend_.statements().forget(name);
    stats_->query_count.add(1);
    stats_->sent.add(replies.size());
    if (answer->error) count_error(*answer->error);
    socket_.send(replies);
    if (unit.extent == Unit::Extent::open && answer->error) frontend_.drop_batch();
    request_us_ = shard_.worker.loop.now_us();
    inbox_.keep(input.substr(unit.size));
    if (!inbox_.empty()) consume(inbox_.kept());
    return true;
}

/// The replica that the unit is for; nullptr: it is for the primary (or for what the entry's own
/// pool is of). `why`: for which reason.
NodeLoad* Client::find_replica(const Unit& unit, RouteReason& why) {
    KnownCluster& known = *routing_->cluster;
    const health::Topology* const topology = known.topology();
    const Routing::Aim aim = routing_->aim(unit, transaction_defaults());
    why = aim.why;
    routing_->request.replica_may_do = aim.replica || aim.without_primary;
    const bool no_primary = topology && !topology->takes_requests();
    if (!aim.replica && !(aim.without_primary && no_primary)) return nullptr;
    const config::Cluster* const cluster = topology ? known.settings() : nullptr;
    const RoutedRequest& request = routing_->request;
    const std::int64_t now_us = shard_.worker.loop.now_us();
    if (request.for_primary || !cluster || now_us < request.no_replica_until_us) {
        why = {request.for_primary && cluster ? Cause::again : Cause::no_replica};
        return nullptr;
    }
    const config::Consistency consistency = routing_->consistency();
    // Once: what is written while it waits need not be seen.
    if (consistency == config::Consistency::global && request.waits_until_us == 0)
        health::note_all_writes(routing_->bound, *topology, shard_.process.last_write_us());
    health::resolve(routing_->bound, *topology);
    Balance::Wish wish{routing_->bound, consistency, routing_->home};
    wish.but = request.refused_by;
    const auto& preferred = routing_->rules().preferred;
    if (preferred && preferred->target == config::Preference::Target::node)
        wish.prefers = &preferred->node;
    NodeLoad* const replica = known.balance.choose(*topology, wish, cluster->reads, now_us);
    if (!aim.replica && replica) why = {Cause::no_primary};
    if (!replica && aim.replica) {
        const bool any = std::ranges::any_of(topology->nodes, &health::NodeView::eligible);
        why = {any ? Cause::not_fresh : Cause::no_replica};
    }
    return replica;
}

/// Whose servers are to carry it out; nullptr: it waits for a replica, and comes here again.
pool::Pool* Client::choose_pool(const Unit& unit) {
    RouteReason& why = routing_->request.why.emplace();
    NodeLoad* const replica = find_replica(unit, why);
    const std::int64_t waited_us = std::exchange(routing_->request.waits_until_us, 0);
    if (!replica && why.cause == Cause::not_fresh && wait_for_replica(waited_us)) return nullptr;
    if (!replica) return pool_;
    if (routing_->home != replica) {
        if (routing_->home) routing_->home->leave();
        routing_->home = replica;
        routing_->home_pool = &shard_.read_pool(*pool_, replica->at());
        replica->settle();
    }
    return routing_->home_pool;
}

void Client::look_for_replica() {
    if (!routing_) return;
    const RoutedRequest& request = routing_->request;
    if (server_) return leave_primary();
    if (state_ == ClientState::idle && request.waits_until_us > 0) return go_on();
    if (state_ != ClientState::waiting || target_ != pool_ || !request.replica_may_do) return;
    // It keeps its place in the primary's queue unless a replica is certain.
    RouteReason why;
    if (!find_replica(look_at(inbox_.kept()), why)) return;
    target_->stop_waiting(*this);
    state_ = ClientState::idle;
    go_on();
}

/// A read that the primary has not answered runs on a replica when the primary is lost. One that
/// may only be late keeps what it was busy with while it was still well.
void Client::leave_primary() {
    const RoutedRequest& request = routing_->request;
    const Bytes read = preparing_ ? inbox_.kept() : request.again ? request.replay : Bytes();
    const bool stays = session_ && session_->pins() != 0;
    if (stays || read.empty() || !server_->pool().node().empty()) return;
    const health::Topology* const topology = routing_->cluster->topology();
    const config::Cluster* const cluster = routing_->cluster->settings();
    if (!cluster || !topology || topology->takes_requests()) return;
    const health::NodeView* const primary = topology->primary_node();
    const std::int64_t interval_us = cluster->health.interval.count();
    if (primary && query_began_us_ < primary->sampled_us - interval_us) return;
    RouteReason why;
    if (!find_replica(look_at(read), why)) return;
    server_->close({protocol::sqlstate::connection_failure, protocol::Origin::proxy,
                    "the primary does not answer"});
}

/// Neither an answer nor a refusal came from the replica that it was sent to. (That there is no
/// connection says nothing about the node: it may be this user whom it does not let in.)
void Client::read_lost() {
    const config::Cluster* const cluster = routing_->cluster->settings();
    if (!routing_->home || !cluster) return;
    const config::Endpoint& at = routing_->home->at();
    if (!routing_->home->missed(cluster->reads.ejection, shard_.worker.loop.now_us())) return;
    net::log::print(net::log::Level::warning, {},
                    "cluster {}: {}:{} loses one read after the other and gets none for a while",
                    cluster->name, at.host, at.port);
}

/// With a server that is the client's.
void Client::forward_routed(Bytes input) {
    const pool::Backend& backend = server_->backend();
    const bool on_replica = !server_->pool().node().empty();
    const bool beginning = routing_->request.beginning;
    const bool fresh = backend.settled() && (backend.tx() == TxStatus::idle || beginning);
    if (fresh && frontend_.left_over(input.front()) && !answer_alone(input))
        return inbox_.keep(input);
    if (amid_request() || input.front() == 'X') return forward_unit(input, input.size(), nullptr);
    // The server reads over the rest of a batch that has failed, and over nothing behind it.
    if (backend.pipeline().skipping()) return forward(input, up_to_sync(input));
    const Unit unit = look_at(input);
    // In a batch without a Sync it could not be answered before the batch, which has no end.
    const bool own = backend.pipeline().between_batches() && unit.verdict &&
                     (unit.verdict->kind == Verdict::Kind::own || explains(unit));
    // A question of ours about the session is soon answered, and then all of this is open again:
    // behind it the unit could not be taken back, and what it means may hang on the answer. What a
    // replica has refused runs again before it.
    const bool asks = !fresh && backend.tx() == TxStatus::idle && server_->busy_with_own();
    const bool writes = !on_replica && unit.verdict && unit.verdict->refused_read_only;
    const bool refused = !fresh && routing_->request.refused;
    if ((asks && !writes) || refused || (own && !backend.settled())) {
        undecided_ = true;
        inbox_.keep(input);
        return socket_.pause();
    }
    if (own && !beginning && answer_here(unit, input)) return;
    if (!fresh && !on_replica) {
        note_sent(input);
        return forward(input, input.size());
    }
    if (unit.extent == Unit::Extent::unfinished) return inbox_.keep(input);
    if (fresh) return begin_unit(unit, input);
    if (on_replica && !unit.read && !may_stay(unit)) return leave_replica(input);
    RoutedRequest& request = routing_->request;
    withhold_no_more();
    request.holds |= unit.verdict && unit.verdict->holds;
    note_route(unit, reason_of(unit));
    forward_unit(input, unit.size, &unit);
}

/// Its request is under way, and has been looked at as far as need be.
bool Client::amid_request() const {
    return frontend_.mid_message() || server_->backend().pipeline().copying_in();
}

/// What is behind the first `size` bytes is looked at by itself, when they are answered; at once
/// where no answer is to come, or none before more has been sent.
void Client::forward_unit(Bytes input, std::size_t size, const Unit* unit) {
    const std::size_t rest = input.size() - size;
    forward(input, size, unit);
    if (!undecided_ || preparing_ || state_ == ClientState::closed) return;
    const bool answered = !server_ || server_->backend().settled();
    const bool endless = rest > 0 && inbox_.size() == rest && server_ &&
                         !server_->backend().pipeline().between_batches();
    if (answered || endless) consume_kept();
}

/// More for the primary, in a transaction or a batch.
void Client::note_sent(Bytes input) {
    RoutedRequest& request = routing_->request;
    withhold_no_more();
    while (!input.empty()) {
        const Unit unit = look_at(input);
        const bool judged = unit.verdict && unit.extent != Unit::Extent::unfinished;
        request.dirties |= unit.dirties || !judged;
        request.shows |= unit.shows;
        request.alters |= judged && unit.verdict->alters;
        const bool ends = judged ? unit.verdict->kind == Verdict::Kind::end ||
                                       unit.verdict->kind == Verdict::Kind::several ||
                                       unit.verdict->reason == router::Reason::two_phase
                                 : unit.statements > 0;
        request.ends |= ends;
        if (unit.extent == Unit::Extent::unfinished) return;
        note_route(unit, unit.read ? RouteReason{Cause::in_transaction} : reason_of(unit));
        input.remove_prefix(unit.size);
    }
}

/// The server was told the client's BEGIN.
void Client::begun_there(const std::optional<protocol::Error>& error) {
    if (error) {
        routing_->request.beginning = false;
        release_unused();
        return drop_waiting(*error);
    }
    routing_->begins_there();
    go_on();
}

/// The first of a transaction, or one by itself.
void Client::begin_unit(const Unit& unit, Bytes input) {
    if (!routing_->begun().empty()) {
        inbox_.keep(input);
        socket_.pause();
        preparing_ = routing_->request.beginning = true;
        const bool replica =
            !server_->pool().node().empty() && routing_->rules().role == config::TargetRole::any;
        return server_->run_own(replica ? begin_on_replica(routing_->options())
                                        : routing_->begun());
    }
    const bool on_replica = !server_->pool().node().empty();
    routing_->request.beginning = false;
    routing_->request.dirties = unit.dirties;
    routing_->request.shows = unit.shows;
    routing_->request.ends = unit.verdict && unit.verdict->kind == Verdict::Kind::end;
    routing_->request.alters = unit.verdict && unit.verdict->alters;
    if (unit.begins) routing_->began(*unit.begins);
    note_route(unit, routing_->request.why.value_or(RouteReason{Cause::pinned}));
    routing_->request.why.reset();
    // What writes nothing may be asked twice, though only of a primary. An open batch's client
    // waits for each answer: none can be kept back.
    const bool harmless = unit.read || (!unit.dirties && unit.verdict &&
                                        unit.verdict->kind == Verdict::Kind::statement);
    routing_->request.again = harmless && unit.extent == Unit::Extent::closed &&
                              (on_replica || routing_->rules().retry_reads);
    routing_->request.withholds = routing_->request.again;
    routing_->request.withheld.clear();
    // A transaction takes as long as its client likes.
    if (on_replica && unit.extent == Unit::Extent::closed && !routing_->in_transaction()) {
        routing_->request.asked_us = shard_.worker.loop.now_us();
        routing_->home->began();
    }
    routing_->request.replay.assign(routing_->request.again ? input.substr(0, unit.size) : Bytes());
    routing_->request.names_before = frontend_.statements().given();
    std::size_t size = unit.size;
    // What may run again runs alone: the rest would not.
    while (!unit.read && !routing_->request.again && unit.extent == Unit::Extent::closed &&
           size < input.size()) {
        const Unit next = look_at(input.substr(size));
        const bool alike = next.extent == Unit::Extent::closed && next.statements > 0 &&
                           next.verdict && next.verdict->kind == Verdict::Kind::statement;
        if (!alike || next.read) break;
        size += next.size;
        routing_->request.dirties |= next.dirties;
        routing_->request.shows |= next.shows;
        note_route(next, reason_of(next));
    }
    forward_unit(input, size, &unit);
}

/// What a READ ONLY transaction refuses on any node, and what belongs to the transaction itself.
bool Client::may_stay(const Unit& unit) const {
    if (!unit.verdict) return unit.statements == 0;
    const Verdict& verdict = *unit.verdict;
    const bool of_transaction = server_->backend().tx() != TxStatus::idle;
    if (!of_transaction) return false;
    if (server_->backend().tx() == TxStatus::failed) return true;
    return verdict.refused_read_only || verdict.follows || verdict.kind == Verdict::Kind::end ||
           verdict.kind == Verdict::Kind::set_transaction || verdict.kind == Verdict::Kind::begin ||
           verdict.kind == Verdict::Kind::empty;
}

/// What comes next is for the primary, in the middle of what a replica was asked. Reads that are
/// answered cannot be unsaid, and have done nothing: what is open there is ended.
void Client::leave_replica(Bytes input) {
    pool::Backend& backend = server_->backend();
    inbox_.keep(input);
    socket_.pause();
    routing_->request.leaving = true;
    withhold_no_more();
    if (backend.tx() != TxStatus::idle) {
        if (routing_->request.holds || routing_->options().repeatable_read) {
            routing_->request.leaving = false;
            return refuse_on_replica();
        }
        if (!backend.settled()) {
            undecided_ = true;  // it comes here again
            routing_->request.leaving = false;
            return;
        }
        awaiting_ = true;
        return server_->run_own("ROLLBACK");
    }
    std::string sync;
    protocol::write_sync(sync);
    backend.pipeline().push({protocol::Request::sync, protocol::Reply::skip, {}, {}});
    protocol::Segments& out = shard_.worker.segments;
    out.clear();
    out.own(std::move(sync));
    awaiting_ = true;
    server_->send(out);
    server_->run_own(";");  // whose answer says that all of it is answered
}

void Client::left_replica() {
    routing_->request.leaving = awaiting_ = false;
    if (routing_->in_transaction()) routing_->begins_anew();
    query_began_us_ = 0;
    routing_->request.for_primary = true;
    if (server_) release_server();  // otherwise it is lost
    go_on();
}

}  // namespace pgweir::proxy

// What is noted of a client's queries: for SHOW QUERIES, SHOW ROUTES and the log.
#include "pool/net/log.hpp"
#include "proxy/client.hpp"
#include "proxy/explain_route.hpp"
#include "proxy/login.hpp"
#include "router/shown_text.hpp"

namespace pgweir::proxy {

using net::log::Level;
using protocol::TxStatus;
using router::Verdict;

namespace {

constexpr std::size_t logged_max = 4096;  // bytes of a text in the log

std::string milliseconds(std::int64_t us) {
    return fmt::format("{}.{:03}", us / 1'000, us % 1'000);
}

}  // namespace

void Client::note_route(const Unit& unit, RouteReason why) {
    const std::string& replica = server_->pool().node();
    routes_->count(why, !replica.empty());
    routing_->request.sent = why;
    if (!net::log::enabled(Level::debug)) return;
    const std::string_view detail =
        why.cause == Cause::verdict && unit.verdict ? unit.verdict->detail : std::string_view();
    const std::string text =
        fmt::format("to {}: {}{}{}{}: {}", replica.empty() ? "primary" : replica, why.text(),
                    detail.empty() ? "" : " (", detail, detail.empty() ? "" : ")",
                    router::shown_text(unit.sql, logged_max));
    write_log(Level::debug, text, traceparent_of_query(unit.sql));  // it is not under way yet
}

/// EXPLAIN ROUTE, where it can be answered.
bool Client::explains(const Unit& unit) const {
    if (unit.statements != 1 || unit.extent != Unit::Extent::closed || !unit.verdict) return false;
    const router::Reason reason = unit.verdict->reason;
    const bool unread = reason == router::Reason::parse_error || reason == router::Reason::too_many;
    const TxStatus status = server_ ? server_->backend().tx() : routing_->status();
    return unread && status != TxStatus::failed && explained(unit.sql);
}

/// Where that would go if it were sent now. No server hears of it.
LocalAnswer Client::explain_route(std::string_view sql) {
    std::string message;
    protocol::write_query(message, sql);
    const Unit unit = look_at(message);
    const health::Topology* const topology = routing_->cluster->topology();
    const TxStatus status = server_ ? server_->backend().tx() : routing_->status();
    RouteReason why = reason_of(unit);
    std::string_view route = unit.verdict ? place_text(*unit.verdict) : "primary";
    std::string at;
    const bool here =
        route == "pgweir" ||
        (!server_ && unit.verdict && unit.verdict->kind != Verdict::Kind::statement &&
         unit.verdict->kind != Verdict::Kind::several && unit.verdict->kind != Verdict::Kind::set);
    const bool on_replica = server_ && !server_->pool().node().empty();
    if (here) {
        route = "pgweir";
    } else if (server_ && (!on_replica || unit.read || may_stay(unit))) {
        route = on_replica ? "replica" : "primary";
        at = server_->node_text();
        if (status == TxStatus::idle)
            why = {Cause::pinned};
        else if (unit.read && !on_replica)
            why = {Cause::in_transaction};
    } else {
        const NodeLoad* const replica = server_ ? nullptr : find_replica(unit, why);
        route = replica ? "replica" : "primary";
        const health::NodeView* const leader = topology ? topology->primary_node() : nullptr;
        if (replica) {
            at = pool::node_name(replica->at());
        } else if (leader) {
            at = pool::node_name(leader->node.at);
        }
    }
    const bool by_verdict = why.cause == Cause::verdict && unit.verdict;
    return {.tag = "EXPLAIN",
            .columns = {"route", "reason", "detail", "node"},
            .rows = {{std::string(route), std::string(why.text()),
                      by_verdict ? unit.verdict->detail : std::string(), at}},
            .status = status};
}

/// Something was sent whose shape is known.
void Client::note_query(const QueryNotes& notes) {
    query_ = notes.last;
    const config::Native& native = shard_.worker.config->native;
    const bool timed = native.slow_query.count() != 0;
    if (!timed && !logs_json()) return;
    const std::string_view traceparent =
        notes.bare ? std::string_view() : traceparent_of_query(notes.text);
    const bool literals = timed && native.slow_query_literals;
    const bool kept = !traceparent.empty() || literals;
    if (!kept && !query_details_) return;
    if (!query_details_) query_details_ = std::make_unique<QueryDetails>();
    query_details_->traceparent = traceparent;
    query_details_->text = literals ? notes.text.substr(0, logged_max) : std::string_view();
}

void Client::note_answered(std::int64_t took_us) {
    const std::int64_t slow_us = shard_.worker.config->native.slow_query.count();
    if (slow_us > 0 && took_us >= slow_us) log_slow(took_us);
    const QueryBook::Id query = std::exchange(query_, {});
    if (server_) {
        const std::uint64_t rows = server_->backend().take_rows();
        const std::uint64_t bytes = std::exchange(server_->reply_bytes, 0);
        if (query) shard_.queries.ended(query, took_us, rows, bytes);
    }
    waited_us_ = 0;
}

void Client::log_slow(std::int64_t took_us) const {
    if (!net::log::enabled(Level::log)) return;
    const std::string duration = milliseconds(took_us), wait = milliseconds(waited_us_);
    const std::string at = server_ ? server_->node_text() : std::string();
    const std::string pins = pin_text(pins_);
    std::string_view text = shard_.queries.text(query_);
    if (query_details_ && !query_details_->text.empty()) text = query_details_->text;
    std::vector<net::log::Field> fields{{"duration_ms", duration, true}, {"wait_ms", wait, true}};
    const auto add = [&fields](std::string_view field, std::string_view value) {
        if (!value.empty()) fields.push_back({field, value});
    };
    add("database", database_);
    add("user", user_);
    add("node", at);
    add("route", routing_ ? routing_->request.sent.text() : std::string_view());
    add("pins", pins);
    add("traceparent", traceparent());
    add("query", text);
    net::log::write(Level::log, log_context(), "slow query:", fields);
}

std::string_view Client::traceparent() const {
    if (login_) return traceparent_of_name(login_->application_name());
    if ((!server_ || preparing_) && !frontend_.mid_message()) {  // what waits for a server
        const std::string_view found = traceparent_of_request(inbox_.kept());
        if (!found.empty()) return found;
    }
    if (query_details_ && !query_details_->traceparent.empty()) return query_details_->traceparent;
    const std::string* const name = vars()->find("application_name");
    return name ? traceparent_of_name(*name) : std::string_view();
}

bool Client::logs_json() const {
    return shard_.worker.config->native.log_format == config::LogFormat::json;
}

void Client::write_log(Level level, std::string_view text, std::string_view traceparent) const {
    // Lines of text stay PgBouncer's.
    const std::string_view found = !logs_json()           ? std::string_view()
                                   : !traceparent.empty() ? traceparent
                                                          : this->traceparent();
    const net::log::Field field{.name = "traceparent", .value = found};
    net::log::write(level, log_context(), text, {&field, found.empty() ? 0U : 1U});
}

}  // namespace pgweir::proxy

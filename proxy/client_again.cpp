// A client of a cluster's entry whose server refuses or is lost: what runs again, and what it is
// told where that cannot be.
#include <algorithm>

#include "pool/net/log.hpp"
#include "proxy/client.hpp"
#include "proxy/process.hpp"
#include "router/refusal.hpp"

namespace pgweir::proxy {

using protocol::Request;
using protocol::TxStatus;

namespace {

constexpr std::size_t withheld_max = 64 << 10;  // bytes
constexpr unsigned tries_max = 8;
constexpr protocol::Sqlstate resolution_unknown{"08007"};
constexpr protocol::Sqlstate serialization_failure{"40001"};

/// Does this reply leave open whether the request is answered?
bool is_preamble(char type) {
    switch (type) {
        case '1':
        case '2':
        case '3':
        case 't':
        case 'T':
        case 'n':
        case 'N':
        case 'S':
        case 's': return true;
        default: return false;
    }
}

/// Is the first of these messages that leaves nothing open part of an answer, and no error?
bool answers(Bytes replies) {
    while (!replies.empty() && is_preamble(replies.front())) {
        const auto cut = protocol::cut_frame(replies, protocol::payload_size_max);
        if (cut.cut != protocol::Cut::frame || cut.frame.missing > 0) return false;
        replies.remove_prefix(cut.frame.size());
    }
    return !replies.empty() && replies.front() != 'E';
}

protocol::Error rolled_back() {
    return {serialization_failure,
            protocol::Origin::proxy,
            "the transaction was rolled back because its server was lost",
            {},
            "The transaction might succeed if retried."};
}

protocol::Error unanswered() {
    return {serialization_failure, protocol::Origin::proxy, "the server was lost while it answered",
            "Nothing was changed.", "The statement might succeed if retried."};
}

protocol::Error unknown_outcome(bool commit) {
    return {resolution_unknown, protocol::Origin::proxy,
            commit ? "the server was lost during COMMIT: whether the transaction was committed is "
                     "not known"
                   : "the server was lost while it ran this statement: whether it took effect is "
                     "not known"};
}

}  // namespace

/// Replies to a request that may run again are kept back until one shows that it need not.
/// Returns  true: nothing is to be passed on now.
bool Client::withhold(const protocol::Segments& replies) {
    RoutedRequest& request = routing_->request;
    if (request.refused) return true;
    std::string& kept = request.withheld;
    if (replies.slices().size() == 1 && kept.empty() && answers(replies.slices()[0])) {
        request.withholds = request.again = false;
        return false;
    }
    for (const Bytes slice : replies.slices()) kept += slice;
    Bytes rest = kept;
    while (rest.size() >= protocol::header_size) {
        const auto cut = protocol::cut_frame(rest, protocol::payload_size_max);
        if (cut.cut != protocol::Cut::frame) break;
        const bool error = rest.front() == 'E';
        if (error && cut.frame.missing > 0 && kept.size() < withheld_max) return true;
        if (error && is_refusal(cut.frame.payload)) {
            request.refused = true;
            kept.clear();
            return true;
        }
        if (!is_preamble(rest.front()) || cut.frame.missing > 0) break;
        rest.remove_prefix(cut.frame.size());
    }
    if (rest.empty() && kept.size() < withheld_max) return true;
    withhold_no_more();
    return true;
}

/// It runs once: what has been kept back of its answer is the client's.
void Client::withhold_no_more() {
    RoutedRequest& request = routing_->request;
    request.withholds = request.again = false;
    if (request.withheld.empty()) return;
    stats_->sent.add(request.withheld.size());
    socket_.send(request.withheld);
    request.withheld.clear();
}

bool Client::is_refusal(Bytes error) {
    const protocol::Report report = protocol::read_report(error);
    const router::Refusal refusal = router::refusal_of(
        {.sqlstate = report.sqlstate, .message = report.message, .routine = report.routine});
    RoutedRequest& request = routing_->request;
    const bool on_replica = !server_->pool().node().empty();
    if (!refusal.again || !on_replica || ++request.tries > tries_max) return false;
    count_retry(refusal.learn       ? pool::Retry::read_only
                : refusal.elsewhere ? pool::Retry::replica
                                    : pool::Retry::object_missing);
    if (refusal.learn) {
        const Unit unit = look_at(request.replay);
        if (!unit.sql.empty()) shard_.router.learn_primary(unit.sql, conditions());
    }
    request.for_primary = !refusal.elsewhere;
    log(net::log::Level::debug, "replica {} refused, again: {} {}", server_->pool().node(),
        report.sqlstate, report.message);
    return true;
}

void Client::count_retry(pool::Retry why) {
    stats_->retry_counts[static_cast<std::size_t>(why)].add(1);
}

/// The server is done with what it refused.
void Client::run_again() {
    RoutedRequest& request = routing_->request;
    if (std::exchange(request.asked_us, 0) != 0) routing_->home->dropped();
    if (target_ != pool_) request.refused_by = routing_->home;
    request.refused = request.again = request.withholds = false;
    request.withheld.clear();
    shard_.queries.take_back(std::exchange(query_, {}), target_ != pool_);
    if (routing_->in_transaction()) routing_->begins_anew();
    forget_names(request.replay);
    std::string bytes = std::exchange(request.replay, {});
    bytes += inbox_.kept();
    inbox_.keep(bytes);
    undecided_ = false;
    if (server_) release_server();
    go_on();
}

/// Names that the request gave are given anew when it runs again.
void Client::forget_names(Bytes request) {
    while (!request.empty()) {
        const auto cut = protocol::cut_frame(request, protocol::payload_size_max);
        if (cut.cut != protocol::Cut::frame || cut.frame.missing > 0) return;
        if (cut.frame.type == 'P') {
            const auto parse = protocol::read_parse(cut.frame.payload);
            if (!parse.has_error())
                frontend_.statements().forget_given(parse->name, routing_->request.names_before);
        }
        request.remove_prefix(cut.frame.size());
    }
}

/// The server of a cluster's client is gone. `pipeline` is what it had not answered.
void Client::lost_in_cluster(pool::Server& server) {
    RoutedRequest& request = routing_->request;
    const pool::Backend& backend = server.backend();
    const bool in_transaction = backend.tx() != TxStatus::idle;
    const bool asked = query_began_us_ != 0;
    const bool unsent = preparing_ || request.beginning || !asked;
    const bool stateless =
        !session_ || ((session_->pins() & lost_with_server) == 0 && !session_->waits_for_state());
    std::vector<protocol::Outstanding> undone;
    backend.pipeline().for_each([&](const protocol::Outstanding& o) { undone.push_back(o); });
    std::reverse(undone.begin(), undone.end());
    std::vector<protocol::Outstanding> taken_back = undone;
    frontend_.statements().undo(taken_back);
    frontend_.released();
    share_names(nullptr);
    const bool leaving = request.leaving;
    preparing_ = awaiting_ = undecided_ = request.leaving = false;
    state_ = ClientState::idle;
    if (std::exchange(request.asked_us, 0) != 0) {
        routing_->home->dropped();
        read_lost();
    }
    if (backend.passing() > 0) return hang_up("the server was lost amid a message");
    if (frontend_.passing() > 0 || !stateless) {
        return close({protocol::sqlstate::admin_shutdown, protocol::Origin::server,
                      "the server was lost, and with it the session's state"});
    }
    revert_session();
    if (listening_) listening_->server_lost();
    // What the client had asked there is answered; what is not is ours.
    if (leaving && std::ranges::all_of(undone, [](const protocol::Outstanding& o) {
            return o.reply == protocol::Reply::skip;
        })) {
        return left_replica();
    }
    if (unsent) {
        if (routing_->in_transaction() && request.beginning) routing_->begins_anew();
        const bool open = in_transaction && !request.beginning;
        request.beginning = false;
        if (open) routing_->fail(rolled_back());
        if (asked || !inbox_.empty()) return go_on();
        return socket_.resume();
    }
    if (request.again && ++request.tries <= tries_max) {
        count_retry(pool::Retry::server_lost);
        return run_again();
    }
    fail_requests(undone, in_transaction);
    if (!inbox_.empty()) return go_on();
    socket_.resume();
}

/// It has what no other node could have, or has promised one snapshot.
void Client::refuse_on_replica() {
    routing_->fail(protocol::Error{
        protocol::sqlstate::feature_not_supported,
        protocol::Origin::proxy,
        "this statement cannot run on the replica that the READ ONLY transaction is on",
        {},
        "Begin the transaction with /* pgweir: primary */ or SET pgweir.route = 'primary'."});
    revert_session();
    release_server();
    go_on();
}

/// The server is gone, or is left amid a transaction: what that has set has never been.
void Client::revert_session() {
    if (!session_) return;
    const protocol::Vars told = vars();
    session_->server_lost();
    if (told == vars()) return;
    std::string reports;
    for (const auto& [name, value] : told->entries()) {
        const std::string* const now = vars()->find(name);
        if (now && *now != value) protocol::write_parameter_status(reports, name, *now);
    }
    socket_.send(reports);
}

/// Tells what becomes of the requests that the server had not answered.
void Client::fail_requests(const std::vector<protocol::Outstanding>& undone, bool in_transaction) {
    RoutedRequest& request = routing_->request;
    const bool commit = in_transaction && request.ends;
    const bool certain = in_transaction && !request.ends;
    std::string replies;
    const auto tell = [&](const protocol::Error& error) {
        count_error(error);
        protocol::write_error(replies, protocol::Severity::error, error.sqlstate, error.message,
                              error.detail, error.hint);
    };
    const bool clean = !in_transaction && !request.dirties;
    const protocol::Error outcome = certain ? rolled_back()
                                    : clean ? unanswered()
                                            : unknown_outcome(commit);
    if (certain) {
        routing_->fail();
    } else {
        health::note_write(routing_->bound, net::monotonic_us());
        routing_->transaction_over();
    }
    bool open = true;  // a batch of which the end has not come, or is not reached yet
    for (auto next = undone.rbegin(); next != undone.rend(); ++next) {
        // The end of a COPY that had not begun is answered with its query.
        if (next->reply == protocol::Reply::skip || next->request == Request::copy_end) continue;
        open = protocol::is_of_batch(next->request);
        if (open) continue;
        tell(outcome);
        protocol::write_ready_for_query(replies, routing_->status());
    }
    end_request(!certain);
    request = {};
    if (open) {
        tell(outcome);
        frontend_.drop_batch();
    }
    socket_.send(replies);
}

}  // namespace pgweir::proxy

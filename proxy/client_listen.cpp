// LISTEN and NOTIFY of a client: rules are in Listening, the connection that listens in Hub.
#include "pool/net/log.hpp"
#include "proxy/client.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

using net::log::Level;
using protocol::TxStatus;

void Client::start_listening() {
    listening_ = std::make_unique<Listening>();
    restore_listening();
}

/// The server that it has now hears for it; and is made to listen first if what comes next may be
/// about that.
void Client::restore_listening() {
    pool::Hearing& hearing = listening_->hearing;
    hearing.server_pid = server_->backend_pid();
    hearing.pid = static_cast<std::uint32_t>(cancel_key_ >> 32);
    server_->backend().hear(&hearing);
    listening_->taken(restoring_);
    if (!restoring_ || preparing_) return;
    restoring_ = false;
    preparing_ = true;
    session_->listens_again();
    server_->run_own(listening_->restoring());
}

bool Client::may_want_channels(Bytes input) const {
    if (!hub_ || listening_->hearing.elsewhere.empty()) return false;
    // A BEGIN that only we were told may be one of a transaction that does.
    return (routing_ && !routing_->begun().empty()) || may_touch_channels(input);
}

bool Client::lacks_channels(Bytes input) const {
    if (!hub_ || listening_->complete() || !server_->pool().node().empty()) return false;
    const pool::Backend& backend = server_->backend();
    const bool begins = backend.tx() == TxStatus::idle && !frontend_.mid_message() &&
                        backend.pipeline().begins_unit();
    return begins && may_want_channels(input);
}

/// At once, or when all that was asked of the server before is answered: it may be given back then.
void Client::listen_first(Bytes input) {
    inbox_.keep(input);
    socket_.pause();
    undecided_ = !server_->backend().settled();
    if (undecided_) return;
    restoring_ = true;
    restore_listening();
}

void Client::note_notifier() {
    Hubs& hubs = shard_.process.hubs();
    if (hubs.none() || std::exchange(noted_notifier_, true)) return;
    hubs.notifies(*server_, static_cast<std::uint32_t>(cancel_key_ >> 32));
}

/// At once: before another answer says what another transaction has made of it.
void Client::learn_channels() {
    if (!listening_ && session_->may_listen()) start_listening();  // a function, as it turned out
    if (!listening_) return;
    if (const auto channels = session_->take_channels())
        listening_->learn(channels->there, channels->changes);
}

bool Client::hand_over() {
    if (!listening_) return false;
    const pool::Backend& backend = server_->backend();
    if (backend.tx() != TxStatus::idle || !backend.settled()) return false;
    if (listening_->news_for_hub()) {
        if (!hub_) hub_ = &shard_.process.hubs().of(*pool_, shard_);
        hub_->set({shard_.worker.index, id_}, listening_->wanted(), listening_->told_number());
    }
    if (session_->pins() != router::trace::channels) return false;
    handing_over_ = listening_->due();
    if (handing_over_ == Listening::Due::nothing) return false;
    awaiting_ = true;
    const bool marks = handing_over_ == Listening::Due::mark;
    const std::string who = Hub::who({shard_.worker.index, id_}, listening_->told_number());
    server_->run_own(marks ? listening_->marking(hub_->marker(), who) : "UNLISTEN *");
    return true;
}

void Client::handed_over(const pool::Backend::OwnAnswer& answer) {
    const Listening::Due done = std::exchange(handing_over_, Listening::Due::nothing);
    const bool again =
        answer.error && is_cancelled(*answer.error) && listening_->try_again();  // by rest()
    if (answer.error && !again) {
        log(Level::warning, "cannot hand LISTEN over: {}", answer.error->message);
        listening_->failed();
    } else if (!answer.error && done == Listening::Due::unlisten) {
        session_->listens_no_more();
        listening_->unlistened();
    }
    own_over(std::exchange(awaiting_, false));
}

void Client::hub_ready(std::uint64_t number) {
    listening_->hub_ready(number);
    const bool rests = server_ && query_began_us_ == 0 && !preparing_ && !awaiting_ &&
                       !in_doubt() && server_->backend().settled() &&
                       server_->backend().tx() == TxStatus::idle;
    if (rests) rest();
}

void Client::hub_missed() {
    listening_->followed(true);  // what comes from there as well would come twice
    listening_->missed();
    deliver_due();
}

void Client::hear(const std::vector<Heard>& all) {
    for (const Heard& heard : all) listening_->from_hub(heard);
    deliver_due();
}

void Client::notified(const std::vector<pool::Notification>& kept,
                      const std::vector<pool::Notification>& echoes) {
    if (!session_) return;
    if (!listening_) start_listening();
    for (const pool::Notification& said : kept) listening_->from_server(said);
    for (const pool::Notification& said : echoes) listening_->passed_on(said);
}

/// As PostgreSQL: between transactions, and never inside of what a request gives. A client that
/// does not read gets them when it does.
void Client::deliver_due() {
    if (!listening_ || !listening_->any_due()) return;
    const bool busy = query_began_us_ != 0 || handing_over_ != Listening::Due::nothing ||
                      preparing_ || socket_.blocked();
    if (busy) return;
    if (server_) {
        const pool::Backend& backend = server_->backend();
        if (!backend.settled() || backend.tx() != TxStatus::idle || session_->unsettled()) return;
    }
    tell(listening_->take_due());
}

/// What came amid a question of ours was said before whatever the server answers next, which a
/// client that does not read has to wait for too.
void Client::deliver_servers_due() {
    if (listening_) tell(listening_->take_servers_due());
}

void Client::tell(Bytes due) {
    if (due.empty() || state_ == ClientState::closed) return;
    stats_->sent.add(due.size());
    socket_.send(due);
}

}  // namespace pgweir::proxy

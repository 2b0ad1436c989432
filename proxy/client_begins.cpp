// A client after its log-in; in session pooling it has a server of its own from the beginning.
#include "config/preference.hpp"
#include "proxy/admin/console.hpp"
#include "proxy/client.hpp"
#include "proxy/login.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

void Client::welcome_done(pool::Pool* pool, pool::Server* server, protocol::Vars own,
                          const Routing::Settings& settings) {
    pool_ = pool;
    state_ = ClientState::idle;
    shard_.end_login(id_);
    shard_.worker.loop.bury(std::move(login_));
    if (pool_) {
        const bool session_mode =
            pool_->settings(shard_.worker).limits.mode == config::PoolMode::session;
        begin_session(std::move(own), session_mode, settings);
        stats_->client_login_time.add(shard_.worker.loop.now_us() - connected_us_);
    }
    if (server && take_server(*server, 0)) set_unasked(true);
    if (!inbox_.empty()) consume(inbox_.kept());
    if (socket_.readable()) socket_.yield();
}

void Client::begin_session(protocol::Vars own, bool session_mode,
                           const Routing::Settings& settings) {
    state_ = ClientState::idle;
    aim_at(*pool_);
    const config::PoolLimits& limits = pool_->settings(shard_.worker).limits;
    session_mode_ = session_mode;
    set_up_routing();
    if (routing_ && !settings.empty()) {
        routing_->start(settings);
        claim_token();
    }
    if (session_mode_ || attendant_ || limits.session_state != config::SessionState::track) return;
    session_ = std::make_unique<Session>(shard_.worker.shared.vars,
                                         shard_.process.function_book(database_), vars_,
                                         std::move(own), pool_->user());
}

/// Its entry is of a cluster, or is not any more.
void Client::set_up_routing() {
    const config::Config& config = *shard_.worker.config;
    const config::Database& entry = pool_->settings(shard_.worker).database;
    const config::Cluster* const cluster = config.cluster(entry.cluster);
    if (!cluster || session_mode_ || attendant_) return;
    Routing::Rules rules{.cluster = cluster->name,
                         .role = entry.role,
                         .split = cluster->reads.split,
                         .retry_reads = cluster->failover.retry_reads,
                         .consistency = cluster->reads.consistency};
    const std::string* const application = vars()->find("application_name");
    const config::Preference* const preference = config::find_preference(
        cluster->reads, {application ? *application : "", database_, user_});
    KnownCluster& known = shard_.cluster(cluster->name);
    if (preference && known.balance.random() < preference->ratio) rules.preferred = *preference;
    catalog_ = &shard_.catalog({cluster->name, entry.dbname});
    routes_ = &shard_.routes[database_];
    if (routing_) {
        routing_->set_rules(std::move(rules));
    } else {
        routing_ = std::make_unique<Routing>(std::move(rules));
    }
    if (routing_->cluster == &known) return;
    routing_->leave_home();
    routing_->cluster = &known;
}

/// The next server is one of this pool's, and what is counted is of it.
void Client::aim_at(pool::Pool& pool) {
    if (target_ == &pool) return;
    target_ = &pool;
    stats_ = &pool.stats(shard_.worker);
}

void Client::write_cancel_key(std::string& out, std::uint32_t pid) {
    const CancelKey key = shard_.process.cancel_keys().give(
        {shard_.worker.index, id_}, pid,
        long_cancel_key_ ? CancelKeys::long_size : CancelKeys::short_size);
    cancel_key_ = CancelKeys::id_of(key.pid, key.secret);
    protocol::write_backend_key_data(out, key.pid, key.secret);
}

bool Client::is_console() const { return dynamic_cast<const Console*>(attendant_.get()); }

void Client::set_unasked(bool unasked) {
    if (unasked == unasked_) return;
    unasked_ = unasked;
    pool_->unasked.fetch_add(unasked ? 1 : -1, std::memory_order_relaxed);
    if (unasked) {
        shard_.unasked.insert(id_);
    } else {
        shard_.unasked.erase(id_);
    }
}

bool Client::give_up() {
    if (!unasked_ || !server_ || preparing_ || !inbox_.empty()) return false;
    set_unasked(false);
    release_server();
    return true;
}

}  // namespace pgweir::proxy

// A client on its way from one process to the next: online restart.
#include "pool/net/log.hpp"
#include "proxy/client.hpp"
#include "proxy/login.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

bool Client::can_move() const {
    const bool plain = !socket_.tls() && replication_ == Replication::none && !session_mode_;
    const bool at_rest = state_ == ClientState::idle && !server_ && !login_ && !attendant_ &&
                         inbox_.empty() && !socket_.blocked() && frontend_.at_rest();
    const bool hears = listening_ && !(listening_->wanted().empty() && !listening_->any_due());
    const bool between = !routing_ || routing_->status() == protocol::TxStatus::idle;
    return plain && at_rest && between && !hears && pool_ && cancel_key_ != 0;
}

std::pair<HandedClient, int> Client::move_out() {
    HandedClient handed;
    handed.user = user_;
    handed.database = database_;
    handed.address = address_;
    handed.connected_us = connected_us_;
    handed.long_cancel_key = long_cancel_key_;
    handed.credentials = pool_->credentials();
    handed.vars = vars()->entries();
    handed.startup = session_ ? session_->startup()->entries() : handed.vars;
    if (session_) handed.own = session_->own()->entries();
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
    const int fd = socket_.release();
    sever();
    return {std::move(handed), fd};
}

void Client::move_in(const HandedClient& handed) {
    const config::ConfigPtr config = shard_.worker.config;
    user_ = handed.user;
    database_ = handed.database;
    connected_us_ = handed.connected_us;
    long_cancel_key_ = handed.long_cancel_key;
    const auto database = shard_.process.database(*config, database_);
    if (!database) {
        return close(
            {protocol::sqlstate::admin_shutdown, protocol::Origin::proxy, "database removed"});
    }
    pool_ = &shard_.process.registry().pool(*config, *database, database->user.value_or(user_));
    if (const char* const reason = shard_.process.client_came(*this)) {
        pool_ = nullptr;
        return close({protocol::sqlstate::too_many_connections, protocol::Origin::proxy, reason});
    }
    const pool::ServerCredentials known = pool_->credentials();
    if (known.secret.empty() && known.client_key.empty())
        pool_->set_credentials(handed.credentials);
    const auto vars_of = [this](const protocol::VarSet::Entries& entries) {
        protocol::Vars vars = shard_.worker.shared.vars.empty();
        for (const auto& [name, value] : entries)
            vars = shard_.worker.shared.vars.with(vars, name, value);
        return vars;
    };
    vars_ = vars_of(handed.startup);
    begin_session(vars_of(handed.own));
    if (session_) session_->set_vars(vars_of(handed.vars));
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
    const ClientPlace place{shard_.worker.index, id_};
    if (shard_.process.cancel_keys().take_in(place, handed.cancel_key))
        cancel_key_ = CancelKeys::id_of(handed.cancel_key.pid, handed.cancel_key.secret);
}

}  // namespace pgweir::proxy

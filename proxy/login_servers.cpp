// What a client asks for at start-up is tried on a server: whether PostgreSQL accepts it, and how
// it spells it, nobody else knows.
#include <algorithm>

#include "pool/pool.hpp"
#include "proxy/login.hpp"
#include "proxy/relay.hpp"

namespace pgweir::proxy {

using protocol::quote_literal;
using protocol::same_name;

namespace {

/// A role may set less than the one that logs in: it comes last.
bool is_who(const std::string& name) {
    return same_name(name, "session_authorization") || same_name(name, "role");
}

/// Tries them all, for the time of one transaction, and gives the server's spelling of each.
std::string try_out(const protocol::VarSet::Entries& variables) {
    std::string sql;
    for (const auto& [name, value] : variables) {
        sql += sql.empty() ? "SELECT " : ",";
        sql +=
            "pg_catalog.set_config(" + quote_literal(name) + "," + quote_literal(value) + ",true)";
    }
    return sql;
}

/// No server changes anything about it.
bool is_plain_name(const std::string& name) {
    constexpr std::size_t name_max = 63;  // bytes
    return name.size() <= name_max &&
           std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

/// Those that PostgreSQL takes from a start-up packet only, and whether this user may set them.
constexpr std::string_view fixed_question =
    "SELECT name, context = 'backend' OR usesuper FROM pg_catalog.pg_settings, pg_catalog.pg_user "
    "WHERE context IN ('backend', 'superuser-backend') AND usename = session_user";

}  // namespace

net::Task<Login::Outcome> Login::meet_servers() {
    protocol::VarTable& table = client_.shard_.worker.shared.vars;
    protocol::Vars asked = table.of(variables_);
    const config::PoolLimits& limits = client_.pool_->settings(client_.shard_.worker).limits;
    if (limits.mode == config::PoolMode::session) {
        made_ = asked;  // its server is opened with them
        co_return co_await meet_own_server();
    }
    // Names are many, and what becomes of most is known.
    const std::string* const found = asked->find("application_name");
    const std::optional<std::string> name =
        found && is_plain_name(*found) ? std::optional(*found) : std::nullopt;
    if (name) asked = table.without(asked, "application_name");
    Outcome failure = co_await meet_shared_servers(asked);
    if (!failure && name) made_ = table.with(made_, "application_name", *name);
    co_return failure;
}

net::Task<Login::Outcome> Login::meet_shared_servers(protocol::Vars asked) {
    pool::Pool& pool = *client_.pool_;
    variables_ = asked->entries();
    std::stable_partition(variables_.begin(), variables_.end(),
                          [](const auto& variable) { return !is_who(variable.first); });
    const auto known = [&] {
        const auto fresh = pool.welcome();
        if (!fresh) return false;
        const bool same = std::all_of(variables_.begin(), variables_.end(), [&](const auto& v) {
            return pool.tracks(v.first) &&
                   std::find(fresh->begin(), fresh->end(), v) != fresh->end();
        });
        made_ = same ? asked : pool.known_startup(asked);
        return made_ != nullptr;
    };
    if (known()) co_return Outcome();
    const protocol::Result<pool::Server*> server = co_await lease();
    if (server.has_error()) co_return server.error();
    if (known()) {
        pool.give_back(**server);
        co_return Outcome();
    }
    Outcome failure = co_await ask_server(**server);
    if (pool::Server* const held = std::exchange(client_.server_, nullptr)) pool.give_back(*held);
    if (!failure) pool.learn_startup(asked, made_);
    co_return failure;
}

net::Task<protocol::Result<pool::Server*>> Login::lease() {
    pool::Server* const server = client_.pool_->checkout(client_.shard_.worker, client_);
    if (server) co_return server;
    co_return co_await lease_;
}

net::Task<Login::Outcome> Login::meet_own_server() {
    pool::Pool& pool = *client_.pool_;
    // Every session has a name of its own: it is set, not asked for with a connection of its own.
    protocol::VarTable& table = client_.shard_.worker.shared.vars;
    client_.startup_ = table.without(made_, "application_name");
    const auto known = [&] { return pool.welcome() || pool.known_startup(client_.startup_); };
    while (!known() || pool.has_room()) {
        const protocol::Result<pool::Server*> server = co_await lease();
        if (server.has_error()) co_return server.error();
        if ((*server)->startup() == client_.startup_) {
            kept_ = *server;
            break;
        }
        (*server)->close("startup parameters differ");
    }
    if (client_.startup_->entries().empty() || pool.known_startup(client_.startup_)) {
        const std::string* const name = made_->find("application_name");
        made_ = name ? table.with(table.empty(), "application_name", *name) : table.empty();
    }
    co_return Outcome();
}

net::Task<Login::Outcome> Login::open_relay() {
    protocol::VarTable& table = client_.shard_.worker.shared.vars;
    made_ = table.empty();
    client_.startup_ = table.of(variables_);
    auto made = std::make_unique<Relay>(client_, *client_.pool_, client_.startup_);
    Relay& relay = *made;
    client_.attendant_ = std::move(made);
    Outcome failure = co_await relay.open();
    // As in PgBouncer, which has nothing else to say of it.
    if (failure && failure->origin == protocol::Origin::server &&
        !(failure->sqlstate == protocol::sqlstate::connection_failure)) {
        failure->detail = std::exchange(failure->message, "login failed");
    }
    co_return failure;
}

net::Task<Login::Outcome> Login::ask_server(pool::Server& server) {
    client_.vars_ = client_.shard_.worker.shared.vars.of(tracked(reported()));
    client_.server_ = &server;
    if (!server.lend(client_)) {
        const pool::Backend::OwnAnswer answer = co_await answer_;
        if (answer.error) co_return answer.error;
    }
    co_return co_await set_at_server(server);
}

net::Task<pool::Backend::OwnAnswer> Login::run(pool::Server& server, std::string sql) {
    server.run_own(sql);
    co_return co_await answer_;
}

net::Task<Login::Outcome> Login::set_at_server(pool::Server& server) {
    protocol::VarTable& table = client_.shard_.worker.shared.vars;
    made_ = table.empty();
    while (!variables_.empty()) {
        const pool::Backend::OwnAnswer answer = co_await run(server, try_out(variables_));
        if (answer.error) {
            bool dropped = false;
            if (Outcome failure = co_await drop_fixed(server, *answer.error, dropped))
                co_return failure;
            if (!dropped) co_return answer.error;
            continue;
        }
        if (answer.rows.empty() || answer.rows[0].size() != variables_.size()) break;
        for (std::size_t i = 0; i < variables_.size(); ++i)
            made_ = table.with(made_, variables_[i].first, answer.rows[0][i].value_or(""));
        break;
    }
    co_return Outcome();
}

/// Variables of a connection cannot be changed on one that others use as well: those that the
/// client may set are accepted and have no effect.
net::Task<Login::Outcome> Login::drop_fixed(pool::Server& server, const protocol::Error& reason,
                                            bool& dropped) {
    constexpr protocol::Sqlstate cant_change{"55P02"};
    constexpr protocol::Sqlstate insufficient_privilege{"42501"};
    if (!client_.server_ || !(reason.sqlstate == cant_change)) co_return reason;
    const pool::Backend::OwnAnswer fixed = co_await run(server, std::string(fixed_question));
    if (fixed.error) co_return fixed.error;
    for (const auto& row : fixed.rows) {
        const auto same = [&row](const auto& v) { return same_name(v.first, row[0].value_or("")); };
        const auto found = std::find_if(variables_.begin(), variables_.end(), same);
        if (found == variables_.end()) continue;
        if (row[1] != "t") {
            co_return protocol::Error{insufficient_privilege, protocol::Origin::client,
                                      "permission denied to set parameter \"" + *row[0] + "\""};
        }
        variables_.erase(found);
        dropped = true;
    }
    co_return Outcome();
}

protocol::VarSet::Entries Login::reported() const {
    const protocol::Vars known = client_.startup_->entries().empty()
                                     ? nullptr
                                     : client_.pool_->known_startup(client_.startup_);
    if (known) return known->entries();
    const auto welcome = client_.pool_->welcome();
    return welcome ? *welcome : protocol::VarSet::Entries{};
}

protocol::VarSet::Entries Login::tracked(const protocol::VarSet::Entries& reported) const {
    protocol::VarSet::Entries tracked;
    std::copy_if(reported.begin(), reported.end(), std::back_inserter(tracked),
                 [this](const auto& v) { return client_.pool_->tracks(v.first); });
    return tracked;
}

}  // namespace pgweir::proxy

#include "pool/server_login.hpp"

#include <algorithm>

#include "config/listen_address.hpp"
#include "config/network.hpp"
#include "pool/net/log.hpp"
#include "pool/pool.hpp"
#include "protocol/md5.hpp"
#include "protocol/requests.hpp"
#include "protocol/secret.hpp"
#include "protocol/startup.hpp"

namespace pgweir::pool {

using config::SslMode;

namespace {

constexpr std::size_t message_max = 1 << 20;  // bytes; nothing in a log-in is near it

protocol::Error login_error(std::string text) {
    return {protocol::sqlstate::connection_failure, protocol::Origin::server, std::move(text)};
}

/// The server's own refusal, with its own code.
protocol::Error refusal(std::string_view payload) {
    const protocol::Report report = protocol::read_report(payload);
    return {protocol::make_sqlstate(report.sqlstate), protocol::Origin::server,
            std::string(report.message), std::string(report.detail), std::string(report.hint)};
}

/// What ties the log-in to the TLS connection it runs on; nullopt without one.
std::optional<protocol::ChannelBinding> channel_binding(const Server& server) {
    std::string hash = server.tls() ? server.tls()->server_end_point() : std::string();
    if (hash.empty()) return std::nullopt;
    return protocol::ChannelBinding{"tls-server-end-point", std::move(hash)};
}

/// The primary may have become a replica since it was last asked. It says so by itself (from
/// PostgreSQL 14 on); what waits goes to the next primary, and is not refused by this one.
std::optional<protocol::Error> check_role(const Server& server,
                                          const protocol::VarSet::Entries& told) {
    const Pool& pool = server.pool();
    const bool for_primary =
        !pool.internal && pool.settings(server.worker()).of_cluster() && pool.node().empty();
    const bool replica = std::ranges::any_of(told, [](const auto& parameter) {
        return parameter.first == "in_hot_standby" && parameter.second == "on";
    });
    if (!for_primary || !replica) return std::nullopt;
    return protocol::Error{protocol::sqlstate::cannot_connect_now, protocol::Origin::server,
                           "the primary has become a replica"};
}

}  // namespace

ServerLogin::Encryption ServerLogin::first_choice(SslMode mode) {
    switch (mode) {
        case SslMode::disable:
        case SslMode::allow: return Encryption::plain;
        case SslMode::prefer: return Encryption::asked;
        default: return Encryption::required;
    }
}

void ServerLogin::start() { story_.start(server_.worker_->loop, run()); }

net::Task<void> ServerLogin::run() {
    const Outcome failure = co_await log_in();
    credentials_ = {};
    if (failure) {
        server_.login_failed(*failure);
    } else {
        Worker& worker = *server_.worker_;
        server_.pool_.stats(worker).server_login_time.add(worker.loop.now_us() - connected_us_);
        server_.logged_in();
    }
}

net::Task<ServerLogin::Outcome> ServerLogin::log_in() {
    if (Outcome failure = co_await find_address()) co_return failure;
    if (!server_.address_.is_unix()) tls_ = tls_settings();
    const SslMode mode = tls_.sslmode;
    Outcome failure = co_await log_in_by(first_choice(mode));
    // As libpq: what pg_hba.conf does not let in this way it may let in the other way.
    const bool refused = failure && failure->origin == protocol::Origin::server &&
                         failure->sqlstate == protocol::sqlstate::invalid_authorization;
    const bool other_way = mode == SslMode::allow || (mode == SslMode::prefer && server_.tls());
    if (refused && other_way) {
        server_.socket_.close();
        server_.inbox_.keep({});
        const Outcome again =
            co_await log_in_by(mode == SslMode::allow ? Encryption::required : Encryption::plain);
        if (!again || again->sqlstate != protocol::sqlstate::connection_failure) failure = again;
    }
    if (failure) co_return failure;
    if (Outcome trouble = co_await learn()) co_return trouble;
    if (Outcome trouble = check_role(server_, parameters_)) co_return trouble;
    co_return co_await run_connect_query();
}

/// A server that has never heard of minor versions says so, or hangs up.
net::Task<ServerLogin::Outcome> ServerLogin::log_in_by(Encryption encryption) {
    protocol_ = server_.pool_.server_protocol.load(std::memory_order_relaxed);
    Outcome failure = co_await try_log_in(encryption);
    if (!failure || !unheard_ || protocol_ == protocol::protocol_3_0) co_return failure;
    server_.socket_.close();
    server_.inbox_.keep({});
    protocol_ = protocol::protocol_3_0;
    failure = co_await try_log_in(encryption);
    if (!failure) server_.pool_.server_protocol.store(protocol_, std::memory_order_relaxed);
    co_return failure;
}

net::Task<ServerLogin::Outcome> ServerLogin::try_log_in(Encryption encryption) {
    unheard_ = false;
    if (Outcome failure = co_await connect(encryption)) co_return failure;
    introduce();
    co_return co_await authenticate();
}

net::Task<ServerLogin::Outcome> ServerLogin::find_address() {
    Worker& worker = *server_.worker_;
    const std::optional<config::Endpoint> found_endpoint = server_.pool_.next_endpoint();
    if (!found_endpoint) co_return login_error("the cluster has no primary");
    const config::Endpoint& endpoint = *found_endpoint;
    server_.host_ = endpoint.host;
    if (endpoint.host.starts_with('/') || endpoint.host.starts_with('@')) {
        const auto address = net::unix_address(endpoint.host, endpoint.port);
        if (address.has_error()) co_return address.error();
        server_.address_ = *address;
    } else {
        const auto found =
            co_await worker.shared.dns.resolve(worker.loop, endpoint.host, endpoint.port);
        if (found.has_error()) co_return found.error();
        server_.address_ = *found;
    }
    co_return Outcome();
}

/// As this worker's configuration has them, which its TLS contexts are made from.
config::Tls ServerLogin::tls_settings() const {
    const config::Config& config = *server_.worker_->config;
    if (server_.pool_.internal) return config.settings.server_tls;
    const auto entry = config.entry_for(server_.pool_.database());
    return entry ? config::server_tls(config.settings, *entry) : config.settings.server_tls;
}

net::Task<ServerLogin::Outcome> ServerLogin::connect(Encryption encryption) {
    Worker& worker = *server_.worker_;
    const std::int64_t began_us = connected_us_ == 0 ? server_.connected_us_ : worker.loop.now_us();
    const auto fd =
        co_await net::connect(worker.loop, server_.address_, tcp_options(worker.config->settings));
    if (fd.has_error()) co_return fd.error();
    connected_us_ = worker.loop.now_us();
    server_.pool_.stats(worker).server_connect_time.add(connected_us_ - began_us);
    server_.socket_.open(worker.loop, *fd);
    if (encryption == Encryption::plain) co_return Outcome();
    const net::TlsContextPtr tls = worker.tls->for_servers(tls_);
    if (!tls) co_return login_error("the TLS settings have changed meanwhile");
    const auto agreed = co_await conversation_.ask_for_tls(tls, server_.host_);
    if (agreed.has_error()) co_return agreed.error();
    if (*agreed) {
        using net::log::Level;
        net::log::print(server_.pool_.internal ? Level::debug : Level::log, server_.log_context(),
                        "SSL established: {}{}", server_.tls()->description(),
                        server_.tls()->resumed() ? ", resumed" : "");
    } else if (encryption == Encryption::required) {
        co_return login_error("server refused SSL");
    }
    co_return Outcome();
}

void ServerLogin::introduce() {
    credentials_ = server_.pool_.credentials();
    protocol::StartupParameters parameters{{"user", credentials_.user},
                                           {"database", server_.pool_.server_database()}};
    for (const auto& [name, value] : server_.pool_.startup_parameters())
        parameters.emplace_back(name, value);
    for (const auto& [name, value] : server_.startup_->entries())
        parameters.emplace_back(name, value);
    // Should the replica become a primary, it still refuses what was meant for a replica.
    if (!server_.pool_.node().empty())
        parameters.emplace_back("options", "-c default_transaction_read_only=on");
    std::string packet;
    protocol::write_startup(packet, protocol_, parameters);
    send(packet);
    unheard_ = true;
}

net::Task<ServerLogin::Outcome> ServerLogin::authenticate() {
    bool asked = false;
    while (true) {
        const auto message = co_await conversation_.message(message_max, protocol::Origin::server);
        if (message.has_error()) co_return message.error();
        if (message->type == 'E') {
            const protocol::Error error = refusal(message->payload);
            unheard_ = unheard_ && (error.sqlstate == protocol::sqlstate::feature_not_supported ||
                                    error.sqlstate == protocol::sqlstate::protocol_violation);
            co_return error;
        }
        unheard_ = false;
        if (message->type == 'N') continue;
        if (message->type == 'v') {
            if (Outcome failure = negotiated(message->payload)) co_return failure;
            continue;
        }
        if (message->type != 'R') co_return login_error("unexpected message in server login");
        const auto request = protocol::read_authentication(message->payload);
        if (request.has_error()) co_return request.error();
        if (request->kind == protocol::authentication::ok) co_return Outcome();
        // One that has had its proof and asks again wants something else: the password, perhaps.
        if (std::exchange(asked, true)) co_return login_error("server asks for a second proof");
        if (Outcome failure = co_await answer(message->payload)) co_return failure;
    }
}

/// The server speaks an older minor version. We ask for no options that it could refuse.
ServerLogin::Outcome ServerLogin::negotiated(std::string_view payload) {
    const auto told = protocol::read_negotiate_protocol_version(payload);
    if (told.has_error()) return told.error();
    // PostgreSQL tells the whole version, the manual speaks of the minor one.
    const std::uint32_t spoken = told->newest | protocol::protocol_3_0;
    if (told->newest >> 16 > 3 || spoken >= protocol_ || !told->unknown_options.empty())
        return login_error("invalid protocol negotiation by the server");
    protocol_ = spoken;
    return {};
}

net::Task<ServerLogin::Outcome> ServerLogin::answer(std::string_view payload) {
    const auto request = protocol::read_authentication(payload);
    const protocol::SecretKind kind = protocol::kind_of_secret(credentials_.secret);
    std::string reply;
    switch (request->kind) {
        case protocol::authentication::cleartext:
            if (kind != protocol::SecretKind::plain) {
                co_return login_error("server login failed: wrong password type");
            }
            if (!may_speak_clear()) {
                co_return login_error(
                    "server login failed: it asks for the password in clear, without TLS");
            }
            protocol::write_password(reply, credentials_.secret);
            send(reply);
            protocol::cleanse(reply);
            co_return Outcome();
        case protocol::authentication::md5: {
            if (kind != protocol::SecretKind::plain && kind != protocol::SecretKind::md5) {
                co_return login_error("server login failed: wrong password type");
            }
            const protocol::Secret secret = kind == protocol::SecretKind::md5
                                                ? credentials_.secret
                                                : protocol::Secret(protocol::md5_secret(
                                                      credentials_.secret, credentials_.user));
            protocol::write_password(reply, protocol::md5_answer(secret, request->data));
            break;
        }
        case protocol::authentication::sasl: co_return co_await answer_sasl(request->data);
        default: co_return login_error("server login failed: unknown authentication method");
    }
    send(reply);
    co_return Outcome();
}

/// Whoever stands between could ask for it in the server's name.
bool ServerLogin::may_speak_clear() const {
    if (server_.tls() || server_.address_.is_unix()) return true;
    switch (server_.worker_->config->native.server_cleartext) {
        case config::Cleartext::always: return true;
        case config::Cleartext::local: {
            const auto address = config::parse_address(server_.address_.host());
            return address && config::is_loopback(*address);
        }
        case config::Cleartext::tls: break;
    }
    return false;
}

net::Task<ServerLogin::Outcome> ServerLogin::answer_sasl(std::string_view mechanisms) {
    const auto offered = protocol::read_sasl_mechanisms(mechanisms);
    if (offered.has_error()) co_return offered.error();
    if (std::find(offered->begin(), offered->end(), protocol::scram_sha_256) == offered->end()) {
        co_return login_error("server login failed: none of the server's SASL authentication "
                              "mechanisms are supported");
    }
    const bool plain = protocol::kind_of_secret(credentials_.secret) == protocol::SecretKind::plain;
    if (!plain && credentials_.client_key.empty()) {
        co_return login_error("server login failed: wrong password type");
    }
    protocol::ScramClient scram =
        plain ? protocol::ScramClient()
              : protocol::ScramClient(credentials_.client_key, credentials_.server_key);
    if (auto binding = channel_binding(server_)) {
        const bool plus = std::find(offered->begin(), offered->end(),
                                    protocol::scram_sha_256_plus) != offered->end();
        scram.bind(*std::move(binding), plus);
    }
    std::string reply;
    protocol::write_sasl_initial(reply, scram.mechanism(), scram.first());
    send(reply);

    const auto challenge = co_await conversation_.message(message_max, protocol::Origin::server);
    if (challenge.has_error()) co_return challenge.error();
    if (challenge->type == 'E') co_return refusal(challenge->payload);
    const auto request = protocol::read_authentication(challenge->payload);
    if (challenge->type != 'R' || request.has_error() ||
        request->kind != protocol::authentication::sasl_continue) {
        co_return login_error("server login failed: bad SASL message");
    }
    if (plain) {
        const auto cost = scram.cost_of(request->data);
        if (cost.has_error()) co_return cost.error();
        Worker& worker = *server_.worker_;
        auto derive = [password = credentials_.secret, salt = cost->salt,
                       iterations = cost->iterations] {
            return protocol::ScramClient::salted_password(password, salt, iterations);
        };
        scram.use(co_await worker.shared.offload.run<std::string>(worker.loop, std::move(derive)));
    }
    const auto proof = scram.finish(request->data);
    if (proof.has_error()) co_return proof.error();
    reply.clear();
    protocol::write_sasl_response(reply, *proof);
    send(reply);

    const auto outcome = co_await conversation_.message(message_max, protocol::Origin::server);
    if (outcome.has_error()) co_return outcome.error();
    if (outcome->type == 'E') co_return refusal(outcome->payload);
    const auto final = protocol::read_authentication(outcome->payload);
    if (outcome->type != 'R' || final.has_error() ||
        final->kind != protocol::authentication::sasl_final) {
        co_return login_error(
            "server login failed: the server did not prove that it knows the password");
    }
    if (const auto verified = scram.verify(final->data); verified.has_error())
        co_return verified.error();
    co_return Outcome();
}

net::Task<ServerLogin::Outcome> ServerLogin::learn() {
    while (true) {
        const auto message = co_await conversation_.message(message_max, protocol::Origin::server);
        if (message.has_error()) co_return message.error();
        if (message->type == 'E') co_return refusal(message->payload);
        if (message->type == 'Z') break;
        if (Outcome failure = learn_one(*message)) co_return failure;
    }
    protocol::VarTable& table = server_.worker_->shared.vars;
    for (const auto& [name, value] : parameters_) {
        if (server_.pool_.tracks(name)) server_.vars_ = table.with(server_.vars_, name, value);
    }
    if (server_.startup_->entries().empty()) {
        server_.pool_.learn_welcome(parameters_);
    } else {
        protocol::Vars reported = table.empty();
        for (const auto& [name, value] : parameters_) reported = table.with(reported, name, value);
        server_.pool_.learn_startup(server_.startup_, std::move(reported));
    }
    co_return Outcome();
}

ServerLogin::Outcome ServerLogin::learn_one(const Conversation::Message& message) {
    switch (message.type) {
        case 'S': {
            const auto parameter = protocol::read_parameter_status(message.payload);
            if (parameter.has_error()) return parameter.error();
            constexpr std::size_t parameters_max = 64;
            if (parameters_.size() < parameters_max)
                parameters_.emplace_back(parameter->name, parameter->value);
            return {};
        }
        case 'K': {
            const auto key = protocol::read_backend_key_data(message.payload);
            if (key.has_error()) return key.error();
            server_.backend_pid_ = key->pid;
            server_.cancel_key_ = key->key;
            return {};
        }
        case 'N': return {};
        default: return login_error("unexpected message in server login");
    }
}

net::Task<ServerLogin::Outcome> ServerLogin::run_connect_query() {
    const std::string sql = server_.pool_.connect_query();
    if (sql.empty() || server_.replication()) co_return Outcome();
    std::string query;
    protocol::write_query(query, sql);
    send(query);
    while (true) {
        const auto message = co_await conversation_.message(64 << 20, protocol::Origin::server);
        if (message.has_error()) co_return message.error();
        if (message->type == 'Z') co_return Outcome();
        if (message->type == 'E') {
            net::log::print(net::log::Level::warning, server_.log_context(),
                            "connect_query failed: {}",
                            protocol::read_report(message->payload).message);
        }
    }
}

}  // namespace pgweir::pool

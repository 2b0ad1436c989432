#include "proxy/authenticate.hpp"

#include "protocol/md5.hpp"
#include "protocol/replies.hpp"
#include "protocol/requests.hpp"
#include "protocol/scram.hpp"
#include "protocol/secret.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

using protocol::Origin;

namespace {

constexpr std::size_t password_max = 64 << 10;  // bytes

protocol::Error refuse(const protocol::Sqlstate& state, std::string text) {
    return {state, Origin::client, std::move(text)};
}

}  // namespace

net::Task<Authentication::Outcome> Authentication::run() {
    const config::Config& config = *client_.shard().worker.config;
    const AuthType method = config.settings.auth_type;
    if (method == AuthType::any) co_return Outcome();
    if (client_.shard().process.is_owner(client_)) co_return Outcome();
    const config::Credential* const known = config.credential(client_.user());
    const std::string secret = known ? known->secret : std::string();
    switch (method) {
        case AuthType::any: co_return Outcome();
        case AuthType::trust:
            if (known) co_return Outcome();
            co_return refuse(protocol::sqlstate::invalid_authorization,
                             "\"trust\" authentication failed");
        case AuthType::plain: co_return co_await by_password(method, secret);
        case AuthType::md5:
            if (protocol::kind_of_secret(secret) == protocol::SecretKind::scram)
                co_return co_await by_scram(secret);
            co_return co_await by_md5(secret);
        case AuthType::scram_sha_256: co_return co_await by_scram(secret);
        default: break;
    }
    co_return refuse(protocol::sqlstate::feature_not_supported,
                     "this authentication method is not available in this version of pgweir");
}

net::Task<protocol::Result<std::string>> Authentication::password() {
    auto message = co_await conversation_.message(password_max, Origin::client);
    if (message.has_error()) co_return message.error();
    if (message->type != 'p') {
        co_return protocol::protocol_violation(Origin::client, "expected password response");
    }
    co_return std::move(message->payload);
}

net::Task<Authentication::Outcome> Authentication::by_password(AuthType,
                                                               const std::string& secret) {
    std::string request;
    protocol::write_authentication_cleartext(request);
    send(request);
    const auto payload = co_await password();
    if (payload.has_error()) co_return payload.error();
    const auto given = protocol::read_password(*payload);
    if (given.has_error()) co_return given.error();
    if (given->empty()) {
        co_return refuse(protocol::sqlstate::invalid_password, "empty password returned by client");
    }
    const std::string typed(*given);
    bool right = false;
    switch (protocol::kind_of_secret(secret)) {
        case protocol::SecretKind::none: break;
        case protocol::SecretKind::plain: right = protocol::equal_secret(typed, secret); break;
        case protocol::SecretKind::md5:
            right = protocol::equal_secret(protocol::md5_secret(typed, client_.user()), secret);
            break;
        case protocol::SecretKind::scram: {
            pool::Worker& worker = client_.shard().worker;
            auto check = [typed, secret] {
                const auto verifier = protocol::parse_scram_secret(secret);
                if (!verifier) return false;
                const auto derived =
                    protocol::make_verifier(typed, verifier->salt, verifier->iterations);
                return protocol::equal_secret(derived.stored_key, verifier->stored_key);
            };
            right = co_await worker.shared.offload.run<bool>(worker.loop, std::move(check));
            break;
        }
    }
    if (!right)
        co_return refuse(protocol::sqlstate::invalid_password, "password authentication failed");
    plain_password_ = typed;
    co_return Outcome();
}

net::Task<Authentication::Outcome> Authentication::by_md5(const std::string& secret) {
    const std::string salt = protocol::random_bytes(4);
    std::string request;
    protocol::write_authentication_md5(request, salt);
    send(request);
    const auto payload = co_await password();
    if (payload.has_error()) co_return payload.error();
    const auto given = protocol::read_password(*payload);
    if (given.has_error()) co_return given.error();
    const bool known = !secret.empty();
    const std::string md5 = protocol::kind_of_secret(secret) == protocol::SecretKind::md5
                                ? secret
                                : protocol::md5_secret(secret, client_.user());
    const bool right = protocol::equal_secret(*given, protocol::md5_answer(md5, salt));
    if (!right || !known)
        co_return refuse(protocol::sqlstate::invalid_password, "password authentication failed");
    co_return Outcome();
}

net::Task<Authentication::Outcome> Authentication::by_scram(const std::string& secret) {
    const bool usable = protocol::kind_of_secret(secret) == protocol::SecretKind::plain ||
                        protocol::kind_of_secret(secret) == protocol::SecretKind::scram;
    std::string request;
    const std::string_view mechanisms[] = {protocol::scram_sha_256};
    protocol::write_authentication_sasl(request, mechanisms);
    send(request);
    const auto first = co_await password();
    if (first.has_error()) co_return first.error();
    const auto initial = protocol::read_sasl_initial(*first);
    if (initial.has_error()) co_return initial.error();
    if (initial->mechanism != protocol::scram_sha_256) {
        co_return protocol::protocol_violation(
            Origin::client, "client selected an invalid SASL authentication mechanism");
    }
    const protocol::ScramVerifier verifier =
        co_await client_.shard().process.scram_secrets().verifier(client_.shard().worker,
                                                                  client_.user(), secret);
    protocol::ScramServer scram(verifier, {}, !usable);
    const auto challenge = scram.first(initial->data.value_or(std::string_view()));
    if (challenge.has_error()) co_return challenge.error();
    request.clear();
    protocol::write_authentication_sasl_continue(request, *challenge);
    send(request);
    const auto second = co_await password();
    if (second.has_error()) co_return second.error();
    const auto final = scram.finish(*second);
    if (final.has_error()) co_return final.error();
    client_key_ = scram.client_key();
    server_key_ = verifier.server_key;
    request.clear();
    protocol::write_authentication_sasl_final(request, *final);
    send(request);
    co_return Outcome();
}

pool::ServerCredentials Authentication::for_servers(const config::Database& database,
                                                    pool::ServerCredentials known) const {
    known.user = database.user.value_or(client_.user());
    const config::Config& config = *client_.shard().worker.config;
    const config::Credential* const listed = config.credential(known.user);
    if (database.password) {
        known.secret = *database.password;
    } else if (listed) {
        known.secret = listed->secret;
    } else if (!plain_password_.empty() && !database.user) {
        known.secret = plain_password_;
    }
    if (!client_key_.empty() && !database.user) {
        known.client_key = client_key_;
        known.server_key = server_key_;
    }
    return known;
}

}  // namespace pgweir::proxy

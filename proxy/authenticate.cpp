#include "proxy/authenticate.hpp"

#include <algorithm>
#include <chrono>

#include <openssl/crypto.h>

#include "config/entries.hpp"
#include "pool/net/log.hpp"
#include "pool/registry.hpp"
#include "protocol/md5.hpp"
#include "protocol/replies.hpp"
#include "protocol/requests.hpp"
#include "protocol/secret.hpp"
#include "proxy/ldap.hpp"
#include "proxy/pam.hpp"
#include "proxy/process.hpp"
#include "proxy/socket_peer.hpp"

namespace pgweir::proxy {

using net::log::Level;
using protocol::Origin;
using protocol::SecretKind;

namespace {

constexpr std::size_t message_max = 64 << 10;  // bytes

protocol::Error refuse(const protocol::Sqlstate& state, std::string text) {
    return {state, Origin::client, std::move(text)};
}

protocol::Error wrong_password() {
    return refuse(protocol::sqlstate::invalid_password, "password authentication failed");
}

protocol::Error misconfigured() {
    return {protocol::sqlstate::config_file_error, Origin::proxy, "bouncer config error"};
}

}  // namespace

Authentication::Authentication(const Client& client, pool::Conversation& conversation,
                               net::Socket& socket)
    : client_(client),
      conversation_(conversation),
      socket_(socket),
      config_(client.shard().worker.config) {}

AuthShared& Authentication::shared() const { return client_.shard().process.auth_shared(); }

net::Task<Authentication::Outcome> Authentication::run() {
    Outcome failure = co_await prove();
    // Whatever was waited for, it may have come in the very turn in which the client was severed.
    if (!failure && client_.state() == ClientState::closed) {
        failure = refuse(protocol::sqlstate::connection_failure, "client close request");
    }
    if (!failure) co_return failure;
    if (!question_.empty()) shared().found.forget(question_);
    if (failure->sqlstate == protocol::sqlstate::invalid_password ||
        failure->sqlstate == protocol::sqlstate::invalid_authorization) {
        shared().delay.failed(client_.address(), config_->native.auth_failure_delay.count(),
                              worker().loop.now_us());
    }
    if (no_row_ && failure->sqlstate == protocol::sqlstate::invalid_password)
        failure->message = "no such user";
    co_return failure;
}

net::Task<Authentication::Outcome> Authentication::prove() {
    if (config_->settings.auth_type == AuthType::any) co_return Outcome();
    if (client_.shard().process.is_owner(client_)) co_return Outcome();
    net::Sleep pause(worker().loop,
                     shared().delay.wait_us(client_.address(), worker().loop.now_us()));
    co_await pause;
    const auto demanded = demand();
    if (demanded.has_error()) co_return demanded.error();
    const config::HbaRule* const rule = demanded->rule;
    switch (demanded->method) {
        case AuthType::ldap: {
            const std::string& preset = config_->settings.auth_ldap_options;
            co_return co_await by_ldap(rule ? rule->options : preset);
        }
        case AuthType::pam: co_return co_await by_pam();
        default: break;
    }
    if (Outcome failure = co_await look_up()) co_return failure;
    switch (demanded->method) {
        case AuthType::trust:
            if (known_) co_return Outcome();
            co_return refuse(protocol::sqlstate::invalid_authorization,
                             no_row_ ? "no such user" : "\"trust\" authentication failed");
        case AuthType::cert: co_return co_await by_certificate(rule);
        case AuthType::peer: co_return co_await by_peer(rule);
        case AuthType::plain: co_return co_await by_plain();
        case AuthType::md5: co_return co_await by_hashed();
        case AuthType::scram_sha_256: co_return co_await by_scram();
        default: co_return misconfigured();
    }
}

protocol::Result<Authentication::Demand> Authentication::demand() const {
    if (config_->settings.auth_type != AuthType::hba) return Demand{config_->settings.auth_type};
    config::HbaClient who{.address = address_of(client_),
                          .tls = uses_tls(client_),
                          .physical_replication = client_.replication() == Replication::physical,
                          .database = client_.database(),
                          .user = client_.user()};
    const config::HbaRule* const rule = config_->hba ? config::match(*config_->hba, who) : nullptr;
    if (!rule) {
        return refuse(protocol::sqlstate::invalid_authorization,
                      "no authentication method is found");
    }
    if (!rule->method) return refuse(protocol::sqlstate::invalid_authorization, "login rejected");
    return Demand{*rule->method, rule};
}

/// The console has nobody's secrets to tell.
protocol::Error Authentication::console_asked() const {
    client_.log(Level::error, "cannot use the reserved \"{}\" database as an auth_dbname",
                config::console_database);
    return misconfigured();
}

/// Finds the user's secret: in the password file, else by asking a database.
net::Task<Authentication::Outcome> Authentication::look_up() {
    if (const config::Credential* const listed = config_->credential(client_.user())) {
        known_ = true;
        secret_ = listed->secret;
        co_return Outcome();
    }
    Process& process = client_.shard().process;
    const config::Settings& settings = config_->settings;
    // The entry itself, or one made of "*" that goes by this name.
    const bool console = process.is_console(client_.database());
    const auto own = console ? std::nullopt : process.database(*config_, client_.database());
    if (!own && !console) co_return Outcome();  // told after the password, which nobody has

    const std::string user = own ? own->auth_user.value_or(settings.auth_user) : settings.auth_user;
    std::string where =
        own ? own->auth_dbname.value_or(settings.auth_dbname) : settings.auth_dbname;
    if (user.empty()) co_return Outcome();
    if (where.empty()) where = console ? client_.database() : own->name;
    if (process.is_console(where)) co_return console_asked();
    auto asking = process.database(*config_, where);
    if (!asking) {
        client_.log(Level::error, "authentication database \"{}\" is not configured", where);
        co_return misconfigured();
    }
    if (process.disabled(where)) {
        co_return refuse(protocol::sqlstate::cannot_connect_now,
                         fmt::format("authentication database \"{}\" is disabled", where));
    }
    asking->auth_user = user;
    std::string query = own ? own->auth_query.value_or(settings.auth_query) : settings.auth_query;
    if (query.empty()) query = config::Settings().auth_query;
    co_return co_await ask_database(*asking, std::move(query));
}

net::Task<Authentication::Outcome> Authentication::ask_database(const config::Database& asking,
                                                                std::string query) {
    constexpr char between = '\0';  // is in none of the parts
    question_ =
        asking.name + between + *asking.auth_user + between + query + between + client_.user();
    std::optional<FoundSecret> found = shared().found.find(question_, worker().loop.now_us());
    remembered_ = found.has_value();
    if (!found) {
        pool::Pool& pool =
            client_.shard().process.registry().pool(*config_, asking, *asking.auth_user);
        pool.change_credentials([&](pool::ServerCredentials known) {
            known.user = *asking.auth_user;
            const config::Credential* const listed = worker().config->credential(known.user);
            if (listed) known.secret = listed->secret;
            return known;
        });
        AuthQuery errand(worker(), pool);
        auto answer = co_await errand.run(std::move(query), client_.user());
        if (answer.has_error()) {
            client_.log(Level::error, "auth_query failed: {}", answer.error().message);
            if (answer.error().sqlstate == protocol::sqlstate::invalid_catalog_name)
                co_return answer.error();  // says nothing that the client has not said
            co_return misconfigured();
        }
        found = *std::move(answer);
        shared().found.keep(question_, *found, worker().loop.now_us());
    }
    known_ = found->has_value();
    no_row_ = !known_;
    secret_ = found->value_or(protocol::Secret());
    co_return Outcome();
}

net::Task<bool> Authentication::look_up_again() {
    if (!std::exchange(remembered_, false)) co_return false;
    shared().found.forget(question_);
    const protocol::Secret before = secret_;
    if (co_await look_up()) co_return false;
    co_return secret_ != before;
}

/// With auth_type md5, whether a SCRAM secret is to be asked for. Of a user who is not there it
/// is what most will have.
bool Authentication::expects_scram() const {
    if (known_ && !secret_.empty()) return protocol::kind_of_secret(secret_) == SecretKind::scram;
    if (!question_.empty()) return true;  // what a server of today keeps
    const auto& listed = config_->userlist;
    return std::any_of(listed.begin(), listed.end(), [](const auto& item) {
        return protocol::kind_of_secret(item.second.secret) == SecretKind::scram;
    });
}

/// By the secret that the user has, and in the same words either way.
net::Task<Authentication::Outcome> Authentication::by_hashed() {
    if (!expects_scram()) co_return co_await by_md5();
    Outcome failure = co_await by_scram();
    if (failure && failure->sqlstate == protocol::sqlstate::invalid_password)
        failure->message = wrong_password().message;
    co_return failure;
}

net::Task<protocol::Result<std::string>> Authentication::message() {
    auto message = co_await conversation_.message(message_max, Origin::client);
    if (message.has_error()) co_return message.error();
    if (message->type != 'p') {
        co_return protocol::protocol_violation(Origin::client, "expected password response");
    }
    co_return std::move(message->payload);
}

net::Task<protocol::Result<protocol::Secret>> Authentication::typed_password() {
    std::string request;
    protocol::write_authentication_cleartext(request);
    send(request);
    auto payload = co_await message();
    if (payload.has_error()) co_return payload.error();
    const auto given = protocol::read_password(*payload);
    if (given.has_error()) co_return given.error();
    protocol::Secret password(*given);
    protocol::cleanse(*payload);
    OPENSSL_cleanse(worker().page.get(), pool::Worker::page_size);  // where it was read to
    if (password.empty()) {
        co_return refuse(protocol::sqlstate::invalid_password, "empty password returned by client");
    }
    co_return password;
}

net::Task<Authentication::Outcome> Authentication::by_plain() {
    auto password = co_await typed_password();
    if (password.has_error()) co_return password.error();
    bool right = co_await fits(*password);
    if (!right) {
        const bool changed = co_await look_up_again();
        if (changed) right = co_await fits(*password);
    }
    if (right && known_) plain_password_ = *password;
    co_return right&& known_ ? Outcome() : wrong_password();
}

net::Task<bool> Authentication::fits(const std::string& password) {
    switch (protocol::kind_of_secret(secret_)) {
        case SecretKind::plain: co_return protocol::equal_secret(password, secret_);
        case SecretKind::md5: {
            const protocol::Cleansing cleansing;
            co_return protocol::equal_secret(protocol::md5_secret(password, client_.user()),
                                             secret_);
        }
        case SecretKind::none:
            if (!expects_scram()) co_return false;
            break;  // as long as if there were one
        case SecretKind::scram: break;
    }
    const protocol::ScramVerifier verifier =
        co_await shared().scram.verifier(worker(), client_.user(), secret_);
    auto check = [typed = protocol::Secret(password), verifier] {
        const protocol::Cleansing cleansing;
        const auto derived = protocol::make_verifier(typed, verifier.salt, verifier.iterations);
        return protocol::equal_secret(derived.stored_key, verifier.stored_key);
    };
    const bool equal = co_await worker().shared.offload.run<bool>(worker().loop, std::move(check));
    co_return equal && !secret_.empty();
}

net::Task<Authentication::Outcome> Authentication::by_md5() {
    const std::string salt = protocol::random_bytes(4);
    std::string request;
    protocol::write_authentication_md5(request, salt);
    send(request);
    const auto payload = co_await message();
    if (payload.has_error()) co_return payload.error();
    const auto given = protocol::read_password(*payload);
    if (given.has_error()) co_return given.error();
    const std::string answer(*given);
    const auto right = [&] {
        const SecretKind kind = protocol::kind_of_secret(secret_);
        const protocol::Secret md5 =
            kind == SecretKind::md5
                ? secret_
                : protocol::Secret(protocol::md5_secret(secret_, client_.user()));
        return protocol::equal_secret(answer, protocol::md5_answer(md5, salt)) &&
               (kind == SecretKind::md5 || kind == SecretKind::plain);
    };
    bool fits = right();
    if (!fits) {
        const bool changed = co_await look_up_again();
        fits = changed && right();
    }
    co_return fits ? Outcome() : wrong_password();
}

net::Task<Authentication::Outcome> Authentication::by_scram() {
    const SecretKind kind = protocol::kind_of_secret(secret_);
    const bool usable = kind == SecretKind::plain || kind == SecretKind::scram;
    const std::optional<protocol::ChannelBinding> binding = channel_binding(client_);
    constexpr std::string_view mechanisms[] = {protocol::scram_sha_256_plus,
                                               protocol::scram_sha_256};
    const std::span<const std::string_view> offered =
        std::span(mechanisms).subspan(binding ? 0 : 1);
    std::string request;
    protocol::write_authentication_sasl(request, offered);
    send(request);
    const auto first = co_await message();
    if (first.has_error()) co_return first.error();
    const auto initial = protocol::read_sasl_initial(*first);
    if (initial.has_error()) co_return initial.error();
    if (std::find(offered.begin(), offered.end(), initial->mechanism) == offered.end()) {
        co_return protocol::protocol_violation(
            Origin::client, "client selected an invalid SASL authentication mechanism");
    }
    const protocol::ScramVerifier verifier =
        co_await shared().scram.verifier(worker(), client_.user(), secret_);
    protocol::ScramServer scram(verifier, binding, !usable);
    const auto challenge =
        scram.first(initial->data.value_or(std::string_view()), initial->mechanism);
    if (challenge.has_error()) co_return challenge.error();
    request.clear();
    protocol::write_authentication_sasl_continue(request, *challenge);
    send(request);
    const auto second = co_await message();
    if (second.has_error()) co_return second.error();
    const auto final = scram.finish(*second);
    if (final.has_error()) co_return final.error();
    client_key_ = protocol::Secret(scram.client_key());
    server_key_ = verifier.server_key;
    request.clear();
    protocol::write_authentication_sasl_final(request, *final);
    send(request);
    co_return Outcome();
}

bool Authentication::may_be(const std::string& name, const config::HbaRule* rule) const {
    if (!known_) return false;
    return rule ? config::may_be(*config_->hba, *rule, name, client_.user())
                : name == client_.user();
}

net::Task<Authentication::Outcome> Authentication::by_certificate(const config::HbaRule* rule) {
    const auto name = peer_common_name(client_);
    if (name && may_be(*name, rule)) co_return Outcome();
    client_.log(Level::error, "{}",
                !uses_tls(client_) ? "TLS connection required"
                : !name            ? "TLS client certificate required"
                                   : "TLS certificate name mismatch");
    co_return refuse(protocol::sqlstate::invalid_authorization,
                     "certificate authentication failed");
}

net::Task<Authentication::Outcome> Authentication::by_peer(const config::HbaRule* rule) {
    if (const auto uid = uid_of(client_)) {
        auto ask = [uid = *uid] { return name_of_uid(uid); };
        const auto name = co_await shared().slow.threads().run<std::optional<std::string>>(
            worker().loop, std::move(ask));
        if (name && may_be(*name, rule)) co_return Outcome();
    }
    co_return refuse(protocol::sqlstate::invalid_authorization, "unix socket login rejected");
}

net::Task<Authentication::Outcome> Authentication::by_check(Check check, const char* refusal) {
    auto password = co_await typed_password();
    if (password.has_error()) co_return password.error();
    auto run = [check = std::move(check), typed = *password] {
        auto result = check(typed);
        return result.has_error() ? Outcome(result.error()) : Outcome();
    };
    const Outcome failure =
        co_await shared().slow.threads().run<Outcome>(worker().loop, std::move(run));
    if (!failure) plain_password_ = *password;
    if (!failure) co_return Outcome();
    client_.log(Level::warning, "{}", failure->message);
    co_return refuse(protocol::sqlstate::invalid_password, refusal);
}

net::Task<Authentication::Outcome> Authentication::by_ldap(const std::string& options) {
    auto parsed = parse_ldap_options(options);
    if (parsed.has_error()) {
        client_.log(Level::error, "{}", parsed.error().message);
        co_return misconfigured();
    }
    const std::int64_t most_us = config_->settings.client_login_timeout.count();
    const auto from = std::chrono::steady_clock::now();
    Check check = [parsed = *std::move(parsed), user = client_.user(),
                   ending = shared().slow.ending(), from, most_us](const std::string& password) {
        const GiveUp give_up = [&] {
            const std::chrono::microseconds past =
                std::chrono::duration_cast<std::chrono::microseconds>(
                    std::chrono::steady_clock::now() - from);
            return *ending || (most_us > 0 && past.count() > most_us);
        };
        return ldap_check(parsed, user, password, give_up);
    };
    co_return co_await by_check(std::move(check), "LDAP authentication failed");
}

net::Task<Authentication::Outcome> Authentication::by_pam() {
    Check check = [user = client_.user(), host = client_.address().host()](
                      const std::string& password) { return pam_check(user, password, host); };
    co_return co_await by_check(std::move(check), "PAM authentication failed");
}

pool::ServerCredentials Authentication::for_servers(const config::Config& present,
                                                    const config::Database& database,
                                                    pool::ServerCredentials known) const {
    const bool forced = database.user && *database.user != client_.user();
    known.user = database.user.value_or(client_.user());
    const config::Credential* const listed = present.credential(known.user);
    known.listed = false;
    if (database.password) {
        known.secret = *database.password;
    } else if (!forced && !plain_password_.empty()) {
        known.secret = plain_password_;
    } else if (listed) {
        known.secret = listed->secret;
        known.listed = true;
    } else if (!forced && !secret_.empty()) {
        known.secret = secret_;
    }
    // The keys of another user are the forced one's as well where both have the same secret.
    if (!client_key_.empty() && (!forced || protocol::equal_secret(known.secret, secret_))) {
        known.client_key = client_key_;
        known.server_key = server_key_;
    }
    return known;
}

}  // namespace pgweir::proxy

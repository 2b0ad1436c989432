#include "proxy/login.hpp"

#include <algorithm>

#include "pool/net/log.hpp"
#include "pool/net/proxy_header.hpp"
#include "pool/registry.hpp"
#include "protocol/requests.hpp"
#include "proxy/admin/console.hpp"
#include "proxy/process.hpp"
#include "proxy/socket_peer.hpp"

namespace pgweir::proxy {

using net::log::Level;
using protocol::Origin;

namespace {

protocol::Error refuse(const protocol::Sqlstate& state, std::string text) {
    return {state, Origin::client, std::move(text)};
}

protocol::Error hung_up() {
    return refuse(protocol::sqlstate::connection_failure, "unexpected eof");
}

/// The start-up parameter that asks a server for it.
const char* parameter_of(Replication replication) {
    return replication == Replication::logical ? "database" : "yes";
}

/// `-c name=value` and `--name=value`, backslash protecting the next character, as PostgreSQL
/// splits them.
std::vector<std::string> split_options(const std::string& options) {
    std::vector<std::string> words;
    std::string word;
    bool any = false;
    for (std::size_t i = 0; i < options.size(); ++i) {
        const bool space = std::isspace(static_cast<unsigned char>(options[i])) != 0;
        if (space && any) words.push_back(std::exchange(word, {}));
        any = !space;
        if (space) continue;
        if (options[i] == '\\' && i + 1 < options.size()) ++i;
        word += options[i];
    }
    if (any) words.push_back(word);
    return words;
}

}  // namespace

void Login::start() { story_.start(client_.shard_.worker.loop, run()); }

net::Task<void> Login::run() {
    const Outcome failure = co_await log_in();
    if (!failure) co_return;
    if (!conversation_.ended()) co_return client_.close(*failure);
    // Who says nothing may be looking whether anybody is here, and psql asks for a password first.
    client_.hang_up(client_.inbox_.empty() ? std::string_view() : "client unexpected eof");
}

net::Task<Login::Outcome> Login::log_in() {
    std::string_view gone;
    if (Outcome failure = co_await first_packets(gone)) co_return failure;
    if (!gone.empty()) {
        client_.hang_up(gone);
        co_return Outcome();
    }
    if (Outcome failure = co_await authentication_.run()) co_return failure;
    client_.shard_.end_login(client_.id_);
    if (client_.shard_.process.is_console(client_.database_)) co_return enter_console();
    co_return co_await enter_pool();
}

net::Task<Login::Outcome> Login::read_proxy_header() {
    const config::Networks& balancers = client_.shard_.worker.config->native.proxy_protocol;
    if (balancers.empty() || !balancers.covers(address_of(client_))) co_return Outcome();
    while (true) {
        const auto header = net::read_proxy_header(client_.inbox_.kept());
        if (header.has_error()) co_return header.error();
        if (*header) {
            client_.inbox_.keep(client_.inbox_.kept().substr((*header)->size));
            if ((*header)->source) client_.address_ = *(*header)->source;
            co_return Outcome();
        }
        if (!co_await conversation_.more()) co_return hung_up();
    }
}

net::Task<std::string_view> Login::pass_on(const protocol::CancelRequest& request) {
    Shard& shard = client_.shard_;
    const auto tell = [&shard, id = client_.id(),
                       live = shard.process.loops_live()](std::string_view outcome) {
        if (live.expired()) return;
        shard.worker.loop.post([&shard, id, outcome] {
            const auto found = shard.clients.find(id);
            if (found != shard.clients.end()) found->second->cancel_passed_on(outcome);
        });
    };
    shard.process.cancel(request, std::make_shared<pool::CancelErrand>(tell));
    co_return co_await passed_on_;
}

net::Task<Login::Outcome> Login::first_packets(std::string_view& gone) {
    if (Outcome failure = co_await read_proxy_header()) co_return failure;
    while (gone.empty()) {
        constexpr char client_hello = 0x16;  // the first byte of a handshake: no SSLRequest before
        if (offers_tls() && client_.inbox_.kept().starts_with(client_hello)) {
            if (Outcome failure = co_await begin_tls(true)) co_return failure;
        }
        const auto cut = protocol::first_packet(client_.inbox_.kept());
        if (cut.has_error()) co_return cut.error();
        if (!*cut) {
            if (!co_await conversation_.more()) co_return hung_up();
            continue;
        }
        client_.inbox_.keep(client_.inbox_.kept().substr((*cut)->size));
        const protocol::FirstPacket& packet = (*cut)->packet;
        if (const auto* startup = std::get_if<protocol::StartupPacket>(&packet))
            co_return read_startup(*startup);
        if (const auto* cancel = std::get_if<protocol::CancelRequest>(&packet)) {
            gone = co_await pass_on(*cancel);
            co_return Outcome();
        }
        if (!std::holds_alternative<protocol::SslRequest>(packet) || client_.address_.is_unix() ||
            !client_.shard_.worker.tls->clients) {
            send("N");  // the client goes on as it came, or not
        } else if (Outcome failure = co_await begin_tls(false)) {
            co_return failure;
        }
    }
    co_return Outcome();
}

/// On this connection, now.
bool Login::offers_tls() const {
    return client_.shard_.worker.tls->clients && !client_.address_.is_unix() &&
           !client_.socket_.tls();
}

net::Task<Login::Outcome> Login::begin_tls(bool direct) {
    if (!direct) {
        if (client_.socket_.tls())
            co_return protocol::protocol_violation(Origin::client, "SSL req inside SSL");
        // Who has a hand in the line could have put it there: it must not count as said inside.
        if (!client_.inbox_.empty()) {
            co_return protocol::protocol_violation(Origin::client,
                                                   "received unencrypted data after SSL request");
        }
        send("S");
    }
    if (Outcome failure =
            co_await conversation_.secure(client_.shard_.worker.tls->clients, {}, Origin::client)) {
        co_return failure;
    }
    if (direct && !client_.socket_.tls()->protocol_agreed()) {
        co_return protocol::protocol_violation(
            Origin::client, "received direct SSL connection request without ALPN protocol "
                            "negotiation extension");
    }
    co_return Outcome();
}

Login::Outcome Login::read_startup(const protocol::StartupPacket& packet) {
    const config::Settings& settings = client_.shard_.worker.config->settings;
    const net::Tls* const tls = client_.socket_.tls();
    if (settings.client_tls.sslmode >= config::SslMode::require && !tls &&
        !client_.address_.is_unix()) {
        return protocol::protocol_violation(Origin::client, "SSL required");
    }
    client_.user_ = *packet.find("user");
    const std::string* const database = packet.find("database");
    client_.database_ = database && !database->empty() ? *database : client_.user_;
    negotiate(packet);
    // A parameter by its name goes above one in options, wherever either stands, as in PostgreSQL.
    if (const std::string* const options = packet.find("options"))
        if (Outcome failure = read_parameter("options", *options)) return failure;
    for (const auto& [name, value] : packet.parameters) {
        if (name == "user" || name == "database" || name == "options" || name.starts_with("_pq_."))
            continue;
        if (Outcome failure = read_parameter(name, value)) return failure;
    }
    if (settings.log_connections) {
        client_.log(
            Level::log, "login attempt: db={} user={} tls={} replication={}", client_.database_,
            client_.user_, tls ? tls->description() : "no",
            client_.replication_ == Replication::none ? "no" : parameter_of(client_.replication_));
    }
    return {};
}

bool Login::ignores(const std::string& name) const {
    const auto& ignored = client_.shard_.worker.config->settings.ignore_startup_parameters;
    return std::find(ignored.begin(), ignored.end(), name) != ignored.end();
}

Login::Outcome Login::read_parameter(const std::string& name, const std::string& value) {
    if (name == "options" && ignores(name)) {
        read_ignored_options(value);
        return {};
    }
    if (name == "options") return read_options(value);
    if (ignores(name)) return {};
    if (name == "replication") return read_replication(value);
    return add_variable(name, value);
}

/// Our own never reach a server.
Login::Outcome Login::add_variable(const std::string& name, const std::string& value) {
    const bool own = Routing::is_setting(name);
    (own ? settings_ : variables_).emplace_back(name, value);
    return own ? Routing({}).start(settings_) : std::nullopt;
}

std::string_view Login::application_name() const {
    const auto last = std::find_if(variables_.rbegin(), variables_.rend(), [](const auto& asked) {
        return protocol::same_name(asked.first, "application_name");
    });
    return last == variables_.rend() ? std::string_view() : std::string_view(last->second);
}

/// As PostgreSQL: a Boolean, or "database" for a connection that takes SQL as well.
Login::Outcome Login::read_replication(const std::string& value) {
    if (value == "database") {
        client_.replication_ = Replication::logical;
        return {};
    }
    const std::optional<bool> physical = protocol::read_bool(value);
    if (!physical) {
        return protocol::Error{protocol::sqlstate::invalid_parameter_value,
                               Origin::client,
                               "invalid value for parameter \"replication\": \"" + value + "\"",
                               {},
                               R"(Valid values are: "false", 0, "true", 1, "database".)"};
    }
    client_.replication_ = *physical ? Replication::physical : Replication::none;
    return {};
}

/// Of options that are to be ignored those are not that follow a client anyway, as in PgBouncer.
void Login::read_ignored_options(const std::string& options) {
    const auto before = static_cast<std::ptrdiff_t>(variables_.size());
    read_options(options);
    const auto tracked = pool::tracked_parameters(client_.shard_.worker.config->settings);
    const auto stays_put = [&tracked](const auto& variable) {
        return std::ranges::none_of(tracked, [&](const std::string& known) {
            return protocol::same_name(known, variable.first);
        });
    };
    variables_.erase(std::remove_if(variables_.begin() + before, variables_.end(), stays_put),
                     variables_.end());
}

Login::Outcome Login::read_options(const std::string& options) {
    const auto bad = [] {
        return refuse(protocol::sqlstate::protocol_violation,
                      "unsupported options startup parameter: only '-c config=val' and "
                      "'--config=val' are allowed");
    };
    // As PostgreSQL has it of what is no option, or lacks its argument.
    const auto invalid = [](const std::string& word) {
        return protocol::Error{protocol::sqlstate::syntax_error,
                               Origin::client,
                               "invalid command-line argument for server process: " + word,
                               {},
                               "Try \"postgres --help\" for more information."};
    };
    const std::vector<std::string> words = split_options(options);
    for (std::size_t i = 0; i < words.size(); ++i) {
        std::string setting = words[i];
        if (setting == "-c") {
            if (++i == words.size()) return invalid("-c");
            setting = words[i];
        } else if (setting.starts_with("--") || setting.starts_with("-c")) {
            setting.erase(0, 2);
        } else if (setting.starts_with('-') && setting.size() > 1) {
            return bad();
        } else {
            return invalid(setting);
        }
        const std::size_t equals = setting.find('=');
        if (equals == std::string::npos) {
            const char* const dashes = words[i].starts_with("--") ? "--" : "-c ";
            return refuse(protocol::sqlstate::syntax_error, dashes + setting + " requires a value");
        }
        std::string name = setting.substr(0, equals);
        std::replace(name.begin(), name.end(), '-', '_');
        // What only a start-up packet itself can say: it must not get into the server's from here.
        for (const std::string_view taken : {"user", "database", "options", "replication"}) {
            if (protocol::same_name(name, taken)) {
                return refuse(protocol::sqlstate::undefined_object,
                              "unrecognized configuration parameter \"" + name + "\"");
            }
        }
        if (ignores(name)) continue;
        if (Outcome failure = add_variable(name, setting.substr(equals + 1))) return failure;
    }
    return {};
}

void Login::negotiate(const protocol::StartupPacket& packet) {
    std::vector<std::string> unknown;
    for (const auto& [name, value] : packet.parameters) {
        if (name.starts_with("_pq_.")) unknown.push_back(name);
    }
    client_.long_cancel_key_ = packet.version >= protocol::protocol_3_2;
    if (packet.version <= protocol::protocol_3_2 && unknown.empty()) return;
    std::string reply;
    const std::uint32_t spoken = std::min(packet.version, protocol::protocol_3_2);
    protocol::write_negotiate_protocol_version(reply, spoken & 0xffffu, unknown);
    send(reply);
}

Login::Outcome Login::enter_console() {
    const ConsoleRole role = client_.shard_.process.console_role(client_);
    if (role == ConsoleRole::none) {
        return refuse(protocol::sqlstate::invalid_authorization, "not allowed");
    }
    if (const char* const full = client_.shard_.process.console_came(client_, role))
        return refuse(protocol::sqlstate::too_many_connections, full);
    if (client_.replication_ != Replication::none) {
        return refuse(protocol::sqlstate::feature_not_supported,
                      "the console has no replication connections");
    }
    auto console = std::make_unique<Console>(client_, role);
    console->welcome();
    client_.attendant_ = std::move(console);
    client_.welcome_done(nullptr, nullptr, nullptr, {});
    return {};
}

net::Task<Login::Outcome> Login::enter_pool() {
    const config::ConfigPtr config = client_.shard_.worker.config;
    Process& process = client_.shard_.process;
    std::optional<config::Database> made;  // from "*"
    const config::Database* database = config->database(client_.database_);
    if (!database) {
        made = process.database(*config, client_.database_);
        if (made) database = &*made;
    }
    if (!database) {
        co_return refuse(protocol::sqlstate::invalid_catalog_name,
                         "no such database: " + client_.database_);
    }
    if (process.disabled(client_.database_)) {
        co_return refuse(protocol::sqlstate::cannot_connect_now,
                         fmt::format("database \"{}\" is disabled", client_.database_));
    }
    if (process.shutting_down() != Shutdown::none && !process.hands_over())
        co_return refuse(protocol::sqlstate::cannot_connect_now, "pooler is shutting down");
    if (config->settings.auth_type == config::AuthType::any && !database->user) {
        co_return refuse(protocol::sqlstate::invalid_authorization, "bouncer config error");
    }
    client_.pool_ =
        &process.registry().pool(*config, *database, database->user.value_or(client_.user_));
    if (Outcome failure = count_in(*database)) {
        client_.pool_ = nullptr;
        co_return failure;
    }
    client_.pool_->change_credentials([&](pool::ServerCredentials known) {
        return authentication_.for_servers(*config, *database, std::move(known));
    });
    if (const Greeting* const known = known_greeting()) {
        welcome(*known);
        co_return Outcome();
    }
    const protocol::VarSet::Entries asked = variables_;
    if (client_.replication_ != Replication::none) {
        variables_.emplace_back("replication", parameter_of(client_.replication_));
        if (Outcome failure = co_await open_relay()) co_return failure;
    } else if (Outcome failure = co_await meet_servers()) {
        co_return failure;
    }
    Greeting greeting = make_greeting();
    welcome(shares_servers() && greeting.welcome
                ? client_.shard_.greetings.keep(*client_.pool_, asked, std::move(greeting))
                : greeting);
    co_return Outcome();
}

bool Login::shares_servers() const {
    const config::PoolLimits& limits = client_.pool_->settings(client_.shard_.worker).limits;
    return client_.replication_ == Replication::none && limits.mode != config::PoolMode::session;
}

const Greeting* Login::known_greeting() const {
    return shares_servers() ? client_.shard_.greetings.find(*client_.pool_, variables_) : nullptr;
}

Login::Outcome Login::count_in(const config::Database&) {
    const char* const full = client_.shard_.process.client_came(client_);
    if (full) return refuse(protocol::sqlstate::too_many_connections, full);
    return {};
}

Greeting Login::make_greeting() {
    protocol::VarTable& table = client_.shard_.worker.shared.vars;
    Greeting greeting{.vars = {},
                      .own = {},
                      .parameters = {},
                      .welcome = client_.pool_->welcome(),
                      .epoch = client_.pool_->epoch()};
    protocol::VarSet::Entries parameters = reported();
    protocol::VarSet::Entries mine = tracked(parameters);
    mine.insert(mine.end(), made_->entries().begin(), made_->entries().end());
    greeting.vars = table.of(std::move(mine));
    greeting.own = own_among(greeting.vars, greeting.welcome, table);
    for (const auto& [name, value] : made_->entries()) {
        for (auto& parameter : parameters) {
            if (protocol::same_name(parameter.first, name)) parameter.second = value;
        }
    }
    for (const auto& [name, value] : parameters)
        protocol::write_parameter_status(greeting.parameters, name, value);
    return greeting;
}

void Login::welcome(const Greeting& greeting) {
    client_.vars_ = greeting.vars;
    protocol::Vars own = greeting.own;
    const config::Settings& settings = client_.shard_.worker.config->settings;
    if (settings.application_name_add_host) {
        add_host_to_application_name();
        own = own_among(client_.vars_, greeting.welcome, client_.shard_.worker.shared.vars);
    }
    const pool::Server* const server = kept_ ? kept_ : client_.server();
    std::string out;
    protocol::write_authentication_ok(out);
    out += greeting.parameters;
    client_.write_cancel_key(out, server ? server->backend_pid() : 0);
    if (!settings.login_notify_message.empty()) {
        protocol::write_notice(out, protocol::Severity::notice,
                               protocol::sqlstate::successful_completion,
                               settings.login_notify_message);
    }
    protocol::write_ready_for_query(out, protocol::TxStatus::idle);
    send(out);
    client_.welcome_done(client_.pool_, kept_, std::move(own), settings_);
}

void Login::add_host_to_application_name() {
    const std::string* const name = client_.vars_->find("application_name");
    const std::string known = name && !name->empty() ? *name : std::string("app");
    client_.vars_ = client_.shard_.worker.shared.vars.with(
        client_.vars_, "application_name", fmt::format("{} - {}", known, client_.address_.text()));
}

}  // namespace pgweir::proxy

// The story of a new client: start-up packet, authentication, welcome.
#pragma once

#include "pool/conversation.hpp"
#include "protocol/startup.hpp"
#include "proxy/authenticate.hpp"
#include "proxy/client.hpp"

namespace pgweir::proxy {

/// Resource; lives in its Client until the client is welcome.
class Login {
public:
    explicit Login(Client& client)
        : client_(client),
          conversation_(client.shard_.worker, client.socket_, client.inbox_),
          authentication_(client, conversation_, client.socket_) {}

    void start();
    void input() { conversation_.input(); }
    /// The pool had a server for us: its parameters are known now.
    void server_seen() { pool_answer_.set(std::nullopt); }
    void server_refused(const protocol::Error& error) { pool_answer_.set(error); }

private:
    template <class T>
    using Task = net::Task<T>;
    using Outcome = std::optional<protocol::Error>;  // empty: well

    Task<void> run();
    Task<Outcome> log_in();
    Task<Outcome> first_packets(bool& gone);
    bool offers_tls() const;
    /// TLS with the client; `direct`: what is in the inbox are its first bytes.
    Task<Outcome> begin_tls(bool direct);
    Outcome read_startup(const protocol::StartupPacket& packet);
    Outcome read_parameter(const std::string& name, const std::string& value);
    Outcome read_options(const std::string& options);
    void negotiate(const protocol::StartupPacket& packet);

    Outcome enter_console();
    Task<Outcome> enter_pool();
    Outcome count_in(const config::Database& database);
    void welcome();
    void add_host_to_application_name();
    void send(const std::string& bytes) { client_.socket_.send(bytes); }

    Client& client_;
    pool::Conversation conversation_;
    net::Story story_;
    net::Signal<Outcome> pool_answer_;
    Authentication authentication_;
    protocol::VarSet::Entries variables_;  // asked for at start-up
};

}  // namespace pgweir::proxy

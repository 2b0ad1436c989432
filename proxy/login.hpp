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
    // The pool has a server for us, or none; it did what we asked, or is gone.
    void cancel_passed_on(std::string_view outcome) { passed_on_.set(outcome); }
    void server_granted(pool::Server& server) { lease_.set(&server); }
    void server_refused(const protocol::Error& error) { lease_.set(error); }
    void server_answered(pool::Backend::OwnAnswer answer) { answer_.set(std::move(answer)); }
    /// That the client asks for; empty: none (yet).
    std::string_view application_name() const;

private:
    template <class T>
    using Task = net::Task<T>;
    using Outcome = std::optional<protocol::Error>;  // empty: well

    Task<void> run();
    Task<Outcome> log_in();
    /// `gone`: why the connection is to end without a word; empty: it is not.
    Task<Outcome> first_packets(std::string_view& gone);
    /// A cancel request. Its connection stays open until the server has its signal: who asked may
    /// then send the next query without its being hit, as with PostgreSQL itself. What became of
    /// it.
    Task<std::string_view> pass_on(const protocol::CancelRequest& request);
    /// Where the client comes from, if a load balancer is to say so.
    Task<Outcome> read_proxy_header();
    bool offers_tls() const;
    /// TLS with the client; `direct`: what is in the inbox are its first bytes.
    Task<Outcome> begin_tls(bool direct);
    Outcome read_startup(const protocol::StartupPacket& packet);
    bool ignores(const std::string& name) const;
    Outcome read_parameter(const std::string& name, const std::string& value);
    Outcome read_replication(const std::string& value);
    Outcome read_options(const std::string& options);
    Outcome add_variable(const std::string& name, const std::string& value);
    void read_ignored_options(const std::string& options);
    void negotiate(const protocol::StartupPacket& packet);

    Outcome enter_console();
    Task<Outcome> enter_pool();
    /// Learns what the pool's servers are like, and what they make of our variables_.
    Task<Outcome> meet_servers();
    Task<Outcome> meet_shared_servers(protocol::Vars asked);
    /// Session pooling: the server that is to be the client's, if there is one for it now.
    Task<Outcome> meet_own_server();
    /// Replication: a server that is this client's alone.
    Task<Outcome> open_relay();
    Task<protocol::Result<pool::Server*>> lease();
    Task<Outcome> ask_server(pool::Server& server);
    /// Runs SQL on the server that we hold.
    Task<pool::Backend::OwnAnswer> run(pool::Server& server, std::string sql);
    /// Gives made_ the variables_ as the server spells them.
    Task<Outcome> set_at_server(pool::Server& server);
    Task<Outcome> drop_fixed(pool::Server& server, const protocol::Error& reason, bool& dropped);
    /// What a client is told that has no other variables than the servers.
    protocol::VarSet::Entries reported() const;
    /// Those of them that are set at a server when they differ.
    protocol::VarSet::Entries tracked(const protocol::VarSet::Entries& reported) const;
    Outcome count_in(const config::Database& database);
    bool shares_servers() const;
    /// Of a client that does, where one like it was here before.
    const Greeting* known_greeting() const;
    Greeting make_greeting();
    void welcome(const Greeting& greeting);
    void add_host_to_application_name();
    void send(const std::string& bytes) { client_.socket_.send(bytes); }

    Client& client_;
    pool::Conversation conversation_;
    net::Story story_;
    net::Signal<protocol::Result<pool::Server*>> lease_;
    net::Signal<pool::Backend::OwnAnswer> answer_;
    net::Signal<std::string_view> passed_on_;
    Authentication authentication_;
    protocol::VarSet::Entries variables_;  // asked for at start-up
    Routing::Settings settings_;           // of these our own
    protocol::Vars made_;                  // what the servers make of them
    pool::Server* kept_ = nullptr;         // what the client begins with; for the moment only
};

}  // namespace pgweir::proxy

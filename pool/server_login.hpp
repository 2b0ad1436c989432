// The story of a new server connection: connect, authenticate, learn its parameters.
#pragma once

#include "pool/conversation.hpp"
#include "pool/server.hpp"
#include "protocol/cleanse.hpp"
#include "protocol/scram.hpp"

namespace pgweir::pool {

/// What we can show a server in order to be let in. Value; secret.
struct ServerCredentials {
    std::string user;
    protocol::Secret secret;  // plain text, md5… or SCRAM-SHA-256$…; empty = none known
    /// The keys a client proved to have when it logged in by SCRAM (pass-through).
    protocol::Secret client_key, server_key;
    bool listed = false;  // the secret is the password file's, and goes when that has another
};

/// Resource; lives in its Server until the log-in ends.
class ServerLogin {
public:
    explicit ServerLogin(Server& server)
        : server_(server),
          conversation_(*server.worker_, server.socket_, server.inbox_) {}

    void start();
    void input() { conversation_.input(); }

private:
    template <class T>
    using Task = net::Task<T>;
    using Outcome = std::optional<protocol::Error>;  // empty: well

    Task<void> run();
    Task<Outcome> log_in();
    /// Is TLS to be spoken with the server? asked: if it agrees.
    enum class Encryption : std::uint8_t { plain, asked, required };
    static Encryption first_choice(config::SslMode mode);
    config::Tls tls_settings() const;
    Task<Outcome> find_address();
    Task<Outcome> log_in_by(Encryption encryption);
    Task<Outcome> try_log_in(Encryption encryption);
    Task<Outcome> connect(Encryption encryption);
    void introduce();
    Task<Outcome> authenticate();
    Outcome negotiated(std::string_view message_payload);
    Task<Outcome> answer(std::string_view message_payload);
    bool may_speak_clear() const;
    Task<Outcome> answer_sasl(std::string_view mechanisms);
    Task<Outcome> learn();
    Outcome learn_one(const Conversation::Message& message);
    Task<Outcome> run_connect_query();
    void send(const std::string& bytes) { server_.socket_.send(bytes); }

    Server& server_;
    Conversation conversation_;
    net::Story story_;
    config::Tls tls_{.sslmode = config::SslMode::disable};
    ServerCredentials credentials_;
    std::int64_t connected_us_ = 0;  // when the connection was made, before anything was said
    std::uint32_t protocol_ = 0;     // asked for, then spoken
    bool unheard_ = false;           // our start-up packet was sent, and nobody has answered to it
    protocol::VarSet::Entries parameters_;
};

}  // namespace pgweir::pool

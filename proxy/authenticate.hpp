// How a client proves who it is.
#pragma once

#include "pool/conversation.hpp"
#include "pool/server_login.hpp"
#include "proxy/client.hpp"

namespace pgweir::proxy {

/// The authentication of one client, by the method the configuration wants for it. Resource; lives
/// in its Login.
class Authentication {
public:
    Authentication(const Client& client, pool::Conversation& conversation, net::Socket& socket)
        : client_(client),
          conversation_(conversation),
          socket_(socket) {}

    using Outcome = std::optional<protocol::Error>;  // empty: well

    /// The whole conversation, up to where AuthenticationOk would follow.
    net::Task<Outcome> run();

    /// `known` with what this client's log-in adds: what its pool may show servers.
    pool::ServerCredentials for_servers(const config::Database& database,
                                        pool::ServerCredentials known) const;

private:
    template <class T>
    using Task = net::Task<T>;
    using AuthType = config::AuthType;

    Task<Outcome> by_password(AuthType method, const std::string& secret);
    Task<Outcome> by_md5(const std::string& secret);
    Task<Outcome> by_scram(const std::string& secret);
    Task<protocol::Result<std::string>> password();
    void send(const std::string& bytes) { socket_.send(bytes); }

    const Client& client_;
    pool::Conversation& conversation_;
    net::Socket& socket_;
    std::string plain_password_, client_key_, server_key_;  // learnt in passing, for servers
};

}  // namespace pgweir::proxy

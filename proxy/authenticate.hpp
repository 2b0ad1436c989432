// How a client proves who it is.
#pragma once

#include <functional>

#include "config/hba.hpp"
#include "pool/conversation.hpp"
#include "pool/server_login.hpp"
#include "proxy/auth_shared.hpp"
#include "proxy/client.hpp"

namespace pgweir::proxy {

/// The authentication of one client, by the method the configuration wants for it. Resource; lives
/// in its Login.
class Authentication {
public:
    Authentication(const Client& client, pool::Conversation& conversation, net::Socket& socket);
    Authentication(const Authentication&) = delete;
    Authentication& operator=(const Authentication&) = delete;

    using Outcome = std::optional<protocol::Error>;  // empty: well

    /// The whole conversation, up to where AuthenticationOk would follow.
    net::Task<Outcome> run();

    /// `known` with what this client's log-in adds: what its pool may show servers. `present`: a
    /// secret may have been renewed since the log-in began.
    pool::ServerCredentials for_servers(const config::Config& present,
                                        const config::Database& database,
                                        pool::ServerCredentials known) const;

private:
    template <class T>
    using Task = net::Task<T>;
    using AuthType = config::AuthType;

    /// What is demanded of this client.
    struct Demand {
        AuthType method;
        const config::HbaRule* rule = nullptr;  // whose it is; nullptr: auth_type's
    };

    Task<Outcome> prove();
    protocol::Result<Demand> demand() const;
    Task<Outcome> by_secret(AuthType method);

    Task<Outcome> look_up();
    protocol::Error console_asked() const;
    Task<Outcome> ask_database(const config::Database& asking, std::string query);
    /// The secret was not asked for just now, and now it has been.
    Task<bool> look_up_again();
    bool expects_scram() const;

    Task<Outcome> by_plain();
    Task<bool> fits(const std::string& password);
    Task<Outcome> by_hashed();
    Task<Outcome> by_md5();
    Task<Outcome> by_scram();
    Task<Outcome> by_certificate(const config::HbaRule* rule);
    Task<Outcome> by_peer(const config::HbaRule* rule);
    /// LDAP or PAM: `check` is run with the password on a thread that may wait.
    using Check = std::function<protocol::Result<void>(const std::string& password)>;
    Task<Outcome> by_check(Check check, const char* refusal);
    Task<Outcome> by_ldap(const std::string& options);
    Task<Outcome> by_pam();

    Task<protocol::Result<std::string>> message();
    Task<protocol::Result<protocol::Secret>> typed_password();
    bool may_be(const std::string& name, const config::HbaRule* rule) const;
    void send(const std::string& bytes) { socket_.send(bytes); }
    pool::Worker& worker() const { return client_.shard().worker; }
    AuthShared& shared() const;

    const Client& client_;
    pool::Conversation& conversation_;
    net::Socket& socket_;
    const config::ConfigPtr config_;

    bool known_ = false;       // there is such a user
    bool no_row_ = false;      // a database was asked, and there is not
    protocol::Secret secret_;  // empty: nothing fits
    std::string question_;     // what the database was asked; empty: nothing
    bool remembered_ = false;  // … by an earlier log-in
    protocol::Secret plain_password_, client_key_, server_key_;  // learnt in passing, for servers
};

}  // namespace pgweir::proxy

// What all TLS connections of one side share: certificates, keys, ciphers, whom to trust.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/error.hpp"

struct ssl_st;
struct ssl_ctx_st;
struct ssl_session_st;

namespace pgweir::net {

/// What one side's TLS is to be like. The texts are the settings' own (docs/settings.md).
struct TlsOptions {
    enum class Role : std::uint8_t { accept, connect };
    /// What is asked of the peer's certificate.
    enum class Verify : std::uint8_t {
        none,     // nothing
        offered,  // accept: that of a client that has one, which need not be good
        chain,    // one that `ca_file` vouches for; connect: the system, when it is empty
        host,     // … and connect: for the host that was meant
    };

    Role role = Role::accept;
    Verify verify = Verify::none;
    std::string ca_file{}, cert_file{}, key_file{};  // PEM
    std::string ciphers = "default", tls13_ciphers{};
    std::string protocols = "secure";
    std::string dheparams = "auto", ecdhcurve = "auto";
    bool direct = false;     // connect: TLS begins at once
    bool postgresql = true;  // connect: says by ALPN that this is what it wants to speak
    /// accept: what is shown to who asks for this name; "*.example" is any one below it.
    struct Named {
        std::string name, cert_file, key_file;
    };
    std::vector<Named> names{};
};

/// Thread-safe, immutable but for its sessions. Connections keep the one they began with. Whoever
/// needs new files makes a new one.
class TlsContext {
public:
    using Ptr = std::shared_ptr<const TlsContext>;

    /// Reads the files; blocking.
    /// Errors   F0000: "cert_file /x: No such file or directory", the option named first.
    static protocol::Result<Ptr> make(const TlsOptions& options);

    TlsOptions::Role role() const { return role_; }
    TlsOptions::Verify verify() const { return verify_; }
    bool direct() const { return direct_; }

    struct FreeSession {
        void operator()(ssl_session_st* session) const;
    };
    using Session = std::unique_ptr<ssl_session_st, FreeSession>;
    /// connect: what the last connection with this server left for the next; nullptr: nothing. A
    /// ticket is given once, as one that is used again would tell who is who.
    Session take_session(const std::string& server) const;
    void keep_session(const std::string& server, Session session) const;

private:
    friend class Tls;
    struct Free {
        void operator()(ssl_ctx_st* context) const;
    };
    using Handle = std::unique_ptr<ssl_ctx_st, Free>;

    TlsContext(const TlsOptions& options, Handle handle);
    protocol::Result<void> add_names(const TlsOptions& options);
    static int choose_certificate(ssl_st* ssl, int* alert, void* context);

    const TlsOptions::Role role_;
    const TlsOptions::Verify verify_;
    const bool direct_;
    const Handle handle_;
    std::map<std::string, Ptr, std::less<>> names_;  // lower case
    mutable std::mutex mutex_;                       // guards what follows
    mutable std::map<std::string, Session> sessions_;
};

using TlsContextPtr = TlsContext::Ptr;

}  // namespace pgweir::net

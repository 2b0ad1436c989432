// What all TLS connections of one side share: certificates, keys, ciphers, whom to trust.
#pragma once

#include <memory>
#include <string>

#include "protocol/error.hpp"

struct ssl_ctx_st;

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
};

/// Immutable, thread-safe; connections keep the one they began with. Whoever needs new files makes
/// a new one.
class TlsContext {
public:
    using Ptr = std::shared_ptr<const TlsContext>;

    /// Reads the files; blocking.
    /// Errors   F0000: "cert_file /x: No such file or directory", the option named first.
    static protocol::Result<Ptr> make(const TlsOptions& options);

    TlsOptions::Role role() const { return role_; }
    TlsOptions::Verify verify() const { return verify_; }

private:
    friend class Tls;
    struct Free {
        void operator()(ssl_ctx_st* context) const;
    };
    using Handle = std::unique_ptr<ssl_ctx_st, Free>;

    TlsContext(const TlsOptions& options, Handle handle);

    const TlsOptions::Role role_;
    const TlsOptions::Verify verify_;
    const Handle handle_;
};

using TlsContextPtr = TlsContext::Ptr;

}  // namespace pgweir::net

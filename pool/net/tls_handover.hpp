// Takes a connection over from OpenSSL when its handshake is done.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "pool/net/tls_records.hpp"

struct ssl_st;
struct ssl_ctx_st;

namespace pgweir::net {

/// Listens to one handshake for what its records will need. Resource; secret; `ssl` outlives it.
/// OpenSSL has no call for the keys, but tells them to who keeps a log of keys.
class TlsHandover {
public:
    /// Call for the context, before its connections are made.
    static void prepare(ssl_ctx_st* context);

    explicit TlsHandover(ssl_st* ssl);
    ~TlsHandover();
    TlsHandover(const TlsHandover&) = delete;
    TlsHandover& operator=(const TlsHandover&) = delete;

    /// After the handshake. nullptr: OpenSSL has to go on with this one, as it has agreed on
    /// something special or old, or has taken more input than the handshake's.
    std::unique_ptr<TlsRecords> take();

private:
    struct Calls;  // OpenSSL's
    std::unique_ptr<TlsRecords> take_old() const;

    ssl_st* const ssl_;
    std::string peer_secret_, own_secret_;
    std::uint64_t sent_ = 0, received_ = 0;  // records under these secrets
};

}  // namespace pgweir::net

// The TLS of one configuration, both sides.
#pragma once

#include <memory>
#include <string>

#include "config/config.hpp"
#include "pool/net/tls_context.hpp"

namespace pgweir::pool {

/// Value, immutable; its own files are read once. nullptr: that side has no TLS.
struct TlsContexts {
    net::TlsContextPtr clients, servers;
};
using TlsContextsPtr = std::shared_ptr<const TlsContexts>;

/// Reads the files; blocking.
/// Errors   F0000: "client_tls_cert_file /x: No such file or directory", the setting named first.
protocol::Result<TlsContextsPtr> make_tls_contexts(const config::Settings& settings);

}  // namespace pgweir::pool

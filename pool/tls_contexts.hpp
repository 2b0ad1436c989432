// The TLS of one configuration, both sides.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/config.hpp"
#include "pool/net/tls_context.hpp"

namespace pgweir::pool {

/// Value, immutable; its own files are read once.
struct TlsContexts {
    net::TlsContextPtr clients;  // nullptr: no TLS with clients
    /// One for each way in which the entries want TLS with servers.
    std::vector<std::pair<config::Tls, net::TlsContextPtr>> servers;

    /// With who is asked over HTTPS, by the file of those that vouch for it; "" = the system's.
    std::map<std::string, net::TlsContextPtr> https;

    /// nullptr: settings of another configuration.
    net::TlsContextPtr for_https(const std::string& ca_file) const;
    /// nullptr where there is no TLS, or settings of another configuration.
    net::TlsContextPtr for_servers(const config::Tls& tls) const;
};
using TlsContextsPtr = std::shared_ptr<const TlsContexts>;

/// Reads the files; blocking.
/// Errors   F0000: "client_tls_cert_file /x: No such file or directory", the setting named first.
protocol::Result<TlsContextsPtr> make_tls_contexts(const config::Config& config);

}  // namespace pgweir::pool

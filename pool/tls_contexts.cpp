#include "pool/tls_contexts.hpp"

namespace pgweir::pool {

namespace {

using config::SslMode;
using net::TlsOptions;

TlsOptions options_of(const config::Tls& tls, TlsOptions::Role role) {
    return {.role = role,
            .ca_file = tls.ca_file,
            .cert_file = tls.cert_file,
            .key_file = tls.key_file,
            .ciphers = tls.ciphers,
            .tls13_ciphers = tls.tls13_ciphers,
            .protocols = tls.protocols,
            .dheparams = tls.dheparams,
            .ecdhcurve = tls.ecdhcurve};
}

bool verifies(SslMode mode) { return mode == SslMode::verify_ca || mode == SslMode::verify_full; }

protocol::Result<net::TlsContextPtr> make(const TlsOptions& options, const char* prefix) {
    auto made = net::TlsContext::make(options);
    if (made.has_error()) {
        protocol::Error error = made.error();
        error.message.insert(0, prefix);
        return error;
    }
    return made;
}

}  // namespace

protocol::Result<TlsContextsPtr> make_tls_contexts(const config::Settings& settings) {
    auto contexts = std::make_shared<TlsContexts>();
    const config::Tls& client = settings.client_tls;
    if (client.sslmode != SslMode::disable) {
        TlsOptions options = options_of(client, TlsOptions::Role::accept);
        options.verify = verifies(client.sslmode) ? TlsOptions::Verify::chain
                         : client.ca_file.empty() ? TlsOptions::Verify::none
                                                  : TlsOptions::Verify::offered;
        auto made = make(options, "client_tls_");
        if (made.has_error()) return made.error();
        contexts->clients = std::move(*made);
    }
    const config::Tls& server = settings.server_tls;
    if (server.sslmode != SslMode::disable) {
        TlsOptions options = options_of(server, TlsOptions::Role::connect);
        options.verify = server.sslmode == SslMode::verify_full ? TlsOptions::Verify::host
                         : server.sslmode == SslMode::verify_ca ? TlsOptions::Verify::chain
                                                                : TlsOptions::Verify::none;
        auto made = make(options, "server_tls_");
        if (made.has_error()) return made.error();
        contexts->servers = std::move(*made);
    }
    return TlsContextsPtr(std::move(contexts));
}

}  // namespace pgweir::pool

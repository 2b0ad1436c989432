#include "pool/tls_contexts.hpp"

#include <algorithm>

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

protocol::Result<net::TlsContextPtr> make(const TlsOptions& options, const std::string& prefix) {
    auto made = net::TlsContext::make(options);
    if (made.has_error()) {
        protocol::Error error = made.error();
        error.message.insert(0, prefix);
        return error;
    }
    return made;
}

protocol::Result<net::TlsContextPtr> accepting(const config::Tls& tls) {
    TlsOptions options = options_of(tls, TlsOptions::Role::accept);
    options.verify = verifies(tls.sslmode) ? TlsOptions::Verify::chain
                     : tls.ca_file.empty() ? TlsOptions::Verify::none
                                           : TlsOptions::Verify::offered;
    for (const auto& [name, files] : tls.names)
        options.names.push_back({name, files.cert_file, files.key_file});
    return make(options, "client_tls_");
}

protocol::Result<void> add_connecting(TlsContexts& contexts, const config::Tls& tls,
                                      const std::string& prefix) {
    if (tls.sslmode == SslMode::disable || contexts.for_servers(tls)) return {};
    TlsOptions options = options_of(tls, TlsOptions::Role::connect);
    options.verify = tls.sslmode == SslMode::verify_full ? TlsOptions::Verify::host
                     : tls.sslmode == SslMode::verify_ca ? TlsOptions::Verify::chain
                                                         : TlsOptions::Verify::none;
    options.direct = tls.negotiation == config::SslNegotiation::direct;
    auto made = make(options, prefix + "server_tls_");
    if (made.has_error()) return made.error();
    contexts.servers.emplace_back(tls, std::move(*made));
    return {};
}

bool is_https(const std::string& url) { return url.starts_with("https://"); }

/// `prefix`: what the setting's name for `ca_file` begins with.
protocol::Result<void> add_https(TlsContexts& contexts, const std::vector<std::string>& urls,
                                 const std::string& ca_file, const std::string& prefix) {
    if (std::ranges::none_of(urls, is_https) || contexts.for_https(ca_file)) return {};
    TlsOptions options{.role = TlsOptions::Role::connect, .verify = TlsOptions::Verify::host};
    options.ca_file = ca_file;
    options.postgresql = false;
    auto made = make(options, prefix);
    if (made.has_error()) return made.error();
    contexts.https.emplace(ca_file, std::move(*made));
    return {};
}

}  // namespace

net::TlsContextPtr TlsContexts::for_https(const std::string& ca_file) const {
    const auto found = https.find(ca_file);
    return found == https.end() ? nullptr : found->second;
}

net::TlsContextPtr TlsContexts::for_servers(const config::Tls& tls) const {
    const auto found =
        std::ranges::find_if(servers, [&](const auto& known) { return known.first == tls; });
    return found == servers.end() ? nullptr : found->second;
}

protocol::Result<TlsContextsPtr> make_tls_contexts(const config::Config& config) {
    auto contexts = std::make_shared<TlsContexts>();
    if (config.settings.client_tls.sslmode != SslMode::disable) {
        auto made = accepting(config.settings.client_tls);
        if (made.has_error()) return made.error();
        contexts->clients = std::move(*made);
    }
    auto added = add_connecting(*contexts, config.settings.server_tls, "");
    for (const auto& [name, database] : config.databases) {
        if (added.has_error()) break;
        added = add_connecting(*contexts, config::server_tls(config.settings, database),
                               "databases." + name + ": ");
    }
    for (const auto& [name, cluster] : config.clusters) {
        const std::string prefix = "clusters." + name;
        if (!added.has_error())
            added = add_https(*contexts, cluster.health.patroni, cluster.health.patroni_ca_file,
                              prefix + ".health.patroni_");
        if (!added.has_error())
            added = add_https(*contexts, cluster.failover.peers, cluster.failover.peers_ca_file,
                              prefix + ".failover.peers_");
    }
    if (added.has_error()) return added.error();
    return TlsContextsPtr(std::move(contexts));
}

}  // namespace pgweir::pool

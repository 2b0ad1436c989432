#include "proxy/http/certificates.hpp"

#include <cstdio>
#include <ctime>
#include <memory>
#include <optional>
#include <set>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace pgweir::proxy::http {

namespace {

/// Of the first certificate in the file, which is the one that is shown.
std::optional<std::int64_t> end_of(const std::string& file) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> in(std::fopen(file.c_str(), "re"),
                                                             std::fclose);
    if (!in) return std::nullopt;
    const std::unique_ptr<X509, void (*)(X509*)> certificate(
        PEM_read_X509(in.get(), nullptr, nullptr, nullptr), X509_free);
    ERR_clear_error();
    std::tm ends{};
    if (!certificate || ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &ends) != 1)
        return std::nullopt;
    return timegm(&ends);
}

}  // namespace

std::vector<CertificateEnd> certificate_ends(const config::Config& config) {
    using config::SslMode;
    std::set<std::string> to_clients, to_servers;
    const config::Tls& clients = config.settings.client_tls;
    if (clients.sslmode != SslMode::disable) {
        to_clients.insert(clients.cert_file);
        for (const auto& [name, shown] : clients.names) to_clients.insert(shown.cert_file);
    }
    const auto add_server = [&](const config::Tls& tls) {
        if (tls.sslmode != SslMode::disable) to_servers.insert(tls.cert_file);
    };
    add_server(config.settings.server_tls);
    for (const auto& [name, database] : config.databases)
        add_server(config::server_tls(config.settings, database));
    std::vector<CertificateEnd> ends;
    const auto add = [&](bool side, const std::set<std::string>& files) {
        for (const std::string& file : files) {
            if (const auto at_s = file.empty() ? std::nullopt : end_of(file))
                ends.push_back({side, file, *at_s});
        }
    };
    add(true, to_clients);
    add(false, to_servers);
    return ends;
}

}  // namespace pgweir::proxy::http

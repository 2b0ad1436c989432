#include "pool/net/tls_context.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <string_view>

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <fmt/format.h>

#include "pool/net/tls.hpp"
#include "protocol/ascii.hpp"

namespace pgweir::net {

namespace {

using Role = TlsOptions::Role;
using Verify = TlsOptions::Verify;
using Trouble = std::optional<protocol::Error>;  // empty: well

// "postgresql" with its length in front, as ALPN lists names.
constexpr std::array<unsigned char, 11> protocol_name = {10,  'p', 'o', 's', 't', 'g',
                                                         'r', 'e', 's', 'q', 'l'};

protocol::Error bad(std::string text) {
    return {protocol::sqlstate::config_file_error, protocol::Origin::proxy, std::move(text)};
}

/// OpenSSL's first complaint in words; forgets them all.
std::string complaint() {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
    const char* const reason = code ? ERR_reason_error_string(code) : nullptr;
    return reason ? reason : fmt::format("OpenSSL error {}", code);
}

bool in(std::string_view word, std::initializer_list<std::string_view> words) {
    for (const std::string_view one : words) {
        if (one == word) return true;
    }
    return false;
}

/// The versions that a list such as "tlsv1.2,tlsv1.3", "all,!tlsv1.0" or "secure" leaves out, as
/// SSL_OP_NO_*; nullopt when it has a word that is none.
std::optional<std::uint64_t> refused_versions(std::string_view list) {
    constexpr std::uint64_t old = SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1;
    constexpr std::uint64_t all = old | SSL_OP_NO_TLSv1_2 | SSL_OP_NO_TLSv1_3;
    const auto meaning = [](std::string_view word) -> std::uint64_t {
        if (in(word, {"all", "legacy", "tlsv1"})) return all;
        if (in(word, {"secure", "default"})) return all & ~old;
        if (word == "tlsv1.0") return SSL_OP_NO_TLSv1;
        if (word == "tlsv1.1") return SSL_OP_NO_TLSv1_1;
        if (word == "tlsv1.2") return SSL_OP_NO_TLSv1_2;
        if (word == "tlsv1.3") return SSL_OP_NO_TLSv1_3;
        return 0;
    };
    std::uint64_t taken = 0;
    while (!list.empty()) {
        const std::size_t end = std::min(list.find_first_of(",: "), list.size());
        std::string word = protocol::folded(list.substr(0, end));
        list.remove_prefix(std::min(end + 1, list.size()));
        if (word.empty()) continue;
        const bool without = word.front() == '!';
        if (without) word.erase(0, 1);
        const std::uint64_t versions = meaning(word);
        if (versions == 0) return std::nullopt;
        if (without && taken == 0) taken = all;
        taken = without ? taken & ~versions : taken | versions;
    }
    if (taken == 0) return std::nullopt;
    return all & ~taken;
}

Trouble set_protocols(SSL_CTX* context, const TlsOptions& options) {
    const auto refused = refused_versions(options.protocols);
    if (!refused) {
        return bad(fmt::format("protocols: expected a list of tlsv1.0 to tlsv1.3, all, or secure, "
                               "got \"{}\"",
                               options.protocols));
    }
    // OpenSSL's own configuration may have a higher floor: the setting is meant to be the word.
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    SSL_CTX_set_options(context, *refused);
    return {};
}

Trouble set_ciphers(SSL_CTX* context, const TlsOptions& options) {
    const std::string& words = options.ciphers;
    if (!in(words, {"", "default", "secure", "fast", "normal"})) {
        const char* const list = words == "all" ? "ALL:!aNULL:!eNULL" : words.c_str();
        if (SSL_CTX_set_cipher_list(context, list) != 1)
            return bad(fmt::format("ciphers \"{}\": {}", words, complaint()));
    }
    const std::string& suites = options.tls13_ciphers;
    if (!suites.empty() && SSL_CTX_set_ciphersuites(context, suites.c_str()) != 1)
        return bad(fmt::format("tls13_ciphers \"{}\": failed to set the TLSv1.3 cipher suites: {}",
                               suites, complaint()));
    const std::string& curve = options.ecdhcurve;
    if (!in(curve, {"", "auto", "none"}) && SSL_CTX_set1_groups_list(context, curve.c_str()) != 1)
        return bad(fmt::format("ecdhcurve \"{}\": no such curve", curve));
    constexpr int by_key = 1, bits_1024 = 2;
    if (options.dheparams != "none")
        SSL_CTX_set_dh_auto(context, options.dheparams == "legacy" ? bits_1024 : by_key);
    ERR_clear_error();
    return {};
}

Trouble load_certificate(SSL_CTX* context, const TlsOptions& options) {
    // A key with a passphrase must not make the process ask for it on its terminal.
    SSL_CTX_set_default_passwd_cb(context, [](char*, int, int, void*) { return 0; });
    const std::string& cert = options.cert_file;
    const std::string& key = options.key_file;
    if (cert.empty() && key.empty()) return {};
    if (cert.empty()) return bad(fmt::format("key_file {}: there is no cert_file", key));
    if (key.empty()) return bad(fmt::format("cert_file {}: there is no key_file", cert));
    if (SSL_CTX_use_certificate_chain_file(context, cert.c_str()) != 1)
        return bad(fmt::format("cert_file {}: {}", cert, complaint()));
    if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1)
        return bad(fmt::format("key_file {}: {}", key, complaint()));
    if (SSL_CTX_check_private_key(context) != 1)
        return bad(fmt::format("key_file {}: {}", key, complaint()));
    return {};
}

int take_any(int, X509_STORE_CTX*) { return 1; }

Trouble load_authorities(SSL_CTX* context, const TlsOptions& options) {
    if (options.verify == Verify::none) return {};
    const std::string& file = options.ca_file;
    if (file.empty() && options.role == Role::accept) {
        // Whom all the world trusts to name hosts is nobody to name our users.
        return bad("ca_file: client certificates can be verified only by an authority of yours");
    }
    if (file.empty()) {
        SSL_CTX_set_default_verify_paths(context);
    } else if (SSL_CTX_load_verify_file(context, file.c_str()) != 1) {
        return bad(fmt::format("ca_file {}: {}", file, complaint()));
    }
    if (options.role == Role::connect) {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
        return {};
    }
    if (auto* const names = SSL_load_client_CA_file(file.c_str()))
        SSL_CTX_set_client_CA_list(context, names);
    if (options.verify == Verify::offered) {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, take_any);
    } else {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
    ERR_clear_error();
    return {};
}

/// Who names protocols must name ours: what was meant for a web server does not get in.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size,
                    const unsigned char* offered, unsigned int offered_size, void*) {
    unsigned char* found = nullptr;
    if (SSL_select_next_proto(&found, size, protocol_name.data(), protocol_name.size(), offered,
                              offered_size) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

/// Tickets of one context are good for the next, over RELOAD. Not where clients show certificates:
/// a ticket would be as good as one, although it may be trusted no more. Keys serve for a day.
void share_ticket_keys(SSL_CTX* context) {
    using Clock = std::chrono::steady_clock;
    constexpr auto lifetime = std::chrono::hours(24);
    static std::mutex mutex;
    static std::array<unsigned char, 80> keys;
    static std::optional<Clock::time_point> made;
    const std::lock_guard lock(mutex);
    if (!made || Clock::now() - *made > lifetime) {
        if (RAND_bytes(keys.data(), keys.size()) != 1) return;
        made = Clock::now();
    }
    SSL_CTX_ctrl(context, SSL_CTRL_SET_TLSEXT_TICKET_KEYS, keys.size(), keys.data());
    ERR_clear_error();
}

void set_behaviour(SSL_CTX* context, const TlsOptions& options) {
    // At rest a connection keeps no buffers.
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    // A FIN without close_notify is an end like any other: our own messages say where they end.
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (options.role == Role::connect) {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, Tls::session_came);
        if (options.postgresql)
            SSL_CTX_set_alpn_protos(context, protocol_name.data(), protocol_name.size());
        return;
    }
    SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT);  // passwords are typed by clients
    TlsHandover::prepare(context);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
    // One ticket serves the one connection that comes after this one; nothing is kept here.
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (options.verify == Verify::none) share_ticket_keys(context);
    constexpr std::array<unsigned char, 6> id = {'p', 'g', 'w', 'e', 'i', 'r'};
    SSL_CTX_set_session_id_context(context, id.data(), id.size());
}

}  // namespace

void TlsContext::Free::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }
void TlsContext::FreeSession::operator()(ssl_session_st* session) const {
    SSL_SESSION_free(session);
}

TlsContext::TlsContext(const TlsOptions& options, Handle handle)
    : role_(options.role),
      verify_(options.verify),
      direct_(options.direct),
      handle_(std::move(handle)) {}

protocol::Result<TlsContextPtr> TlsContext::make(const TlsOptions& options) {
    ERR_clear_error();
    Handle handle(
        SSL_CTX_new(options.role == Role::accept ? TLS_server_method() : TLS_client_method()));
    if (!handle) return bad("no TLS: " + complaint());
    set_behaviour(handle.get(), options);
    for (const auto step : {set_protocols, set_ciphers, load_certificate, load_authorities}) {
        if (const Trouble trouble = step(handle.get(), options)) return *trouble;
    }
    const std::shared_ptr<TlsContext> made(new TlsContext(options, std::move(handle)));
    if (const auto added = made->add_names(options); added.has_error()) return added.error();
    return TlsContextPtr(made);
}

protocol::Result<void> TlsContext::add_names(const TlsOptions& options) {
    for (const TlsOptions::Named& named : options.names) {
        TlsOptions own = options;
        own.names.clear();
        own.cert_file = named.cert_file;
        own.key_file = named.key_file;
        auto made = make(own);
        if (made.has_error()) {
            return bad(fmt::format("names \"{}\": {}", named.name, made.error().message));
        }
        names_.insert_or_assign(protocol::folded(named.name), std::move(*made));
    }
    if (names_.empty()) return {};
    SSL_CTX_callback_ctrl(handle_.get(), SSL_CTRL_SET_TLSEXT_SERVERNAME_CB,
                          reinterpret_cast<void (*)()>(choose_certificate));
    SSL_CTX_ctrl(handle_.get(), SSL_CTRL_SET_TLSEXT_SERVERNAME_ARG, 0, this);
    return {};
}

/// A client that asks for another name gets what all get: it may not care.
int TlsContext::choose_certificate(ssl_st* ssl, int*, void* context) {
    const auto& names = static_cast<const TlsContext*>(context)->names_;
    const char* const asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (!asked) return SSL_TLSEXT_ERR_NOACK;
    const std::string name = protocol::folded(asked);
    auto found = names.find(name);
    if (found == names.end()) {
        const std::size_t dot = std::min(name.find('.'), name.size());
        found = names.find("*" + name.substr(dot));
    }
    if (found == names.end()) return SSL_TLSEXT_ERR_NOACK;
    SSL_set_SSL_CTX(ssl, found->second->handle_.get());
    return SSL_TLSEXT_ERR_OK;
}

TlsContext::Session TlsContext::take_session(const std::string& server) const {
    const std::lock_guard lock(mutex_);
    auto found = sessions_.extract(server);
    return found.empty() ? Session() : std::move(found.mapped());
}

void TlsContext::keep_session(const std::string& server, Session session) const {
    constexpr std::size_t servers_max = 64;  // each some 5 KiB
    const std::lock_guard lock(mutex_);
    if (sessions_.size() >= servers_max && !sessions_.contains(server)) sessions_.clear();
    sessions_.insert_or_assign(server, std::move(session));
}

}  // namespace pgweir::net

#include "pool/net/tls_handover.hpp"

#include <array>

#include <openssl/crypto.h>
#include <openssl/ssl.h>

namespace pgweir::net {

struct TlsHandover::Calls {
    static TlsHandover* of(const SSL* ssl) {
        return static_cast<TlsHandover*>(SSL_get_app_data(ssl));
    }

    /// "SERVER_TRAFFIC_SECRET_0 <client's random> <secret>", numbers in hexadecimal.
    static void secret(const SSL* ssl, const char* text) {
        TlsHandover* const handover = of(ssl);
        const Bytes line(text);
        if (!handover) return;
        std::string* const to =
            line.starts_with("CLIENT_TRAFFIC_SECRET_0 ")   ? &handover->peer_secret_
            : line.starts_with("SERVER_TRAFFIC_SECRET_0 ") ? &handover->own_secret_
                                                           : nullptr;
        if (!to) return;
        const char* const digits = text + line.rfind(' ') + 1;
        long size = 0;
        unsigned char* const bytes = OPENSSL_hexstr2buf(digits, &size);
        if (!bytes) return;
        to->assign(bytes, bytes + size);
        OPENSSL_clear_free(bytes, static_cast<std::size_t>(size));
    }

    static void message(int sends, int, int type, const void*, std::size_t, SSL* ssl, void*) {
        TlsHandover* const handover = of(ssl);
        if (!handover || type != SSL3_RT_HEADER) return;
        if (sends && !handover->own_secret_.empty()) ++handover->sent_;
        if (!sends && !handover->peer_secret_.empty()) ++handover->received_;
    }
};

void TlsHandover::prepare(ssl_ctx_st* context) {
    SSL_CTX_set_keylog_callback(context, Calls::secret);
    SSL_CTX_set_msg_callback(context, Calls::message);
}

TlsHandover::TlsHandover(ssl_st* ssl) : ssl_(ssl) { SSL_set_app_data(ssl_, this); }

TlsHandover::~TlsHandover() {
    SSL_set_app_data(ssl_, nullptr);
    OPENSSL_cleanse(peer_secret_.data(), peer_secret_.size());
    OPENSSL_cleanse(own_secret_.data(), own_secret_.size());
}

std::unique_ptr<TlsRecords> TlsHandover::take() {
    const SSL_CIPHER* const cipher = SSL_get_current_cipher(ssl_);
    const SSL_SESSION* const session = SSL_get_session(ssl_);
    const bool usual =
        cipher && session && TlsRecords::knows(SSL_CIPHER_get_protocol_id(cipher)) &&
        SSL_SESSION_get_max_fragment_length(session) == TLSEXT_max_fragment_length_DISABLED;
    if (!usual || SSL_has_pending(ssl_)) return nullptr;
    if (SSL_version(ssl_) == TLS1_2_VERSION) return take_old();
    const bool complete = !peer_secret_.empty() && !own_secret_.empty() && received_ == 0;
    if (!complete) return nullptr;
    return std::make_unique<TlsRecords>(SSL_CIPHER_get_protocol_id(cipher), peer_secret_,
                                        own_secret_, sent_);
}

std::unique_ptr<TlsRecords> TlsHandover::take_old() const {
    constexpr std::size_t random_size = 32;
    std::array<unsigned char, 48> secret;
    std::array<unsigned char, random_size> client, server;
    const auto bytes = [](const auto& array) {
        return Bytes(static_cast<const char*>(static_cast<const void*>(array.data())),
                     array.size());
    };
    const SSL_SESSION* const session = SSL_get_session(ssl_);
    const bool told =
        SSL_SESSION_get_master_key(session, secret.data(), secret.size()) == secret.size() &&
        SSL_get_client_random(ssl_, client.data(), client.size()) == client.size() &&
        SSL_get_server_random(ssl_, server.data(), server.size()) == server.size();
    std::unique_ptr<TlsRecords> records;
    if (told) {
        records =
            std::make_unique<TlsRecords>(SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl_)),
                                         TlsMaster{bytes(secret), bytes(client), bytes(server)});
    }
    OPENSSL_cleanse(secret.data(), secret.size());
    return records;
}

}  // namespace pgweir::net

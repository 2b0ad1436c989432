// TLS on one connection: a filter between a Socket and its owner.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "pool/net/tls_context.hpp"
#include "pool/net/tls_handover.hpp"
#include "protocol/bytes.hpp"

struct ssl_st;
struct ssl_session_st;
struct x509_st;

namespace pgweir::net {

class Socket;

/// Resource; lives in its Socket, and is as little bound to a thread as that is. Records come from
/// the socket and go to its outbox: nothing here ever waits for output.
///
/// OpenSSL does every handshake. On the accepting side TLS 1.3, and what is usual of TLS 1.2, goes
/// on without it (TlsHandover), as many clients do nothing most of the time; what is left of it is
/// then what is asked for below.
class Tls {
public:
    /// `host` is whom a connecting side means to reach; a name is said to the server (SNI).
    /// `early`: records that were read before anybody knew that they were some.
    Tls(Socket& socket, TlsContextPtr context, std::string_view host, Bytes early);
    ~Tls();
    Tls(const Tls&) = delete;
    Tls& operator=(const Tls&) = delete;

    enum class Step : std::uint8_t { done, wants_input, failed };
    /// Goes on with the handshake as far as the input allows. When it failed, failure() says why.
    Step handshake();
    const std::string& failure() const { return failure_; }

    enum class Input : std::uint8_t { more, none, end, broken };
    /// Reads what has come, up to `room` bytes. more: there may be more of it.
    Input read(char* to, std::size_t room, std::size_t& got);
    /// Sends; the outbox takes what the kernel does not. False: this connection is broken.
    bool write(Bytes bytes);
    /// Tells the peer that this was all.
    void say_goodbye();

    const TlsContextPtr& context() const { return context_; }
    /// "TLSv1.3/TLS_AES_256_GCM_SHA384"
    std::string description() const;
    /// Did both sides agree, by ALPN, that this is PostgreSQL's protocol?
    bool protocol_agreed() const;
    /// Of a certificate that the peer has shown and that has been verified; nullopt when there is
    /// none, or its name has a zero byte in it. The subject is as RFC 2253 writes it.
    std::optional<std::string> peer_common_name() const;
    std::optional<std::string> peer_subject() const;
    /// The tls-server-end-point of RFC 5929: the hash of the server's certificate, whichever side
    /// that is. Empty when the certificate's signature names no hash.
    std::string server_end_point() const;
    /// Does this connection go on with what an earlier one has agreed?
    bool resumed() const;

    /// OpenSSL's call when a server has sent a session: it is kept for the next connection.
    static int session_came(ssl_st* ssl, ssl_session_st* session);

private:
    struct Stream;  // OpenSSL's view of the socket
    friend struct Stream;
    struct Free {
        void operator()(ssl_st* ssl) const;
    };
    /// What is known of the peer when OpenSSL has gone.
    struct Agreed {
        const char* version = "";  // OpenSSL's own texts
        const char* suite = "";
        bool protocol = false, resumed = false;
        const x509_st* certificate = nullptr;  // ours; the context's
        std::optional<std::string> peer_common_name, peer_subject;
    };

    x509_st* verified_peer() const;
    bool peer_is_host();
    void hand_over();
    Input read_ssl(char* to, std::size_t room, std::size_t& got);
    Input read_records(char* to, std::size_t room, std::size_t& got);
    Input give_up(char alert);
    void send_alert(bool fatal, char description);

    Socket& socket_;
    const TlsContextPtr context_;
    std::unique_ptr<ssl_st, Free> ssl_;      // until records_ take over
    std::unique_ptr<TlsHandover> handover_;  // during the handshake
    std::unique_ptr<TlsRecords> records_;
    std::unique_ptr<Agreed> agreed_;
    std::string host_;    // to be verified; emptied by that
    std::string server_;  // connecting: for whom sessions are kept
    std::string input_;   // from the kernel, not read yet
    std::string text_;    // out of a record, not read yet
    std::string failure_;
    bool established_ = false;
    bool ended_ = false;  // there is nothing more to come
};

}  // namespace pgweir::net

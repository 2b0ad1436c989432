#include "pool/net/tls.hpp"

#include <array>
#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "pool/net/socket.hpp"

namespace pgweir::net {

namespace {

using Role = TlsOptions::Role;
using Verify = TlsOptions::Verify;

bool is_address(const std::string& host) {
    std::array<unsigned char, sizeof(in6_addr)> address;
    return inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
           inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

/// The certificate's first common name; nullopt without one, or with one that hides a zero byte.
std::optional<std::string> common_name(const x509_st& certificate) {
    const X509_NAME* const subject = X509_get_subject_name(&certificate);
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0) return std::nullopt;
    unsigned char* text = nullptr;
    const int size =
        ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (size < 0) {
        ERR_clear_error();
        return std::nullopt;
    }
    std::string name(text, text + size);
    OPENSSL_free(text);
    if (name.find('\0') != std::string::npos) return std::nullopt;
    return name;
}

/// A host by number is often named so in the common name only, by certificates without a list of
/// names.
bool is_common_name(const x509_st& certificate, const std::string& host) {
    if (X509_get_ext_by_NID(&certificate, NID_subject_alt_name, -1) >= 0) return false;
    const auto name = common_name(certificate);
    return name && *name == host;
}

/// Why the last operation failed, in OpenSSL's words; forgets them.
std::string complaint(const SSL* ssl) {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    const long verified = SSL_get_verify_result(ssl);
    if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK) {
        return fmt::format("certificate verify failed: {}",
                           X509_verify_cert_error_string(verified));
    }
    const char* const reason = code ? ERR_reason_error_string(code) : nullptr;
    return reason ? reason : "unexpected eof";
}

/// The address at the other end, as bytes.
std::string peer_of(int fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
    return {reinterpret_cast<const char*>(&address), size};
}

/// What was read from the kernel and is not opened yet: one recv for several records.
using Page = std::array<char, 4 * TlsRecords::record_max>;
Page& page() {
    thread_local Page bytes;
    return bytes;
}

}  // namespace

/// A BIO over the socket: reads what the kernel has, and never fails to write.
struct Tls::Stream {
    static Tls& of(BIO* bio) { return *static_cast<Tls*>(BIO_get_data(bio)); }

    static int read(BIO* bio, char* to, int room) {
        BIO_clear_retry_flags(bio);
        Tls& tls = of(bio);
        if (tls.input_.empty()) {
            // OpenSSL must not have more than it asks for: the records that follow may be ours.
            Page& bytes = page();
            const ssize_t got = tls.socket_.take_input(bytes.data(), bytes.size());
            if (got < 0 && errno == EAGAIN) BIO_set_retry_read(bio);
            if (got == 0) tls.ended_ = true;
            if (got <= 0) return static_cast<int>(got);
            tls.input_.assign(bytes.data(), static_cast<std::size_t>(got));
        }
        const std::size_t size = tls.input_.copy(to, static_cast<std::size_t>(room));
        tls.input_.erase(0, size);
        if (tls.input_.empty()) tls.input_ = std::string();
        return static_cast<int>(size);
    }

    static int write(BIO* bio, const char* from, int size) {
        BIO_clear_retry_flags(bio);
        of(bio).socket_.send_plain({from, static_cast<std::size_t>(size)});
        return size;
    }

    static long control(BIO* bio, int command, long, void*) {
        return command == BIO_CTRL_FLUSH || (command == BIO_CTRL_EOF && of(bio).ended_);
    }

    static const BIO_METHOD* method() {
        struct Free {
            void operator()(BIO_METHOD* method) const { BIO_meth_free(method); }
        };
        static const std::unique_ptr<BIO_METHOD, Free> made = [] {
            std::unique_ptr<BIO_METHOD, Free> method(
                BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket of a loop"));
            BIO_meth_set_read(method.get(), read);
            BIO_meth_set_write(method.get(), write);
            BIO_meth_set_ctrl(method.get(), control);
            return method;
        }();
        return made.get();
    }
};

void Tls::Free::operator()(ssl_st* ssl) const { SSL_free(ssl); }

Tls::Tls(Socket& socket, TlsContextPtr context, std::string_view host, Bytes early)
    : socket_(socket),
      context_(std::move(context)),
      ssl_(SSL_new(context_->handle_.get())),
      host_(host),
      input_(early) {
    BIO* const stream = BIO_new(Stream::method());
    BIO_set_data(stream, this);
    BIO_set_init(stream, 1);
    SSL_set_bio(ssl_.get(), stream, stream);
    if (context_->role() == Role::accept) {
        SSL_set_accept_state(ssl_.get());
        handover_ = std::make_unique<TlsHandover>(ssl_.get());
    } else {
        SSL_set_connect_state(ssl_.get());
        SSL_set_app_data(ssl_.get(), this);
        server_ = host_ + peer_of(socket.fd());
        if (const auto session = context_->take_session(server_))
            SSL_set_session(ssl_.get(), session.get());
        if (!host_.empty() && !is_address(host_)) {
            SSL_ctrl(ssl_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                     host_.data());
        }
    }
}

Tls::~Tls() = default;

Tls::Step Tls::handshake() {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    if (result == 1) {
        const bool named = context_->role() == Role::connect && context_->verify() == Verify::host;
        if (named && !peer_is_host()) return Step::failed;
        host_ = std::string();
        established_ = true;
        if (handover_) hand_over();
        return Step::done;
    }
    if (SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ) return Step::wants_input;
    failure_ = socket_.error() ? std::strerror(socket_.error()) : complaint(ssl_.get());
    return Step::failed;
}

bool Tls::peer_is_host() {
    const x509_st* const certificate = SSL_get0_peer_certificate(ssl_.get());
    auto* const shown = const_cast<x509_st*>(certificate);  // OpenSSL's own checks do not change it
    const bool right =
        certificate && !host_.empty() &&
        (is_address(host_) ? X509_check_ip_asc(shown, host_.c_str(), 0) == 1 ||
                                 is_common_name(*certificate, host_)
                           : X509_check_host(shown, host_.c_str(), host_.size(),
                                             X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr) == 1);
    ERR_clear_error();
    if (right) return true;
    const auto name = certificate ? common_name(*certificate) : std::nullopt;
    failure_ = fmt::format("server certificate for \"{}\" does not match host name \"{}\"",
                           name.value_or(""), host_);
    return false;
}

void Tls::hand_over() {
    records_ = handover_->take();
    handover_.reset();
    if (!records_) return;
    agreed_ = std::make_unique<Agreed>(Agreed{.version = SSL_get_version(ssl_.get()),
                                              .suite = SSL_get_cipher_name(ssl_.get()),
                                              .protocol = protocol_agreed(),
                                              .resumed = resumed(),
                                              .certificate = SSL_get_certificate(ssl_.get()),
                                              .peer_common_name = peer_common_name(),
                                              .peer_subject = peer_subject()});
    ssl_.reset();
}

Tls::Input Tls::read(char* to, std::size_t room, std::size_t& got) {
    got = 0;
    return records_ ? read_records(to, room, got) : read_ssl(to, room, got);
}

Tls::Input Tls::read_ssl(char* to, std::size_t room, std::size_t& got) {
    ERR_clear_error();
    while (got < room) {
        std::size_t size = 0;
        if (SSL_read_ex(ssl_.get(), to + got, room - got, &size) == 1) {
            got += size;
            if (got < room && !socket_.readable_ && input_.empty() && !SSL_has_pending(ssl_.get()))
                return Input::none;
            continue;
        }
        const int error = SSL_get_error(ssl_.get(), 0);
        if (error == SSL_ERROR_WANT_READ) return Input::none;
        if (error == SSL_ERROR_ZERO_RETURN) return Input::end;
        ERR_clear_error();
        return Input::broken;
    }
    return Input::more;
}

Tls::Input Tls::read_records(char* to, std::size_t room, std::size_t& got) {
    got = text_.copy(to, room);
    text_.erase(0, got);
    if (!text_.empty()) return Input::more;
    text_ = std::string();

    Page& bytes = page();
    std::size_t held = input_.copy(bytes.data(), bytes.size());
    input_ = std::string();
    Bytes rest(bytes.data(), held);
    Input outcome = ended_ ? Input::end : Input::more;
    while (outcome == Input::more && got < room) {
        if (records_->is_whole(rest)) {
            std::array<char, TlsRecords::record_max> aside;
            const bool fits = records_->room_for(rest) <= room - got;
            if (!fits && got > 0) break;
            const TlsRecords::Opened opened = records_->open(rest, fits ? to + got : aside.data());
            rest.remove_prefix(opened.taken);
            if (opened.kind == TlsRecords::Kind::end) outcome = Input::end;
            if (opened.kind == TlsRecords::Kind::broken) outcome = give_up(opened.alert);
            if (!fits && opened.size > 0) {
                got = Bytes(aside.data(), opened.size).copy(to, room);
                text_.assign(aside.data() + got, opened.size - got);
                OPENSSL_cleanse(aside.data(), opened.size);
            } else {
                got += opened.size;
            }
            continue;
        }
        if (got > 0 && socket_.readable_) break;  // who reads has a say in whether it wants more
        held = rest.copy(bytes.data(), rest.size());
        const ssize_t came = socket_.take_input(bytes.data() + held, bytes.size() - held);
        if (came > 0) held += static_cast<std::size_t>(came);
        rest = {bytes.data(), held};
        if (came == 0) outcome = Input::end;
        if (came < 0) outcome = errno == EAGAIN ? Input::none : Input::broken;
    }
    ended_ = outcome == Input::end;
    input_ = rest;
    return outcome;
}

Tls::Input Tls::give_up(char alert) {
    if (alert != TlsRecords::close_notify) send_alert(true, alert);
    return Input::broken;
}

void Tls::send_alert(bool fatal, char description) {
    std::array<char, 2 + TlsRecords::overhead> record;
    socket_.send_plain({record.data(), records_->seal_alert(fatal, description, record.data())});
}

bool Tls::write(Bytes bytes) {
    // A connection that is closed in mid-handshake has nothing to say it in.
    if (!established_ || bytes.empty()) return true;
    if (records_) {
        std::array<char, TlsRecords::text_max + TlsRecords::overhead> record;
        for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), TlsRecords::text_max))) {
            const Bytes part = bytes.substr(0, TlsRecords::text_max);
            socket_.send_plain({record.data(), records_->seal(part, record.data())});
        }
        return true;
    }
    ERR_clear_error();
    std::size_t written = 0;
    if (SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written) == 1) return true;
    ERR_clear_error();
    return false;
}

void Tls::say_goodbye() {
    if (!established_) return;
    if (records_) return send_alert(false, TlsRecords::close_notify);
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
}

std::string Tls::description() const {
    if (agreed_) return fmt::format("{}/{}", agreed_->version, agreed_->suite);
    return fmt::format("{}/{}", SSL_get_version(ssl_.get()), SSL_get_cipher_name(ssl_.get()));
}

bool Tls::resumed() const {
    return agreed_ ? agreed_->resumed : SSL_session_reused(ssl_.get()) == 1;
}

int Tls::session_came(ssl_st* ssl, ssl_session_st* session) {
    const auto* const tls = static_cast<const Tls*>(SSL_get_app_data(ssl));
    tls->context_->keep_session(tls->server_, TlsContext::Session(session));
    return 1;  // it is ours now
}

bool Tls::protocol_agreed() const {
    if (agreed_) return agreed_->protocol;
    const unsigned char* name = nullptr;
    unsigned int size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &size);
    return size > 0;  // there is but one that we agree to
}

x509_st* Tls::verified_peer() const {
    if (!established_ || context_->verify() == Verify::none ||
        SSL_get_verify_result(ssl_.get()) != X509_V_OK) {
        return nullptr;
    }
    return SSL_get0_peer_certificate(ssl_.get());
}

std::optional<std::string> Tls::peer_common_name() const {
    if (agreed_) return agreed_->peer_common_name;
    const x509_st* const certificate = verified_peer();
    return certificate ? common_name(*certificate) : std::nullopt;
}

std::optional<std::string> Tls::peer_subject() const {
    if (agreed_) return agreed_->peer_subject;
    const x509_st* const certificate = verified_peer();
    if (!certificate) return std::nullopt;
    const std::unique_ptr<BIO, int (*)(BIO*)> out(BIO_new(BIO_s_mem()), BIO_free);
    X509_NAME_print_ex(out.get(), X509_get_subject_name(certificate), 0,
                       XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    std::string subject(text, static_cast<std::size_t>(std::max(size, 0l)));
    if (subject.find('\0') != std::string::npos) return std::nullopt;
    return subject;
}

std::string Tls::server_end_point() const {
    const x509_st* const certificate = agreed_ ? agreed_->certificate
                                       : context_->role() == Role::accept
                                           ? SSL_get_certificate(ssl_.get())
                                           : SSL_get0_peer_certificate(ssl_.get());
    int hash = NID_undef;
    if (!certificate || !X509_get_signature_info(const_cast<x509_st*>(certificate), &hash, nullptr,
                                                 nullptr, nullptr)) {
        ERR_clear_error();
        return {};
    }
    if (hash == NID_md5 || hash == NID_sha1) hash = NID_sha256;
    const EVP_MD* const digest = EVP_get_digestbynid(hash);
    if (!digest) return {};
    std::array<unsigned char, EVP_MAX_MD_SIZE> sum;
    unsigned int size = 0;
    if (X509_digest(certificate, digest, sum.data(), &size) != 1) {
        ERR_clear_error();
        return {};
    }
    return {sum.begin(), sum.begin() + size};
}

}  // namespace pgweir::net

// TLS contexts, and TLS over the two ends of a socket pair (pool/net/tls, pool/net/tls_context).
#include "pool/net/tls.hpp"

#include <array>
#include <filesystem>

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pool/net/socket.hpp"
#include "pool/tls_contexts.hpp"

namespace pgweir::net {
namespace {

using Role = TlsOptions::Role;
using Verify = TlsOptions::Verify;

/// A self-signed certificate and its key in files of their own, gone with it.
class Files {
public:
    explicit Files(const std::string& name, const char* names = nullptr) {
        std::string pattern = std::filesystem::temp_directory_path() / "pgweir-tls-XXXXXX";
        directory_ = ::mkdtemp(pattern.data());
        EVP_PKEY* const key = EVP_EC_gen("P-256");
        X509* const made = X509_new();
        X509_set_version(made, X509_VERSION_3);
        ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
        X509_gmtime_adj(X509_getm_notBefore(made), -60);
        X509_gmtime_adj(X509_getm_notAfter(made), 3600);
        X509_NAME* const subject = X509_get_subject_name(made);
        X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(name.data()),
                                   static_cast<int>(name.size()), -1, 0);
        X509_set_issuer_name(made, subject);
        X509_set_pubkey(made, key);
        if (names) {
            X509_EXTENSION* const list =
                X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names);
            X509_add_ext(made, list, -1);
            X509_EXTENSION_free(list);
        }
        X509_sign(made, key, EVP_sha256());
        hash_.resize(32);
        X509_digest(made, EVP_sha256(), reinterpret_cast<unsigned char*>(hash_.data()), nullptr);
        std::FILE* file = std::fopen(certificate().c_str(), "w");
        PEM_write_X509(file, made);
        std::fclose(file);
        file = std::fopen(this->key().c_str(), "w");
        PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
        std::fclose(file);
        X509_free(made);
        EVP_PKEY_free(key);
    }
    ~Files() { std::filesystem::remove_all(directory_); }
    Files(const Files&) = delete;
    Files& operator=(const Files&) = delete;

    std::string certificate() const { return directory_ / "certificate"; }
    std::string key() const { return directory_ / "key"; }
    const std::string& hash() const { return hash_; }
    TlsOptions options(Role role) const {
        return {.role = role, .cert_file = certificate(), .key_file = key()};
    }

private:
    std::filesystem::path directory_;
    std::string hash_;
};

/// One end of a socket pair, driven by hand.
class End final : private Socket::Owner {
public:
    void open(Loop& loop, int fd) { socket.open(loop, fd); }

    Socket socket{*this};
    std::string got;
    bool finished = false, failed = false, ended = false;

    void turn() {
        if (socket.tls() && !finished && !failed) {
            const Tls::Step step = socket.handshake();
            finished = step == Tls::Step::done;
            failed = step == Tls::Step::failed;
        }
        std::array<char, 70'000> page;
        while (finished && socket.readable() && !ended) {
            got.append(page.data(), socket.receive(page.data(), page.size()));
            ended = socket.eof();
        }
    }

private:
    void on_readable() override { turn(); }
    void on_drained() override {}
};

/// Two ends, which move to another loop each time they are run: TLS must not mind.
struct Pair {
    Pair() {
        std::array<int, 2> fds;
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()), 0);
        client.open(*loop, fds[0]);
        server.open(*loop, fds[1]);
    }

    template <class Done>
    void run_until(Done done) {
        auto next = std::make_unique<Loop>();
        for (Socket* const socket : {&client.socket, &server.socket}) {
            if (!socket->is_open()) continue;
            socket->leave();
            socket->join(*next);
        }
        loop = std::move(next);
        struct Watch final : Deferred {
            Watch(Loop& of, Done& when) : on(of), ready(when) {}
            void run() override { ready() ? on.stop() : on.defer(*this); }
            Loop& on;
            Done& ready;
        } watch(*loop, done);
        loop->defer(watch);
        loop->run();
    }

    void shake_hands(const TlsContextPtr& accepting, const TlsContextPtr& connecting,
                     const char* host) {
        server.socket.start_tls(accepting, {});
        client.socket.start_tls(connecting, host);
        client.turn();
        run_until([this] {
            return (client.finished || client.failed) && (server.finished || server.failed);
        });
    }

    std::unique_ptr<Loop> loop = std::make_unique<Loop>();
    End client, server;
};

TlsContextPtr made(const TlsOptions& options) {
    auto context = TlsContext::make(options);
    EXPECT_TRUE(context.has_value()) << context.error().message;
    return *context;
}

TEST(TlsContext, SaysWhatIsBad) {
    const Files files("localhost"), others("other");
    const std::string nowhere = "/nowhere/certificate";
    struct Case {
        const char* what;
        TlsOptions options;
        std::string said;
    };
    const TlsOptions good = files.options(Role::accept);
    const auto with = [&](auto change) {
        TlsOptions options = good;
        change(options);
        return options;
    };
    const Case cases[] = {
        {"no file", with([&](TlsOptions& o) { o.cert_file = nowhere; }),
         "cert_file /nowhere/certificate: No such file or directory"},
        {"no key", with([&](TlsOptions& o) { o.key_file = ""; }),
         "cert_file " + files.certificate() + ": there is no key_file"},
        {"another's key", with([&](TlsOptions& o) { o.key_file = others.key(); }),
         "key_file " + others.key() + ": key values mismatch"},
        {"no authority", with([&](TlsOptions& o) { o.verify = Verify::chain; }),
         "ca_file: client certificates can be verified only by an authority of yours"},
        {"no such version", with([&](TlsOptions& o) { o.protocols = "tlsv1.4"; }),
         "protocols: expected a list of tlsv1.0 to tlsv1.3, all, or secure, got \"tlsv1.4\""},
        {"nothing left", with([&](TlsOptions& o) { o.protocols = "tlsv1.2,!tlsv1.2"; }),
         "protocols: expected a list of tlsv1.0 to tlsv1.3, all, or secure, got "
         "\"tlsv1.2,!tlsv1.2\""},
        {"no such cipher", with([&](TlsOptions& o) { o.ciphers = "ROT13"; }),
         "ciphers \"ROT13\": no cipher match"},
        {"no such suite", with([&](TlsOptions& o) { o.tls13_ciphers = "ROT13"; }),
         "tls13_ciphers \"ROT13\": failed to set the TLSv1.3 cipher suites: no cipher match"},
        {"no such curve", with([&](TlsOptions& o) { o.ecdhcurve = "circle"; }),
         "ecdhcurve \"circle\": no such curve"},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.what);
        const auto context = TlsContext::make(c.options);
        ASSERT_TRUE(context.has_error());
        EXPECT_EQ(context.error().message, c.said);
        EXPECT_EQ(context.error().sqlstate, protocol::sqlstate::config_file_error);
    }
}

TEST(TlsContext, TakesPgBouncersWords) {
    for (const char* const protocols :
         {"secure", "all", "default", "legacy", "tlsv1.2", "TLSv1.2,TLSv1.3", "all,!tlsv1.0",
          "tlsv1.1:tlsv1.2", "!tlsv1.3"}) {
        EXPECT_TRUE(TlsContext::make({.protocols = protocols}).has_value()) << protocols;
    }
    for (const char* const ciphers : {"default", "secure", "fast", "normal", "all", "HIGH:!aNULL"})
        EXPECT_TRUE(TlsContext::make({.ciphers = ciphers}).has_value()) << ciphers;
    for (const char* const curve : {"auto", "none", "prime256v1", "X25519:P-384"})
        EXPECT_TRUE(TlsContext::make({.ecdhcurve = curve}).has_value()) << curve;
    for (const char* const parameters : {"auto", "none", "legacy"})
        EXPECT_TRUE(TlsContext::make({.dheparams = parameters}).has_value()) << parameters;
}

TEST(TlsContexts, FollowTheModes) {
    using config::SslMode;
    config::Config config;
    config::Settings& settings = config.settings;
    const auto for_servers = [&](const auto& contexts) {
        return contexts->for_servers(settings.server_tls);
    };
    auto contexts = pool::make_tls_contexts(config);
    ASSERT_TRUE(contexts.has_value());
    EXPECT_FALSE((*contexts)->clients);
    ASSERT_TRUE(for_servers(*contexts));  // prefer is what PgBouncer does unasked
    EXPECT_EQ(for_servers(*contexts)->verify(), Verify::none);

    settings.server_tls.sslmode = SslMode::verify_full;
    settings.client_tls.sslmode = SslMode::require;
    settings.client_tls.cert_file = "/nowhere";
    settings.client_tls.key_file = "/nowhere";
    contexts = pool::make_tls_contexts(config);
    ASSERT_TRUE(contexts.has_error());
    EXPECT_EQ(contexts.error().message, "client_tls_cert_file /nowhere: No such file or directory");

    const Files files("localhost");
    settings.client_tls.cert_file = files.certificate();
    settings.client_tls.key_file = files.key();
    contexts = pool::make_tls_contexts(config);
    ASSERT_TRUE(contexts.has_value());
    EXPECT_EQ((*contexts)->clients->verify(), Verify::none);
    EXPECT_EQ(for_servers(*contexts)->verify(), Verify::host);

    // An entry's own settings; those that come to the same share a context.
    config.databases["own"] = {.name = "own", .sslmode = SslMode::require};
    config.databases["same"] = {.name = "same", .sslmode = SslMode::verify_full};
    config.databases["plain"] = {.name = "plain", .sslmode = SslMode::disable};
    config.databases["direct"] = {.name = "direct",
                                  .sslnegotiation = config::SslNegotiation::direct};
    contexts = pool::make_tls_contexts(config);
    ASSERT_TRUE(contexts.has_value());
    EXPECT_EQ((*contexts)->servers.size(), 3u);
    const auto of = [&](const char* name) {
        return (*contexts)->for_servers(config::server_tls(settings, config.databases[name]));
    };
    EXPECT_EQ(of("own")->verify(), Verify::none);
    EXPECT_EQ(of("same"), for_servers(*contexts));
    EXPECT_FALSE(of("plain"));
    EXPECT_TRUE(of("direct")->direct());
    EXPECT_FALSE(of("own")->direct());
    config.databases["own"].sslrootcert = "/nowhere";
    config.databases["own"].sslmode = SslMode::verify_ca;
    contexts = pool::make_tls_contexts(config);
    ASSERT_TRUE(contexts.has_error());
    EXPECT_EQ(contexts.error().message,
              "databases.own: server_tls_ca_file /nowhere: No such file or directory");
}

TEST(Tls, CarriesWhatIsSent) {
    const Files files("localhost");
    Pair pair;
    pair.shake_hands(made(files.options(Role::accept)), made({.role = Role::connect}), "");
    ASSERT_TRUE(pair.client.finished && pair.server.finished);
    EXPECT_TRUE(pair.client.socket.tls()->protocol_agreed());
    EXPECT_EQ(pair.client.socket.tls()->description(), "TLSv1.3/TLS_AES_256_GCM_SHA384");
    EXPECT_FALSE(pair.client.socket.can_move_to(pair.server.socket));

    // More than the kernel takes at once: the outbox keeps records, and they come in order.
    std::string text;
    protocol::Segments segments;
    for (int i = 0; i < 20'000; ++i) {
        const std::string piece(static_cast<std::size_t>(i % 211), static_cast<char>('a' + i % 26));
        text += piece;
        segments.own(piece);
    }
    const std::string large(300'000, 'z');
    segments.add(large);
    text += large;
    pair.server.socket.send(segments);
    EXPECT_TRUE(pair.server.socket.blocked());
    pair.run_until([&] { return pair.client.got.size() >= text.size(); });
    EXPECT_EQ(pair.client.got, text);
    EXPECT_FALSE(pair.server.socket.blocked());

    pair.server.socket.send("bye");
    pair.server.socket.close();
    pair.run_until([&] { return pair.client.ended; });
    EXPECT_TRUE(pair.client.got.ends_with("zbye"));
    EXPECT_EQ(pair.client.socket.error(), 0);
}

TEST(Tls, KnowsWhoThePeerIs) {
    const Files server("db.example", "DNS:db.example,DNS:*.pool.example,IP:10.0.0.1"),
        client("Robert'); DROP");
    TlsOptions accepting = server.options(Role::accept);
    accepting.verify = Verify::chain;
    accepting.ca_file = client.certificate();
    TlsOptions connecting = client.options(Role::connect);
    connecting.verify = Verify::host;
    connecting.ca_file = server.certificate();
    Pair pair;
    pair.shake_hands(made(accepting), made(connecting), "a.pool.example");
    ASSERT_TRUE(pair.client.finished && pair.server.finished);
    EXPECT_EQ(pair.server.socket.tls()->peer_common_name(), "Robert'); DROP");
    EXPECT_EQ(pair.server.socket.tls()->peer_subject(), R"(CN=Robert')\; DROP)");
    EXPECT_EQ(pair.client.socket.tls()->peer_common_name(), "db.example");
    EXPECT_EQ(pair.client.socket.tls()->server_end_point(), server.hash());
    EXPECT_EQ(pair.server.socket.tls()->server_end_point(), server.hash());
}

TEST(Tls, RefusesOtherHosts) {
    const Files named("10.0.0.1", "DNS:db.example,IP:10.0.0.2"), bare("10.0.0.1");
    struct Case {
        const Files& files;
        const char* host;
        bool right;
    };
    const Case cases[] = {
        {named, "db.example", true},
        {named, "DB.example", true},
        {named, "10.0.0.2", true},
        {named, "db.example.org", false},
        {named, "x.db.example", false},
        {named, "10.0.0.1", false},
        {bare, "10.0.0.1", true},
        {bare, "10.0.0.2", false},
        {bare, "", false},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.host);
        TlsOptions connecting{.role = Role::connect, .verify = Verify::host};
        connecting.ca_file = c.files.certificate();
        Pair pair;
        pair.shake_hands(made(c.files.options(Role::accept)), made(connecting), c.host);
        EXPECT_EQ(pair.client.finished, c.right);
        if (!c.right) {
            EXPECT_EQ(pair.client.socket.tls()->failure(),
                      "server certificate for \"10.0.0.1\" does not match host name \"" +
                          std::string(c.host) + "\"");
        }
    }
}

TEST(Tls, BelievesNoCertificateThatIsNotVerified) {
    const Files server("db"), stranger("app"), authority("authority");
    TlsOptions accepting = server.options(Role::accept);
    accepting.verify = Verify::offered;
    accepting.ca_file = authority.certificate();
    Pair pair;
    pair.shake_hands(made(accepting), made(stranger.options(Role::connect)), "");
    ASSERT_TRUE(pair.server.finished);
    EXPECT_FALSE(pair.server.socket.tls()->peer_common_name());
    EXPECT_FALSE(pair.client.socket.tls()->peer_common_name());
    TlsOptions connecting{.role = Role::connect, .verify = Verify::chain};
    connecting.ca_file = authority.certificate();
    Pair other;
    other.shake_hands(made(accepting), made(connecting), "");
    EXPECT_TRUE(other.client.failed && other.server.failed);
    EXPECT_EQ(other.client.socket.tls()->failure(),
              "certificate verify failed: self-signed certificate");
}

TEST(Tls, TakesRecordsThatWereReadBefore) {
    const Files files("db");
    Pair pair;
    pair.client.socket.start_tls(made({.role = Role::connect}), "");
    pair.client.turn();
    std::array<char, 4096> page;
    std::size_t size = 0;
    pair.run_until([&] {
        if (pair.server.socket.readable())
            size = pair.server.socket.receive(page.data(), page.size());
        return size > 0;
    });
    pair.server.socket.start_tls(made(files.options(Role::accept)), {}, {page.data(), size});
    pair.server.turn();
    pair.run_until([&] { return pair.client.finished && pair.server.finished; });
}

TEST(Tls, GarbageIsAFailedHandshake) {
    const Files files("db");
    for (const std::string_view garbage : {"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff_____"}) {
        Pair pair;
        pair.server.socket.start_tls(made(files.options(Role::accept)), {});
        pair.client.socket.send(garbage);
        pair.run_until([&] { return pair.server.failed; });
        pair.server.socket.send("no word of this gets out");
    }
}

}  // namespace
}  // namespace pgweir::net

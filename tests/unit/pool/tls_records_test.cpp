// The records of TLS 1.3 without OpenSSL's state, against OpenSSL (pool/net/tls_records,
// pool/net/tls_handover).
#include "pool/net/tls_records.hpp"

#include <array>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "pool/net/tls_handover.hpp"

namespace pgweir::net {
namespace {

using Kind = TlsRecords::Kind;
constexpr std::array<const char*, 3> suites = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                               "TLS_CHACHA20_POLY1305_SHA256"};
constexpr std::array<const char*, 3> old_suites = {"ECDHE-ECDSA-AES128-GCM-SHA256",
                                                   "ECDHE-ECDSA-AES256-GCM-SHA384",
                                                   "ECDHE-ECDSA-CHACHA20-POLY1305"};
constexpr std::uint16_t aes_128 = 0x1301;

std::string from_hex(std::string_view digits) {
    std::string bytes;
    int high = -1;
    for (const char c : digits) {
        if (c == ' ') continue;
        const int value = c <= '9' ? c - '0' : c - 'a' + 10;
        if (high >= 0) bytes += static_cast<char>(high * 16 + value);
        high = high >= 0 ? -1 : value;
    }
    return bytes;
}

/// All the text in `input`, which is whole records; the last record's kind is left in `last`.
std::string open_all(TlsRecords& records, Bytes input, TlsRecords::Opened& last) {
    std::string text;
    std::array<char, TlsRecords::record_max> page;
    while (records.is_whole(input)) {
        last = records.open(input, page.data());
        text.append(page.data(), last.size);
        if (last.kind == Kind::broken || last.kind == Kind::end) break;
        input.remove_prefix(last.taken);
    }
    return text;
}

std::string sealed(TlsRecords& records, Bytes text) {
    std::string record(text.size() + TlsRecords::overhead, '\0');
    record.resize(records.seal(text, record.data()));
    return record;
}

/// A client of OpenSSL's and what has taken over from its server, with nothing but memory between.
class Interop {
public:
    struct Options {
        const char* suite = nullptr;
        std::size_t padding = 0;
        int version = TLS1_3_VERSION;
        unsigned char fragment = 0;
    };

    explicit Interop(const Options& options) {
        EVP_PKEY* const key = EVP_EC_gen("P-256");
        X509* const certificate = X509_new();
        X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
        X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
        X509_set_pubkey(certificate, key);
        X509_sign(certificate, key, EVP_sha256());
        SSL_CTX_use_certificate(server_context_.get(), certificate);
        SSL_CTX_use_PrivateKey(server_context_.get(), key);
        X509_free(certificate);
        EVP_PKEY_free(key);
        SSL_CTX_set_max_proto_version(client_context_.get(), options.version);
        const bool old = options.version == TLS1_2_VERSION;
        if (options.suite && !old) SSL_CTX_set_ciphersuites(client_context_.get(), options.suite);
        if (options.suite && old) SSL_CTX_set_cipher_list(client_context_.get(), options.suite);
        if (options.padding) SSL_CTX_set_block_padding(client_context_.get(), options.padding);
        TlsHandover::prepare(server_context_.get());
        server_.reset(SSL_new(server_context_.get()));
        client_.reset(SSL_new(client_context_.get()));
        if (options.fragment) SSL_set_tlsext_max_fragment_length(client_.get(), options.fragment);
        SSL_set_bio(server_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        SSL_set_bio(client_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        for (SSL* const end : {server_.get(), client_.get()})
            BIO_set_mem_eof_return(SSL_get_rbio(end), -1);
        SSL_set_accept_state(server_.get());
        SSL_set_connect_state(client_.get());
        TlsHandover handover(server_.get());
        for (int turn = 0; turn < 4; ++turn) {
            SSL_do_handshake(client_.get());
            give_server(take_from_client());
            SSL_do_handshake(server_.get());
            give_client(take(SSL_get_wbio(server_.get())));
        }
        records = handover.take();
    }

    std::unique_ptr<TlsRecords> records;

    SSL* client() { return client_.get(); }
    std::string take_from_client() { return take(SSL_get_wbio(client_.get())); }
    void give_client(const std::string& bytes) {
        BIO_write(SSL_get_rbio(client_.get()), bytes.data(), static_cast<int>(bytes.size()));
    }
    std::string client_says(Bytes text) {
        SSL_write(client_.get(), text.data(), static_cast<int>(text.size()));
        return take_from_client();
    }
    std::string client_hears() {
        std::string text;
        std::array<char, 20'000> page;
        int size;
        while ((size = SSL_read(client_.get(), page.data(), page.size())) > 0)
            text.append(page.data(), static_cast<std::size_t>(size));
        return text;
    }

private:
    struct Free {
        void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
        void operator()(SSL* ssl) const { SSL_free(ssl); }
    };
    static std::string take(BIO* from) {
        std::string bytes(BIO_ctrl_pending(from), '\0');
        BIO_read(from, bytes.data(), static_cast<int>(bytes.size()));
        return bytes;
    }
    void give_server(const std::string& bytes) {
        BIO_write(SSL_get_rbio(server_.get()), bytes.data(), static_cast<int>(bytes.size()));
    }

    std::unique_ptr<SSL_CTX, Free> server_context_{SSL_CTX_new(TLS_server_method())};
    std::unique_ptr<SSL_CTX, Free> client_context_{SSL_CTX_new(TLS_client_method())};
    std::unique_ptr<SSL, Free> server_, client_;
};

// RFC 8448, section 3: the records after the handshake.
TEST(TlsRecords, ReadsTheExampleOfTheRfc) {
    const std::string secret = from_hex("9e 40 64 6c e7 9a 7f 9d c0 5a f8 88 9b ce 65 52 "
                                        "87 5a fa 0b 06 df 00 87 f7 92 eb b7 c1 75 04 a5");
    TlsRecords records(aes_128, secret, std::string(32, 's'), 0);
    const std::string input =
        from_hex("17 03 03 00 43 a2 3f 70 54 b6 2c 94 d0 af fa fe 82 28 ba 55 cb ef ac ea 42 f9 14 "
                 "aa 66 bc ab 3f 2b 98 19 a8 a5 b4 6b 39 5b d5 4a 9a 20 44 1e 2b 62 97 4e 1f 5a 62 "
                 "92 a2 97 70 14 bd 1e 3d ea e6 3a ee bb 21 69 49 15 e4") +
        from_hex("17 03 03 00 13 c9 87 27 60 65 56 66 b7 4d 7f f1 15 3e fd 6d b6 d0 b0 e3");
    std::string text;
    for (char c = 0; c < 50; ++c) text += c;
    TlsRecords::Opened last{};
    EXPECT_EQ(open_all(records, input, last), text);
    EXPECT_EQ(last.kind, Kind::end);
}

/// Texts of many sizes, there and back.
void expect_talk(Interop& interop) {
    TlsRecords::Opened last{};
    for (const std::size_t size : {1u, 2u, 511u, 512u, 4096u, 16383u, 16384u}) {
        const std::string text(size, static_cast<char>('a' + size % 26));
        EXPECT_EQ(open_all(*interop.records, interop.client_says(text), last), text);
        interop.give_client(sealed(*interop.records, text));
        EXPECT_EQ(interop.client_hears(), text);
    }
}

TEST(TlsRecords, GoOnWhereOpenSslHasStopped) {
    for (const char* const suite : suites) {
        for (const std::size_t padding : {std::size_t{0}, std::size_t{512}}) {
            SCOPED_TRACE(std::string(suite) + (padding ? " padded" : ""));
            Interop interop({.suite = suite, .padding = padding});
            ASSERT_TRUE(interop.records);
            expect_talk(interop);
        }
    }
}

/// Each side says it, and the other hears it.
void expect_goodbyes(Interop& interop) {
    TlsRecords::Opened last{};
    SSL_shutdown(interop.client());
    EXPECT_EQ(open_all(*interop.records, interop.take_from_client(), last), "");
    EXPECT_EQ(last.kind, Kind::end);
    std::string record(100, '\0');
    record.resize(interop.records->seal_alert(false, TlsRecords::close_notify, record.data()));
    interop.give_client(record);
    interop.client_hears();
    EXPECT_TRUE(SSL_get_shutdown(interop.client()) & SSL_RECEIVED_SHUTDOWN);
}

TEST(TlsRecords, GoOnWithTheVersionBefore) {
    for (const char* const suite : old_suites) {
        SCOPED_TRACE(suite);
        Interop interop({.suite = suite, .version = TLS1_2_VERSION});
        ASSERT_TRUE(interop.records);
        expect_talk(interop);
        expect_goodbyes(interop);
    }
}

TEST(TlsRecords, RefuseWhatWasTamperedWithInTheVersionBefore) {
    for (const char* const suite : old_suites) {
        Interop interop({.suite = suite, .version = TLS1_2_VERSION});
        const std::string record = interop.client_says("select 1");
        std::array<char, TlsRecords::record_max> page;
        // The header, whose type and length are sealed with the text, and all that is sealed.
        for (std::size_t at = 0; at < record.size(); ++at) {
            if (at == 1 || at == 2) continue;  // the version is not looked at
            Interop other({.suite = suite, .version = TLS1_2_VERSION});
            std::string bad = other.client_says("select 1");
            bad[at] = static_cast<char>(bad[at] ^ 1);
            if (!other.records->is_whole(bad)) continue;  // it says that it is longer
            const auto opened = other.records->open(bad, page.data());
            EXPECT_EQ(opened.kind, Kind::broken) << at;
            EXPECT_NE(opened.alert, TlsRecords::close_notify) << at;
            EXPECT_EQ(opened.size, 0u) << at;
        }
        EXPECT_EQ(interop.records->open(record, page.data()).kind, Kind::text);
        EXPECT_EQ(interop.records->open(record, page.data()).kind, Kind::broken);
    }
}

TEST(TlsRecords, ChangeKeysWhenAsked) {
    for (const char* const suite : suites) {
        SCOPED_TRACE(suite);
        Interop interop({.suite = suite});
        ASSERT_TRUE(interop.records);
        TlsRecords::Opened last{};
        std::string input;
        for (int i = 0; i < 5; ++i) {  // however often
            const int how = i % 2 ? SSL_KEY_UPDATE_NOT_REQUESTED : SSL_KEY_UPDATE_REQUESTED;
            SSL_key_update(interop.client(), how);
            input += interop.client_says("text");
        }
        EXPECT_EQ(open_all(*interop.records, input, last), "texttexttexttexttext");
        const std::string first = sealed(*interop.records, "answer");
        const std::string second = sealed(*interop.records, "answer");
        EXPECT_GT(first.size(), second.size()) << "one KeyUpdate for all requests";
        interop.give_client(first + second);
        EXPECT_EQ(interop.client_hears(), "answeranswer");
    }
}

TEST(TlsRecords, ChangeKeysThatHaveServedLongEnough) {
    const std::string one(32, 'o'), other(32, 't');
    TlsRecords writer(aes_128, one, other, 0, 10), reader(aes_128, other, one, 0);
    std::string input;
    for (int i = 0; i < 35; ++i) input += sealed(writer, "x");
    TlsRecords::Opened last{};
    EXPECT_EQ(open_all(reader, input, last), std::string(35, 'x'));
    EXPECT_EQ(last.kind, Kind::text);
    EXPECT_EQ(input.size(), 35 * 23 + 3 * 27);
}

TEST(TlsRecords, SayGoodbyeAndHearIt) {
    Interop interop({});
    expect_goodbyes(interop);
}

TEST(TlsRecords, RefuseWhatWasTamperedWith) {
    const std::string one(32, 'o'), other(32, 't');
    TlsRecords writer(aes_128, one, other, 0);
    const std::string record = sealed(writer, "select 1");
    std::array<char, TlsRecords::record_max> page;
    for (std::size_t bit = 0; bit < record.size() * 8; ++bit) {
        std::string bad = record;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
        TlsRecords reader(aes_128, other, one, 0);
        if (!reader.is_whole(bad)) continue;  // it says that it is longer
        ASSERT_LE(reader.room_for(bad), page.size());
        const auto opened = reader.open(bad, page.data());
        EXPECT_EQ(opened.kind, Kind::broken) << bit;
        EXPECT_NE(opened.alert, TlsRecords::close_notify) << bit;
        EXPECT_EQ(opened.size, 0u) << bit;
    }
    TlsRecords reader(aes_128, other, one, 0);
    for (std::size_t size = 0; size < record.size(); ++size)
        EXPECT_FALSE(reader.is_whole({record.data(), size}));
    EXPECT_EQ(reader.open(record, page.data()).kind, Kind::text);
    EXPECT_EQ(reader.open(record, page.data()).kind, Kind::broken) << "a record counts once";
}

TEST(TlsRecords, RefuseWhatNeverComes) {
    const std::string secret(32, 's');
    struct Case {
        const char* what;
        std::string input;
        char alert;
    };
    const Case cases[] = {
        {"plain text", std::string("\x16\3\3\0\x30", 5), 10},
        {"a change of ciphers", std::string("\x14\3\3\0\1\1", 6), 10},
        {"nothing sealed", std::string("\x17\3\3\0\0", 5), 22},
        {"no more than a tag", std::string("\x17\3\3\0\x10", 5) + std::string(16, 'x'), 22},
        {"too much", std::string("\x17\3\3\x41\1", 5), 22},
        {"the wrong seal", std::string("\x17\3\3\0\x20", 5) + std::string(32, 'x'), 20},
    };
    std::array<char, TlsRecords::record_max> page;
    for (const Case& c : cases) {
        SCOPED_TRACE(c.what);
        TlsRecords records(aes_128, secret, secret, 0);
        ASSERT_TRUE(records.is_whole(c.input));
        const auto opened = records.open(c.input, page.data());
        EXPECT_EQ(opened.kind, Kind::broken);
        EXPECT_EQ(opened.alert, c.alert);
    }
}

TEST(TlsHandover, LeavesWhatIsUnusualToOpenSsl) {
    EXPECT_FALSE(
        Interop({.suite = "ECDHE-ECDSA-AES128-SHA256", .version = TLS1_2_VERSION}).records);
    EXPECT_FALSE(Interop({.fragment = TLSEXT_max_fragment_length_512}).records);
    EXPECT_FALSE(TlsRecords::knows(0x1304));  // AES-128-CCM
    EXPECT_TRUE(Interop({}).records);
}

}  // namespace
}  // namespace pgweir::net

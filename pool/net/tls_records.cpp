#include "pool/net/tls_records.hpp"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

namespace pgweir::net {

/// Value; there is one of each.
struct TlsSuite {
    std::uint16_t number;
    const EVP_CIPHER* cipher;  // kept for good
    const EVP_MD* hash;
    std::size_t key_size, secret_size;
    // TLS 1.2: what of a nonce the keys tell and what the record does.
    bool old = false;
    std::size_t iv_size = 0, told_size = 0;
};

namespace {

enum Type : char { change_cipher_spec = 20, alert = 21, handshake = 22, application_data = 23 };
enum Alert : char {
    unexpected_message = 10,
    bad_record_mac = 20,
    record_overflow = 22,
    decode_error = 50,
    no_renegotiation = 100,
};
constexpr std::size_t tag_size = TrafficKeys::tag_size;
constexpr Bytes key_update("\x18\0\0\1", 4);  // and whether the peer is to do it too

const TlsSuite* find_suite(std::uint16_t number) {
    static const EVP_CIPHER* const aes_128 = EVP_CIPHER_fetch(nullptr, "AES-128-GCM", nullptr);
    static const EVP_CIPHER* const aes_256 = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
    static const EVP_CIPHER* const chacha = EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
    static const EVP_MD *const sha256 = EVP_sha256(), *const sha384 = EVP_sha384();
    // Those of TLS 1.2 differ in how the keys were agreed on only: ECDHE with ECDSA, ECDHE with
    // RSA, DHE, RSA.
    static const std::array<TlsSuite, 14> suites = {{
        {0x1301, aes_128, sha256, 16, 32},
        {0x1302, aes_256, sha384, 32, 48},
        {0x1303, chacha, sha256, 32, 32},
        {0xc02b, aes_128, sha256, 16, 48, true, 4, 8},
        {0xc02f, aes_128, sha256, 16, 48, true, 4, 8},
        {0x009e, aes_128, sha256, 16, 48, true, 4, 8},
        {0x009c, aes_128, sha256, 16, 48, true, 4, 8},
        {0xc02c, aes_256, sha384, 32, 48, true, 4, 8},
        {0xc030, aes_256, sha384, 32, 48, true, 4, 8},
        {0x009f, aes_256, sha384, 32, 48, true, 4, 8},
        {0x009d, aes_256, sha384, 32, 48, true, 4, 8},
        {0xcca9, chacha, sha256, 32, 48, true, 12, 0},
        {0xcca8, chacha, sha256, 32, 48, true, 12, 0},
        {0xccaa, chacha, sha256, 32, 48, true, 12, 0},
    }};
    for (const TlsSuite& suite : suites) {
        if (suite.number == number && suite.cipher) return &suite;
    }
    return nullptr;
}

const TlsSuite& suite_of(std::uint16_t number) {
    const TlsSuite* const suite = find_suite(number);
    assert(suite);
    return *suite;
}

/// Only memory or a broken library make these fail; there is no going on without them.
void must(int result) {
    if (result != 1) std::abort();
}

const unsigned char* data(Bytes bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* data(char* to) { return reinterpret_cast<unsigned char*>(to); }
int count(Bytes bytes) { return static_cast<int>(bytes.size()); }

/// HKDF-Expand-Label with an empty context, of no more bytes than the hash has.
template <std::size_t Size>
void expand_label(const TlsSuite& suite, const unsigned char* secret, Bytes label, std::size_t size,
                  std::array<unsigned char, Size>& to) {
    constexpr Bytes prefix = "tls13 ";
    std::string info = {'\0', static_cast<char>(size),
                        static_cast<char>(prefix.size() + label.size())};
    info.append(prefix).append(label).append(Bytes("\0\1", 2));  // no context; the first block
    std::array<unsigned char, EVP_MAX_MD_SIZE> block;
    must(HMAC(suite.hash, secret, static_cast<int>(suite.secret_size), data(Bytes(info)),
              info.size(), block.data(), nullptr) != nullptr);
    std::memcpy(to.data(), block.data(), size);
    OPENSSL_cleanse(block.data(), block.size());
}

/// A cipher context weighs 1.2 KiB, and giving it a key takes 0.2 µs. So a thread has some, which
/// busy connections find as they left them, and a connection at rest has none.
class Contexts {
public:
    /// One that has this key; `key` is read when it has not.
    EVP_CIPHER_CTX* with(std::uint64_t id, const TlsSuite& suite, const unsigned char* key,
                         bool seals) {
        Slot& slot = slots_[id % slots_.size()];
        if (slot.id == id) return slot.context.get();
        if (!slot.context) slot.context.reset(EVP_CIPHER_CTX_new());
        must(EVP_CipherInit_ex(slot.context.get(), suite.cipher, nullptr, key, nullptr, seals));
        slot.id = id;
        return slot.context.get();
    }
    void forget(std::uint64_t id) {
        Slot& slot = slots_[id % slots_.size()];
        if (slot.id != id) return;
        // Another key takes the place of the one that must not stay.
        constexpr std::array<unsigned char, 32> no_key{};
        must(EVP_CipherInit_ex(slot.context.get(), nullptr, nullptr, no_key.data(), nullptr, -1));
        slot.id = 0;
    }

private:
    struct Free {
        void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
    };
    struct Slot {
        std::uint64_t id = 0;
        std::unique_ptr<EVP_CIPHER_CTX, Free> context;
    };
    std::array<Slot, 128> slots_;
};
thread_local Contexts contexts;

/// Of keys; none is used again.
std::uint64_t new_id() {
    static std::atomic<std::uint64_t> next_id = 1;
    return next_id.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

TrafficKeys::TrafficKeys(const TlsSuite& suite, Bytes secret, std::uint64_t sequence)
    : suite_(suite),
      sequence_(sequence) {
    assert(secret.size() == suite.secret_size);
    std::memcpy(secret_.data(), secret.data(), secret.size());
    derive();
}

TrafficKeys::TrafficKeys(const TlsSuite& suite, Bytes key, Bytes iv, std::uint64_t sequence)
    : suite_(suite),
      id_(new_id()),
      sequence_(sequence) {
    std::memcpy(key_.data(), key.data(), key.size());
    std::memcpy(base_.data(), iv.data(), iv.size());
}

TrafficKeys::~TrafficKeys() {
    contexts.forget(id_);
    OPENSSL_cleanse(secret_.data(), secret_.size());
    OPENSSL_cleanse(key_.data(), key_.size());
    OPENSSL_cleanse(base_.data(), base_.size());
}

void TrafficKeys::derive() {
    id_ = new_id();
    expand_label(suite_, secret_.data(), "key", suite_.key_size, key_);
    expand_label(suite_, secret_.data(), "iv", nonce_size, base_);
}

void TrafficKeys::update() {
    contexts.forget(id_);
    expand_label(suite_, secret_.data(), "traffic upd", suite_.secret_size, secret_);
    derive();
    sequence_ = 0;
}

TrafficKeys::Nonce TrafficKeys::next_nonce(Bytes told) {
    Nonce nonce = base_;
    if (!told.empty()) {
        std::memcpy(nonce.data() + nonce_size - told.size(), told.data(), told.size());
        ++sequence_;
        return nonce;
    }
    for (std::size_t i = 0; i < sizeof sequence_; ++i)
        nonce[nonce_size - 1 - i] ^= static_cast<unsigned char>(sequence_ >> (8 * i));
    ++sequence_;
    return nonce;
}

void TrafficKeys::seal(Bytes header, Bytes text, char* to) {
    EVP_CIPHER_CTX* const context = contexts.with(id_, suite_, key_.data(), true);
    const Nonce nonce = next_nonce({});
    int size = 0;
    must(EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()));
    must(EVP_EncryptUpdate(context, nullptr, &size, data(header), count(header)));
    must(EVP_EncryptUpdate(context, data(to), &size, data(text), count(text)));
    must(EVP_EncryptFinal_ex(context, data(to + size), &size));
    must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, tag_size, to + text.size()));
}

bool TrafficKeys::open(Bytes header, Bytes sealed, char* to, Bytes told) {
    EVP_CIPHER_CTX* const context = contexts.with(id_, suite_, key_.data(), false);
    const Nonce nonce = next_nonce(told);
    const Bytes text = sealed.substr(0, sealed.size() - tag_size);
    std::array<char, tag_size> tag;
    sealed.copy(tag.data(), tag.size(), text.size());
    int size = 0;
    must(EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()));
    must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, tag_size, tag.data()));
    must(EVP_DecryptUpdate(context, nullptr, &size, data(header), count(header)));
    return EVP_DecryptUpdate(context, data(to), &size, data(text), count(text)) == 1 &&
           EVP_DecryptFinal_ex(context, data(to + size), &size) == 1;
}

TlsRecords::TlsRecords(std::uint16_t suite, Bytes peer_secret, Bytes own_secret, std::uint64_t sent,
                       std::uint64_t limit)
    : suite_(suite_of(suite)),
      peer_(suite_, peer_secret, 0),
      own_(suite_, own_secret, sent),
      limit_(limit) {}

/// The keys of TLS 1.2, both sides'.
struct TlsRecords::KeyBlock {
    KeyBlock(const TlsSuite& suite, const TlsMaster& master) {
        static EVP_KDF* const expansion = EVP_KDF_fetch(nullptr, "TLS1-PRF", nullptr);
        EVP_KDF_CTX* const context = EVP_KDF_CTX_new(expansion);
        std::string seed("key expansion");
        seed.append(master.server_random).append(master.client_random);
        const auto octets = [](const char* name, Bytes value) {
            return OSSL_PARAM_construct_octet_string(name, const_cast<char*>(value.data()),
                                                     value.size());
        };
        auto* const hash = const_cast<char*>(EVP_MD_get0_name(suite.hash));
        const std::array<OSSL_PARAM, 4> parameters = {
            OSSL_PARAM_construct_utf8_string("digest", hash, 0), octets("secret", master.secret),
            octets("seed", seed), OSSL_PARAM_construct_end()};
        const std::size_t size = 2 * (suite.key_size + suite.iv_size);
        must(EVP_KDF_derive(context, data(bytes.data()), size, parameters.data()));
        EVP_KDF_CTX_free(context);
    }
    ~KeyBlock() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
    KeyBlock(const KeyBlock&) = delete;
    KeyBlock& operator=(const KeyBlock&) = delete;

    /// The client's key comes before the server's, and behind both their parts of nonces.
    Bytes key(const TlsSuite& suite, std::size_t side) const {
        return {bytes.data() + side * suite.key_size, suite.key_size};
    }
    Bytes iv(const TlsSuite& suite, std::size_t side) const {
        return {bytes.data() + 2 * suite.key_size + side * suite.iv_size, suite.iv_size};
    }

    std::array<char, 2 * (32 + 12)> bytes{};
};

TlsRecords::TlsRecords(std::uint16_t suite, const TlsMaster& master)
    : TlsRecords(suite_of(suite), KeyBlock(suite_of(suite), master)) {}

/// Each side has sent one record: its Finished.
TlsRecords::TlsRecords(const TlsSuite& suite, const KeyBlock& keys)
    : suite_(suite),
      peer_(suite, keys.key(suite, 0), keys.iv(suite, 0), 1),
      own_(suite, keys.key(suite, 1), keys.iv(suite, 1), 1),
      limit_(std::numeric_limits<std::uint64_t>::max()) {}

bool TlsRecords::knows(std::uint16_t suite) { return find_suite(suite) != nullptr; }

namespace {

std::size_t sealed_size(Bytes input) { return protocol::load_u16(input.data() + 3); }

/// What TLS 1.2 seals a text with besides the text.
std::array<char, 13> old_header(std::uint64_t sequence, char type, std::size_t text_size) {
    std::array<char, 13> header{};
    for (std::size_t i = 0; i < sizeof sequence; ++i)
        header[7 - i] = static_cast<char>(sequence >> (8 * i));
    header[8] = type;
    header[9] = header[10] = 3;
    protocol::store_u16(header.data() + 11, static_cast<std::uint16_t>(text_size));
    return header;
}

}  // namespace

/// Can what begins so be a record at all? Nothing that is not sealed comes any more.
bool TlsRecords::is_record(Bytes input) const {
    const std::size_t size = sealed_size(input);
    if (size > record_max - header_size) return false;
    if (!suite_.old) return input[0] == application_data && size > tag_size;
    return input[0] >= change_cipher_spec && input[0] <= application_data &&
           size >= tag_size + suite_.told_size;
}

bool TlsRecords::is_whole(Bytes input) const {
    return input.size() >= header_size &&
           (!is_record(input) || input.size() >= header_size + sealed_size(input));
}

std::size_t TlsRecords::room_for(Bytes input) const {
    return is_record(input) ? sealed_size(input) - tag_size : 0;
}

TlsRecords::Opened TlsRecords::open(Bytes input, char* to) {
    Opened opened{.kind = Kind::broken};
    if (!is_record(input)) {
        const bool plain = input[0] != application_data;
        opened.alert = plain ? unexpected_message : record_overflow;
        return opened;
    }
    if (suite_.old) return open_old(input, to, opened);
    const Bytes header = input.substr(0, header_size);
    const Bytes sealed = input.substr(header_size, sealed_size(input));
    opened.taken = header_size + sealed.size();
    if (!peer_.open(header, sealed, to)) {
        opened.alert = bad_record_mac;
        return opened;
    }
    // The text, its type, and zeroes that hide its length.
    const Bytes inner(to, sealed.size() - tag_size);
    const std::size_t last = inner.find_last_not_of('\0');
    if (last == Bytes::npos) {
        opened.alert = unexpected_message;
        return opened;
    }
    if (last > text_max) {
        opened.alert = record_overflow;
        return opened;
    }
    if (inner[last] != application_data)
        return open_control(inner[last], inner.substr(0, last), opened);
    opened.kind = Kind::text;
    opened.size = last;
    return opened;
}

/// The type stands in the header, and what is sealed is the text alone.
TlsRecords::Opened TlsRecords::open_old(Bytes input, char* to, Opened opened) {
    const char type = input[0];
    const std::size_t told = suite_.told_size;
    const Bytes sealed = input.substr(header_size + told, sealed_size(input) - told);
    const Bytes text(to, sealed.size() - tag_size);
    opened.taken = header_size + told + sealed.size();
    const auto header = old_header(peer_.sequence(), type, text.size());
    if (!peer_.open({header.data(), header.size()}, sealed, to, input.substr(header_size, told))) {
        opened.alert = bad_record_mac;
    } else if (text.size() > text_max) {
        opened.alert = record_overflow;
    } else if (type == application_data) {
        opened.kind = Kind::text;
        opened.size = text.size();
    } else if (type == alert) {
        constexpr char warning = 1;
        const bool harmless = text.size() == 2 && text[0] == warning && text[1] != close_notify;
        if (!harmless) return open_alert(text, opened);
        opened.kind = Kind::control;
    } else {
        opened.alert = type == handshake ? no_renegotiation : unexpected_message;
    }
    return opened;
}

TlsRecords::Opened TlsRecords::open_alert(Bytes text, Opened opened) {
    if (text.size() != 2) {
        opened.alert = decode_error;
        return opened;
    }
    // Whatever else it says, the peer has done with this connection, and wants no answer.
    opened.kind = text[1] == close_notify ? Kind::end : Kind::broken;
    opened.alert = close_notify;
    return opened;
}

TlsRecords::Opened TlsRecords::open_control(char type, Bytes text, Opened opened) {
    opened.alert = unexpected_message;
    if (type == alert) return open_alert(text, opened);
    if (type == handshake && text.size() == key_update.size() + 1 && text.starts_with(key_update) &&
        (text.back() == 0 || text.back() == 1)) {
        peer_.update();
        // However often it asks, it is answered once, with what is sent next.
        owes_update_ = owes_update_ || text.back() == 1;
        opened.kind = Kind::control;
    }
    return opened;
}

std::size_t TlsRecords::seal(Bytes text, char* to) {
    assert(text.size() <= text_max);
    std::size_t size = 0;
    if (owes_update_ || own_.sequence() >= limit_) {
        size = seal_as(handshake, std::string(key_update) + '\0', to);
        own_.update();
        owes_update_ = false;
    }
    return size + seal_as(application_data, text, to + size);
}

std::size_t TlsRecords::seal_alert(bool fatal, char description, char* to) {
    const std::array<char, 2> text = {fatal ? '\2' : '\1', description};
    return seal_as(alert, {text.data(), text.size()}, to);
}

std::size_t TlsRecords::seal_old(char type, Bytes text, char* to) {
    const std::size_t told = suite_.told_size;
    const auto header = old_header(own_.sequence(), type, text.size());
    to[0] = type;
    to[1] = to[2] = 3;
    protocol::store_u16(to + 3, static_cast<std::uint16_t>(told + text.size() + tag_size));
    std::memcpy(to + header_size, header.data(), told);  // the sequence is the nonce
    char* const inner = to + header_size + told;
    text.copy(inner, text.size());
    own_.seal({header.data(), header.size()}, {inner, text.size()}, inner);
    return header_size + told + text.size() + tag_size;
}

std::size_t TlsRecords::seal_as(char type, Bytes text, char* to) {
    if (suite_.old) return seal_old(type, text, to);
    const std::size_t sealed = text.size() + 1 + tag_size;
    to[0] = application_data;
    to[1] = to[2] = 3;  // the version that all say
    protocol::store_u16(to + 3, static_cast<std::uint16_t>(sealed));
    char* const inner = to + header_size;
    text.copy(inner, text.size());
    inner[text.size()] = type;
    own_.seal({to, header_size}, {inner, text.size() + 1}, inner);
    return header_size + sealed;
}

}  // namespace pgweir::net

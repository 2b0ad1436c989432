#include "protocol/scram.hpp"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cstdlib>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/sha.h>

#include "protocol/base64.hpp"
#include "protocol/saslprep.hpp"
#include "protocol/secret.hpp"

namespace pgweir::protocol {

namespace {

constexpr std::size_t nonce_size = 18;      // bytes, as PostgreSQL's; 24 characters of base 64
constexpr std::size_t mock_salt_size = 16;  // bytes, as PostgreSQL's salts

const unsigned char* raw(Bytes bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* raw(std::string& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

/// A thread's HMAC-SHA-256. OpenSSL's one-shot call looks its algorithm up by name each time, which
/// costs more than the computation.
class Hmac {
public:
    Hmac() {
        EVP_MAC* const mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
        context_ = EVP_MAC_CTX_new(mac);
        EVP_MAC_free(mac);  // the context holds it
        char digest_name[] = "SHA256";
        const OSSL_PARAM parameters[] = {
            OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest_name, 0),
            OSSL_PARAM_construct_end()};
        if (!context_ || EVP_MAC_CTX_set_params(context_, parameters) != 1) std::abort();
    }
    ~Hmac() { EVP_MAC_CTX_free(context_); }
    Hmac(const Hmac&) = delete;
    Hmac& operator=(const Hmac&) = delete;

    std::string operator()(Bytes key, Bytes text) {
        std::string digest(scram_key_size, '\0');
        std::size_t size = 0;
        if (EVP_MAC_init(context_, raw(key), key.size(), nullptr) != 1 ||
            EVP_MAC_update(context_, raw(text), text.size()) != 1 ||
            EVP_MAC_final(context_, raw(digest), &size, digest.size()) != 1 ||
            size != digest.size()) {
            std::abort();  // a wrong key must not look like a right one
        }
        return digest;
    }

private:
    EVP_MAC_CTX* context_;
};

}  // namespace

std::string hmac(Bytes key, Bytes text) {
    thread_local Hmac compute;
    return compute(key, text);
}

namespace {

std::string sha256(Bytes text) {
    std::string digest(scram_key_size, '\0');
    if (!SHA256(raw(text), text.size(), raw(digest))) std::abort();
    return digest;
}

std::string exclusive_or(std::string a, Bytes b) {
    assert(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<char>(a[i] ^ b[i]);
    return a;
}

std::string client_key_of(Bytes salted_password) { return hmac(salted_password, "Client Key"); }
std::string server_key_of(Bytes salted_password) { return hmac(salted_password, "Server Key"); }

Error malformed(Origin sender) { return protocol_violation(sender, "malformed SCRAM message"); }

bool is_printable(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~' && c != ','; });
}

/// Length and content any message must have before it is looked into.
bool is_acceptable(Bytes message) {
    return !message.empty() && message.size() <= scram_message_size_max &&
           message.find('\0') == Bytes::npos;
}

std::optional<int> parse_iterations(std::string_view text) {
    int iterations = 0;
    const char* end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, iterations);
    if (read.ec != std::errc() || read.ptr != end || iterations < 1) return std::nullopt;
    return iterations;
}

std::optional<std::string> decode_key(std::string_view text) {
    auto key = base64_decode(text);
    if (key && key->size() != scram_key_size) key.reset();
    return key;
}

/// Takes "x=value" items off a comma-separated list.
class Attributes {
public:
    explicit Attributes(Bytes message) : rest_(message) {}

    /// The value of the next one when it has this name, else nullopt.
    std::optional<Bytes> take(char name) {
        if (rest_.empty() || rest_[0] != name) return std::nullopt;
        return take_any();
    }
    /// The value of the next one whatever its name; nullopt when it is no attribute.
    std::optional<Bytes> take_any() {
        if (rest_.size() < 2 || !is_letter(rest_[0]) || rest_[1] != '=') return std::nullopt;
        const std::size_t comma = rest_.find(',');
        if (comma == rest_.size() - 1) return std::nullopt;  // something has to follow
        const Bytes value = rest_.substr(0, comma).substr(2);
        rest_ = comma == Bytes::npos ? Bytes() : rest_.substr(comma + 1);
        return value;
    }
    /// What is left has to be extensions nobody needs to know.
    bool skip_rest() {
        while (!rest_.empty()) {
            if (!take_any()) return false;
        }
        return true;
    }
    Bytes rest() const { return rest_; }

private:
    static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

    Bytes rest_;
};

/// The client's gs2-header, "n,," or "p=tls-server-end-point,,", when it fits what was offered.
Result<Bytes> read_gs2_header(Bytes message, const std::optional<ChannelBinding>& binding,
                              std::string_view mechanism) {
    const bool binds = message[0] == 'p';
    if (!mechanism.empty() && binds != (mechanism == scram_sha_256_plus)) {
        return malformed(Origin::client);
    }
    std::size_t end = 1;
    if (binds) {
        if (!binding || !message.starts_with("p=")) return malformed(Origin::client);
        end = std::min(message.find(','), message.size());
        if (message.substr(2, end - 2) != binding->type) {
            return protocol_violation(Origin::client, "unsupported SCRAM channel-binding type");
        }
    } else if (message[0] == 'y') {
        // The client would have bound had PLUS been offered. It was: somebody in between hid it.
        if (binding) {
            return Error{sqlstate::invalid_authorization, Origin::client,
                         "SCRAM channel binding negotiation error"};
        }
    } else if (message[0] != 'n') {
        return malformed(Origin::client);
    }
    const Bytes tail = message.substr(end);
    if (tail.starts_with(",a")) {
        return Error{sqlstate::feature_not_supported, Origin::client,
                     "client uses authorization identity, but it is not supported"};
    }
    if (!tail.starts_with(",,")) return malformed(Origin::client);
    return message.substr(0, end + 2);
}

struct ServerFirst {
    Bytes nonce;
    ScramCost cost;
};

/// `client_nonce` must be the front of the nonce, and not the whole of it.
Result<ServerFirst> read_server_first(Bytes message, std::string_view client_nonce) {
    if (!is_acceptable(message)) return malformed(Origin::server);
    Attributes attributes(message);
    const auto nonce = attributes.take('r');
    const auto salt = attributes.take('s');
    const auto iterations = attributes.take('i');
    if (!nonce || !salt || !iterations || !attributes.skip_rest() || !is_printable(*nonce)) {
        return malformed(Origin::server);
    }
    if (nonce->size() <= client_nonce.size() || !nonce->starts_with(client_nonce)) {
        return protocol_violation(Origin::server, "invalid SCRAM response (nonce mismatch)");
    }
    const auto raw_salt = base64_decode(*salt);
    const auto count = parse_iterations(*iterations);
    if (!raw_salt || raw_salt->empty() || !count) return malformed(Origin::server);
    return ServerFirst{*nonce, {*raw_salt, *count}};
}

std::string auth_message_of(Bytes client_first_bare, Bytes server_first, Bytes client_final) {
    std::string message(client_first_bare);
    return message.append(",").append(server_first).append(",").append(client_final);
}

/// A SCRAM name: commas and equal signs would be taken for syntax.
std::string escape(std::string_view user) {
    std::string name;
    for (const char c : user) {
        if (c == '=') {
            name.append("=3D");
        } else if (c == ',') {
            name.append("=2C");
        } else {
            name.push_back(c);
        }
    }
    return name;
}

}  // namespace

std::optional<ScramVerifier> parse_scram_secret(std::string_view secret) {
    const auto take = [&secret](char separator) -> std::string_view {
        const std::string_view part = secret.substr(0, secret.find(separator));
        secret.remove_prefix(std::min(part.size() + 1, secret.size()));
        return part;
    };
    if (take('$') != scram_sha_256) return std::nullopt;
    const auto iterations = parse_iterations(take(':'));
    auto salt = base64_decode(take('$'));
    auto stored_key = decode_key(take(':'));
    auto server_key = decode_key(secret);
    if (!iterations || !salt || salt->empty() || !stored_key || !server_key) return std::nullopt;
    return ScramVerifier{*iterations, *std::move(salt), *std::move(stored_key),
                         *std::move(server_key)};
}

std::string format_scram_secret(const ScramVerifier& verifier) {
    std::string secret(scram_sha_256);
    secret.append("$").append(std::to_string(verifier.iterations));
    secret.append(":").append(base64_encode(verifier.salt));
    secret.append("$").append(base64_encode(verifier.stored_key));
    return secret.append(":").append(base64_encode(verifier.server_key));
}

ScramVerifier make_verifier(std::string_view password, Bytes salt, int iterations) {
    const std::string salted = ScramClient::salted_password(password, salt, iterations);
    return {iterations, std::string(salt), sha256(client_key_of(salted)), server_key_of(salted)};
}

ScramVerifier mock_verifier(std::string_view user, Bytes process_secret, int iterations) {
    const std::string seed = hmac(process_secret, user);
    return {iterations, hmac(seed, "salt").substr(0, mock_salt_size), hmac(seed, "stored key"),
            hmac(seed, "server key")};
}

std::string scram_nonce() { return base64_encode(random_bytes(nonce_size)); }

ScramServer::ScramServer(ScramVerifier verifier, std::optional<ChannelBinding> binding, bool doomed,
                         std::string nonce)
    : verifier_(std::move(verifier)),
      binding_(std::move(binding)),
      doomed_(doomed),
      nonce_(std::move(nonce)) {}

Result<std::string> ScramServer::first(Bytes message, std::string_view mechanism) {
    if (!is_acceptable(message) || !server_first_.empty()) return malformed(Origin::client);
    const Result<Bytes> header = read_gs2_header(message, binding_, mechanism);
    if (!header) return header.error();

    const Bytes bare = message.substr(header->size());
    if (bare.starts_with('m')) {
        return Error{sqlstate::feature_not_supported, Origin::client,
                     "client requires an unsupported SCRAM extension"};
    }
    Attributes attributes(bare);
    const auto user = attributes.take('n');
    const auto nonce = attributes.take('r');
    if (!user || !nonce || nonce->empty() || !attributes.skip_rest()) {
        return malformed(Origin::client);
    }
    if (!is_printable(*nonce)) {
        return protocol_violation(Origin::client, "non-printable characters in SCRAM nonce");
    }
    gs2_header_ = *header;
    client_first_bare_ = bare;
    nonce_.insert(0, *nonce);
    server_first_ = "r=" + nonce_ + ",s=" + base64_encode(verifier_.salt) +
                    ",i=" + std::to_string(verifier_.iterations);
    return server_first_;
}

Result<std::string> ScramServer::finish(Bytes message) {
    if (!is_acceptable(message) || server_first_.empty()) return malformed(Origin::client);
    const bool binds = gs2_header_.starts_with('p');
    Attributes attributes(message);
    const auto channel = attributes.take('c');
    const auto nonce = attributes.take('r');
    if (!channel || !nonce) return malformed(Origin::client);
    if (*channel != base64_encode(gs2_header_ + (binds ? binding_->data : ""))) {
        if (!binds) {
            return protocol_violation(
                Origin::client,
                "unexpected SCRAM channel-binding attribute in client-final-message");
        }
        return Error{sqlstate::invalid_authorization, Origin::client,
                     "SCRAM channel binding check failed"};
    }
    if (!equal_secret(*nonce, nonce_)) {
        return protocol_violation(Origin::client, "invalid SCRAM response");
    }
    while (!attributes.rest().starts_with('p')) {
        if (!attributes.take_any()) return malformed(Origin::client);
    }
    const Bytes proof_text = attributes.rest();
    const Bytes without_proof = message.substr(0, message.size() - proof_text.size() - 1);
    const auto value = attributes.take('p');
    const auto proof = value ? decode_key(*value) : std::nullopt;
    if (!proof || !attributes.rest().empty()) return malformed(Origin::client);

    const std::string auth_message =
        auth_message_of(client_first_bare_, server_first_, without_proof);
    std::string client_key = exclusive_or(*proof, hmac(verifier_.stored_key, auth_message));
    const bool right = equal_secret(sha256(client_key), verifier_.stored_key);
    std::string server_signature = hmac(verifier_.server_key, auth_message);
    server_first_.clear();
    if (!right || doomed_) {
        return Error{sqlstate::invalid_password, Origin::client, "SASL authentication failed"};
    }
    client_key_ = std::move(client_key);
    return "v=" + base64_encode(server_signature);
}

ScramClient::ScramClient(std::string client_key, std::string server_key)
    : client_key_(std::move(client_key)),
      server_key_(std::move(server_key)) {
    assert(client_key_.size() == scram_key_size && server_key_.size() == scram_key_size);
}

void ScramClient::bind(ChannelBinding binding, bool offered) {
    binding_ = std::move(binding);
    plus_ = offered;
}

std::string_view ScramClient::mechanism() const {
    return plus_ ? scram_sha_256_plus : scram_sha_256;
}

std::string ScramClient::gs2_header() const {
    if (plus_) return "p=" + binding_->type + ",,";
    return binding_ ? "y,," : "n,,";
}

std::string ScramClient::first(std::string nonce, std::string_view user) {
    nonce_ = std::move(nonce);
    client_first_bare_ = "n=" + escape(user) + ",r=" + nonce_;
    return gs2_header() + client_first_bare_;
}

Result<ScramCost> ScramClient::cost_of(Bytes server_first, int iterations_max) const {
    Result<ServerFirst> asked = read_server_first(server_first, nonce_);
    if (!asked) return asked.error();
    if (asked->cost.iterations > iterations_max) {
        return protocol_violation(Origin::server, "SCRAM iteration count too high");
    }
    return std::move(asked->cost);
}

std::string ScramClient::salted_password(std::string_view password, Bytes salt, int iterations) {
    const Secret prepared = saslprep(password);
    std::string salted(scram_key_size, '\0');
    if (PKCS5_PBKDF2_HMAC(prepared.data(), static_cast<int>(prepared.size()), raw(salt),
                          static_cast<int>(salt.size()), iterations, EVP_sha256(),
                          static_cast<int>(scram_key_size), raw(salted)) != 1) {
        std::abort();
    }
    return salted;
}

void ScramClient::use(Bytes salted_password) {
    client_key_ = client_key_of(salted_password);
    server_key_ = server_key_of(salted_password);
}

Result<std::string> ScramClient::finish(Bytes server_first) {
    assert(!client_first_bare_.empty() && !client_key_.empty());
    const Result<ServerFirst> asked = read_server_first(server_first, nonce_);
    if (!asked) return asked.error();

    std::string message = "c=" + base64_encode(gs2_header() + (plus_ ? binding_->data : ""));
    message.append(",r=").append(asked->nonce);
    auth_message_ = auth_message_of(client_first_bare_, server_first, message);
    const std::string signature = hmac(sha256(client_key_), auth_message_);
    return message.append(",p=").append(base64_encode(exclusive_or(client_key_, signature)));
}

Result<void> ScramClient::verify(Bytes server_final) {
    if (!is_acceptable(server_final) || auth_message_.empty()) return malformed(Origin::server);
    Attributes attributes(server_final);
    if (const auto refusal = attributes.take('e')) {
        std::string message = "error received from server in SCRAM exchange";
        if (is_printable(*refusal)) message.append(": ").append(*refusal);
        return protocol_violation(Origin::server, std::move(message));
    }
    const auto value = attributes.take('v');
    const auto signature = value ? decode_key(*value) : std::nullopt;
    if (!signature || !attributes.skip_rest()) return malformed(Origin::server);
    if (!equal_secret(*signature, hmac(server_key_, auth_message_))) {
        return protocol_violation(Origin::server, "incorrect server signature");
    }
    return {};
}

}  // namespace pgweir::protocol

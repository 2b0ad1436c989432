// SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, both roles, as PostgreSQL speaks them: the user's name is
// the one of the start-up packet, the one inside SCRAM is ignored. Source: RFC 5802, RFC 7677.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "protocol/bytes.hpp"
#include "protocol/cleanse.hpp"
#include "protocol/error.hpp"

namespace pgweir::protocol {

inline constexpr std::string_view scram_sha_256 = "SCRAM-SHA-256";
inline constexpr std::string_view scram_sha_256_plus = "SCRAM-SHA-256-PLUS";
inline constexpr std::size_t scram_key_size = 32;            // bytes
inline constexpr std::size_t scram_message_size_max = 1024;  // bytes: PostgreSQL's limit
inline constexpr int scram_iterations_max = 1'000'000;       // what a server may make us compute

/// What a server keeps instead of a password. All strings are raw bytes.
struct ScramVerifier {
    int iterations;  // 1 or more
    std::string salt;
    std::string stored_key;
    std::string server_key;
};

/// Reads "SCRAM-SHA-256$4096:salt$StoredKey:ServerKey"; nullopt when it is anything else.
std::optional<ScramVerifier> parse_scram_secret(std::string_view secret);
std::string format_scram_secret(const ScramVerifier& verifier);

/// Derives a verifier. Expensive: as many HMACs as iterations, twice. Not for the event loop.
ScramVerifier make_verifier(std::string_view password, Bytes salt, int iterations);

/// A verifier no password fits, always the same for one user: the conversation looks to an unknown
/// user as it does to a known one. `process_secret` must not be known outside and not change while
/// we run.
ScramVerifier mock_verifier(std::string_view user, Bytes process_secret, int iterations);

/// What ties a login to the TLS connection it runs on.
struct ChannelBinding {
    std::string type;  // "tls-server-end-point"
    std::string data;  // that type's bytes: a hash of the server's certificate
};

/// HMAC-SHA-256: 32 raw bytes.
std::string hmac(Bytes key, Bytes text);

/// A nonce's worth of randomness, printable.
std::string scram_nonce();

/// The server's side of one login: first(), then finish(), once each. Value, owned by the login.
///
/// Errors of both: 08P01 for what is not SCRAM as we offered it, 0A000 for what RFC 5802 allows
/// and PostgreSQL does not, 28000 for a channel binding evaded or wrong. Origin is the client.
class ScramServer {
public:
    /// `binding` is there when SCRAM-SHA-256-PLUS was offered. A `doomed` login takes its course
    /// and fails at the end, whatever the client proves.
    explicit ScramServer(ScramVerifier verifier, std::optional<ChannelBinding> binding = {},
                         bool doomed = false, std::string nonce = scram_nonce());

    /// Takes the client-first-message and returns the server-first-message. When `mechanism`, the
    /// one the client chose, is given, channel binding must be used with PLUS and only with it.
    Result<std::string> first(Bytes message, std::string_view mechanism = {});

    /// Takes the client-final-message and returns the server-final-message.
    /// Errors   28P01 "SASL authentication failed" when the proof is wrong or the login doomed.
    Result<std::string> finish(Bytes message);

    /// What the client proved to know, 32 bytes: with it we can log in elsewhere in its name. Empty
    /// before finish() has succeeded.
    Bytes client_key() const { return client_key_; }
    Bytes server_key() const { return verifier_.server_key; }

private:
    ScramVerifier verifier_;
    std::optional<ChannelBinding> binding_;
    bool doomed_;
    std::string nonce_;  // ours; from first() on the client's and ours
    std::string gs2_header_;
    std::string client_first_bare_;
    std::string server_first_;
    Secret client_key_;
};

/// What a server asks to be computed before it can be answered.
struct ScramCost {
    std::string salt;  // raw bytes
    int iterations;
};

/// The client's side of one login: first(), finish(), verify(), once each and in this order.
/// Before finish() it must have keys, from the constructor or by use(). Value, owned by the login.
///
/// Errors of all: 08P01, Origin the server, when the server does not follow the protocol, and when
/// it fails to prove that it knows the password too.
class ScramClient {
public:
    /// For a password: give use() what salted_password() makes of it and of cost_of().
    ScramClient() = default;
    /// For keys learned from a client's own login (pass-through). 32 bytes each.
    ScramClient(std::string client_key, std::string server_key);

    /// Call before first() on TLS. `offered`: the server's mechanisms include SCRAM-SHA-256-PLUS,
    /// so that is what is used; else the server is told that we would have.
    void bind(ChannelBinding binding, bool offered);
    /// The mechanism to name in SASLInitialResponse.
    std::string_view mechanism() const;

    /// The client-first-message. PostgreSQL wants no user name here.
    std::string first(std::string nonce = scram_nonce(), std::string_view user = {});

    /// Errors   08P01 also when the server asks for more than `iterations_max`.
    Result<ScramCost> cost_of(Bytes server_first, int iterations_max = scram_iterations_max) const;
    /// Expensive: as many HMACs as iterations, twice. Not for the event loop.
    static std::string salted_password(std::string_view password, Bytes salt, int iterations);
    void use(Bytes salted_password);

    /// Takes the server-first-message and returns the client-final-message.
    Result<std::string> finish(Bytes server_first);
    /// Takes the server-final-message: only after this is the server known to be the right one.
    Result<void> verify(Bytes server_final);

    Bytes client_key() const { return client_key_; }
    Bytes server_key() const { return server_key_; }

private:
    std::string gs2_header() const;

    Secret client_key_;
    Secret server_key_;
    std::optional<ChannelBinding> binding_;
    bool plus_ = false;
    std::string nonce_;
    std::string client_first_bare_;
    std::string auth_message_;  // empty before finish()
};

}  // namespace pgweir::protocol

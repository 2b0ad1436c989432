// SCRAM-SHA-256 and -PLUS, both roles (protocol/scram).
#include "protocol/scram.hpp"

#include <gtest/gtest.h>

#include "protocol/base64.hpp"
#include "tests/unit/protocol/prefixes.hpp"

namespace pgweir::protocol {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

// RFC 7677, section 3: user "user", password "pencil".
constexpr std::string_view rfc_client_nonce = "rOprNGfwEbeRWgbNEkqO";
constexpr std::string_view rfc_server_nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
constexpr std::string_view rfc_client_first = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
constexpr std::string_view rfc_server_first =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
constexpr std::string_view rfc_client_final =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
constexpr std::string_view rfc_server_final = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

const std::string salt = *base64_decode("W22ZaJ0SNY7soEsUEjb6gQ==");

const ScramVerifier& rfc_verifier() {
    static const ScramVerifier verifier = make_verifier("pencil", salt, 4096);
    return verifier;
}

ScramServer rfc_server(bool doomed = false) {
    return ScramServer(rfc_verifier(), {}, doomed, std::string(rfc_server_nonce));
}

/// A client that has said its first words and knows the password.
ScramClient rfc_client() {
    ScramClient client;
    client.first(std::string(rfc_client_nonce), "user");
    client.use(ScramClient::salted_password("pencil", salt, 4096));
    return client;
}

const ChannelBinding binding{"tls-server-end-point", "hash of\0the certificate"s};
const ChannelBinding other_binding{"tls-server-end-point", "hash of another"};

TEST(Scram, ServerSpeaksAsInRfc7677) {
    ScramServer server = rfc_server();
    EXPECT_EQ(server.first(rfc_client_first).value(), rfc_server_first);
    EXPECT_EQ(server.client_key(), "");
    EXPECT_EQ(server.finish(rfc_client_final).value(), rfc_server_final);
    EXPECT_EQ(server.client_key(), rfc_client().client_key());
    EXPECT_EQ(server.server_key(), rfc_client().server_key());
}

TEST(Scram, ClientSpeaksAsInRfc7677) {
    ScramClient client;
    EXPECT_EQ(client.mechanism(), "SCRAM-SHA-256");
    EXPECT_EQ(client.first(std::string(rfc_client_nonce), "user"), rfc_client_first);
    const auto cost = client.cost_of(rfc_server_first);
    ASSERT_TRUE(cost.has_value());
    EXPECT_EQ(cost->iterations, 4096);
    client.use(ScramClient::salted_password("pencil", cost->salt, cost->iterations));
    EXPECT_EQ(client.finish(rfc_server_first).value(), rfc_client_final);
    EXPECT_TRUE(client.verify(rfc_server_final).has_value());
}

TEST(Scram, EscapesTheUserName) {
    ScramClient client;
    EXPECT_EQ(client.first("abc", "a=b,c"), "n,,n=a=3Db=2Cc,r=abc");
    EXPECT_EQ(client.first("abc"), "n,,n=,r=abc");
}

/// One whole login; what the server said in the end.
Result<std::string> log_in(ScramClient& client, ScramServer& server) {
    const auto challenge = server.first(client.first(), client.mechanism());
    if (!challenge) return challenge.error();
    const auto proof = client.finish(*challenge);
    if (!proof) return proof.error();
    const auto final = server.finish(*proof);
    if (!final) return final.error();
    const auto verified = client.verify(*final);
    if (!verified) return verified.error();
    return *final;
}

ScramClient client_with(std::string_view password) {
    ScramClient client;
    client.use(ScramClient::salted_password(password, salt, 4096));
    return client;
}

TEST(Scram, PassesThroughWhatAClientProved) {
    ScramClient alice = client_with("pencil");
    ScramServer us(rfc_verifier());
    ASSERT_TRUE(log_in(alice, us).has_value());

    ScramClient we(std::string(us.client_key()), std::string(us.server_key()));
    ScramServer database(rfc_verifier());
    EXPECT_TRUE(log_in(we, database).has_value());
}

TEST(Scram, NoncesAreNew) {
    EXPECT_EQ(scram_nonce().size(), 24u);
    EXPECT_NE(scram_nonce(), scram_nonce());
}

struct LoginCase {
    const char* name;
    std::string_view password;
    bool server_binds;
    std::optional<ChannelBinding> client_binding;
    bool client_uses_plus;
    bool doomed;
    std::optional<Sqlstate> refused;
};

const LoginCase login_cases[] = {
    {"right", "pencil", false, {}, false, false, {}},
    {"wrong password", "pencil ", false, {}, false, false, sqlstate::invalid_password},
    {"right but doomed", "pencil", false, {}, false, true, sqlstate::invalid_password},
    {"bound", "pencil", true, binding, true, false, {}},
    {"bound, wrong password", "x", true, binding, true, false, sqlstate::invalid_password},
    {"bound to another certificate", "pencil", true, other_binding, true, false,
     sqlstate::invalid_authorization},
    {"not bound though offered: the client cannot", "pencil", true, {}, false, false, {}},
    {"offer hidden from the client", "pencil", true, binding, false, false,
     sqlstate::invalid_authorization},
    {"client could, server does not", "pencil", false, binding, false, false, {}},
    {"client binds, server cannot", "pencil", false, binding, true, false,
     sqlstate::protocol_violation},
};

TEST(Scram, Logins) {
    for (const LoginCase& c : login_cases) {
        SCOPED_TRACE(c.name);
        ScramClient client = client_with(c.password);
        if (c.client_binding) client.bind(*c.client_binding, c.client_uses_plus);
        ScramServer server(rfc_verifier(), c.server_binds ? std::optional(binding) : std::nullopt,
                           c.doomed);
        const auto outcome = log_in(client, server);
        ASSERT_EQ(outcome.has_error(), c.refused.has_value());
        if (!c.refused) continue;
        EXPECT_EQ(outcome.error().sqlstate, *c.refused);
        EXPECT_EQ(outcome.error().origin, Origin::client);
        EXPECT_EQ(server.client_key(), "");
        if (*c.refused == sqlstate::invalid_password) {
            EXPECT_EQ(outcome.error().message, "SASL authentication failed");
        }
    }
}

struct FirstCase {
    const char* name;
    std::string message;
    std::string_view mechanism;
    bool offers_plus;
    std::optional<Sqlstate> refused;
};

const FirstCase first_cases[] = {
    {"as libpq sends it", "n,,n=,r=abc", scram_sha_256, false, {}},
    {"extensions are ignored", "n,,n=,r=abc,x=1,Y=", scram_sha_256, false, {}},
    {"as long as may be", "n,,n=,r=" + std::string(1016, 'a'), "", false, {}},
    {"too long", "n,,n=,r=" + std::string(1017, 'a'), "", false, sqlstate::protocol_violation},
    {"nothing", "", "", false, sqlstate::protocol_violation},
    {"a NUL", "n,,n=,r=abc\0"s, "", false, sqlstate::protocol_violation},
    {"only commas", ",,,,", "", false, sqlstate::protocol_violation},
    {"unknown flag", "x,,n=,r=abc", "", false, sqlstate::protocol_violation},
    {"flag with a tail", "nn,,n=,r=abc", "", false, sqlstate::protocol_violation},
    {"one comma", "n,n=,r=abc", "", false, sqlstate::protocol_violation},
    {"somebody else's name", "n,a=x,n=,r=abc", "", false, sqlstate::feature_not_supported},
    {"mandatory extension", "n,,m=x,n=,r=abc", "", false, sqlstate::feature_not_supported},
    {"no name", "n,,r=abc", "", false, sqlstate::protocol_violation},
    {"no nonce", "n,,n=", "", false, sqlstate::protocol_violation},
    {"empty nonce", "n,,n=,r=", "", false, sqlstate::protocol_violation},
    {"unprintable nonce", "n,,n=,r=a\x7f", "", false, sqlstate::protocol_violation},
    {"nonce above ASCII", "n,,n=,r=a\xc3\xa9", "", false, sqlstate::protocol_violation},
    {"trailing comma", "n,,n=,r=abc,", "", false, sqlstate::protocol_violation},
    {"extension without a value", "n,,n=,r=abc,x", "", false, sqlstate::protocol_violation},
    {"extension that is no letter", "n,,n=,r=abc,1=2", "", false, sqlstate::protocol_violation},
    {"y, nothing to bind to", "y,,n=,r=abc", "", false, {}},
    {"y though offered", "y,,n=,r=abc", "", true, sqlstate::invalid_authorization},
    {"p", "p=tls-server-end-point,,n=,r=abc", scram_sha_256_plus, true, {}},
    {"p without the mechanism", "p=tls-server-end-point,,n=,r=abc", scram_sha_256, true,
     sqlstate::protocol_violation},
    {"the mechanism without p", "n,,n=,r=abc", scram_sha_256_plus, true,
     sqlstate::protocol_violation},
    {"p not offered", "p=tls-server-end-point,,n=,r=abc", "", false, sqlstate::protocol_violation},
    {"p of another type", "p=tls-unique,,n=,r=abc", "", true, sqlstate::protocol_violation},
    {"p of no type", "p,,n=,r=abc", "", true, sqlstate::protocol_violation},
    {"p of an empty type", "p=,,n=,r=abc", "", true, sqlstate::protocol_violation},
    {"p and no more", "p=tls-server-end-point", "", true, sqlstate::protocol_violation},
};

TEST(ScramServer, First) {
    for (const FirstCase& c : first_cases) {
        SCOPED_TRACE(c.name);
        ScramServer server(rfc_verifier(), c.offers_plus ? std::optional(binding) : std::nullopt);
        const auto challenge = server.first(c.message, c.mechanism);
        ASSERT_EQ(challenge.has_error(), c.refused.has_value());
        if (c.refused) {
            EXPECT_EQ(challenge.error().sqlstate, *c.refused);
            EXPECT_EQ(challenge.error().origin, Origin::client);
            EXPECT_TRUE(server.finish(rfc_client_final).has_error());
        }
    }
}

/// The client-final-message with one part replaced by another.
std::string altered(std::string_view part, std::string_view by) {
    std::string message(rfc_client_final);
    message.replace(message.find(part), part.size(), by);
    return message;
}

struct FinishCase {
    const char* name;
    std::string message;
    Sqlstate sqlstate;
};

const FinishCase finish_cases[] = {
    {"nothing", "", sqlstate::protocol_violation},
    {"too long", std::string(rfc_client_final) + std::string(1024, 'a'),
     sqlstate::protocol_violation},
    {"a NUL", std::string(rfc_client_final) + "\0"s, sqlstate::protocol_violation},
    {"no channel", altered("c=biws,", ""), sqlstate::protocol_violation},
    {"channel of y", altered("biws", "eSws"), sqlstate::protocol_violation},
    {"empty channel", altered("biws", ""), sqlstate::protocol_violation},
    {"our nonce left out", altered(rfc_server_nonce, ""), sqlstate::protocol_violation},
    {"another nonce", altered("%hv", "%hw"), sqlstate::protocol_violation},
    {"longer nonce", altered("k0,", "k00,"), sqlstate::protocol_violation},
    {"no nonce",
     "c=biws,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", sqlstate::protocol_violation},
    {"empty proof", altered("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", ""),
     sqlstate::protocol_violation},
    {"short proof", altered("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "dHzb"),
     sqlstate::protocol_violation},
    {"proof not base 64", altered("dHzb", "dH!b"), sqlstate::protocol_violation},
    {"something behind the proof", std::string(rfc_client_final) + ",x=1",
     sqlstate::protocol_violation},
    {"a comma behind the proof", std::string(rfc_client_final) + ",", sqlstate::protocol_violation},
    {"wrong proof", altered("dHzb", "dHzc"), sqlstate::invalid_password},
    {"extension the proof does not cover", altered(",p=", ",x=1,p="), sqlstate::invalid_password},
};

TEST(ScramServer, FinishRefuses) {
    for (const FinishCase& c : finish_cases) {
        SCOPED_TRACE(c.name);
        ScramServer server = rfc_server();
        ASSERT_TRUE(server.first(rfc_client_first).has_value());
        const auto final = server.finish(c.message);
        ASSERT_TRUE(final.has_error());
        EXPECT_EQ(final.error().sqlstate, c.sqlstate);
        EXPECT_EQ(server.client_key(), "");
    }
}

TEST(ScramServer, RefusesEveryPrefix) {
    for_each_prefix(rfc_client_final, [](Bytes prefix) {
        ScramServer server = rfc_server();
        ASSERT_TRUE(server.first(rfc_client_first).has_value());
        EXPECT_TRUE(server.finish(prefix).has_error());
    });
    for_each_prefix(rfc_client_first, [](Bytes prefix) {
        ScramServer server = rfc_server();
        const bool has_nonce = prefix.size() > "n,,n=user,r="sv.size();
        EXPECT_EQ(server.first(prefix).has_value(), has_nonce);
    });
}

TEST(ScramServer, EachStepOnce) {
    ScramServer server = rfc_server();
    EXPECT_TRUE(server.finish(rfc_client_final).has_error());
    ASSERT_TRUE(server.first(rfc_client_first).has_value());
    EXPECT_TRUE(server.first(rfc_client_first).has_error());
    ASSERT_TRUE(server.finish(rfc_client_final).has_value());
    EXPECT_TRUE(server.finish(rfc_client_final).has_error());
}

struct ServerFirstCase {
    const char* name;
    std::string message;
    bool good;
};

const ServerFirstCase server_first_cases[] = {
    {"good", "r=abcXYZ,s=c2FsdA==,i=1", true},
    {"extensions are ignored", "r=abcXYZ,s=c2FsdA==,i=1,x=y", true},
    {"at the cap", "r=abcXYZ,s=c2FsdA==,i=1000000", true},
    {"above the cap", "r=abcXYZ,s=c2FsdA==,i=1000001", false},
    {"two billion", "r=abcXYZ,s=c2FsdA==,i=2000000000", false},
    {"more than an int", "r=abcXYZ,s=c2FsdA==,i=99999999999", false},
    {"none", "r=abcXYZ,s=c2FsdA==,i=0", false},
    {"negative", "r=abcXYZ,s=c2FsdA==,i=-1", false},
    {"no number", "r=abcXYZ,s=c2FsdA==,i=", false},
    {"number with a tail", "r=abcXYZ,s=c2FsdA==,i=1x", false},
    {"our nonce alone", "r=abc,s=c2FsdA==,i=1", false},
    {"another nonce", "r=abXYZ,s=c2FsdA==,i=1", false},
    {"unprintable nonce", "r=abc\1,s=c2FsdA==,i=1", false},
    {"huge nonce", "r=abc" + std::string(2000, 'x') + ",s=c2FsdA==,i=1", false},
    {"empty salt", "r=abcXYZ,s=,i=1", false},
    {"salt not base 64", "r=abcXYZ,s=c2FsdA,i=1", false},
    {"no salt", "r=abcXYZ,i=1", false},
    {"mandatory extension", "m=x,r=abcXYZ,s=c2FsdA==,i=1", false},
    {"trailing comma", "r=abcXYZ,s=c2FsdA==,i=1,", false},
    {"an error", "e=unknown-user", false},
    {"a NUL", "r=abcXYZ,s=c2FsdA==,i=1\0"s, false},
    {"nothing", "", false},
};

TEST(ScramClient, Challenges) {
    for (const ServerFirstCase& c : server_first_cases) {
        SCOPED_TRACE(c.name);
        ScramClient client;
        client.first("abc");
        const auto cost = client.cost_of(c.message);
        ASSERT_EQ(cost.has_value(), c.good);
        if (c.good) {
            EXPECT_EQ(cost->salt, "salt");
        } else {
            EXPECT_EQ(cost.error().origin, Origin::server);
            EXPECT_EQ(cost.error().sqlstate, sqlstate::protocol_violation);
        }
    }
}

TEST(ScramClient, RefusesEveryPrefix) {
    for_each_prefix(rfc_server_first, [](Bytes prefix) {
        ScramClient client;
        client.first(std::string(rfc_client_nonce), "user");
        const bool has_digit =
            prefix.ends_with("=4") || prefix.ends_with("=40") || prefix.ends_with("=409");
        EXPECT_EQ(client.cost_of(prefix).has_value(), has_digit);
    });
    ScramClient client = rfc_client();
    ASSERT_TRUE(client.finish(rfc_server_first).has_value());
    for_each_prefix(rfc_server_final,
                    [&](Bytes prefix) { EXPECT_TRUE(client.verify(prefix).has_error()); });
}

TEST(ScramClient, TrustsOnlyTheRightSignature) {
    ScramClient client = rfc_client();
    EXPECT_TRUE(client.verify(rfc_server_final).has_error()) << "before the proof was sent";
    ASSERT_TRUE(client.finish(rfc_server_first).has_value());
    for (const std::string_view wrong :
         {"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "v=", "v=AAAA", "",
          "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=,", "e=invalid-proof", "r=x"}) {
        const auto verified = client.verify(wrong);
        ASSERT_TRUE(verified.has_error()) << wrong;
        EXPECT_EQ(verified.error().origin, Origin::server);
    }
    EXPECT_EQ(client.verify("e=invalid-proof").error().message,
              "error received from server in SCRAM exchange: invalid-proof");
    EXPECT_TRUE(client.verify(rfc_server_final).has_value());
}

TEST(ScramSecret, RoundTrips) {
    const std::string secret = format_scram_secret(rfc_verifier());
    EXPECT_EQ(secret, "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                      "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
                      "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
    const auto verifier = parse_scram_secret(secret);
    ASSERT_TRUE(verifier.has_value());
    EXPECT_EQ(verifier->iterations, 4096);
    EXPECT_EQ(verifier->salt, salt);
    EXPECT_EQ(verifier->stored_key, rfc_verifier().stored_key);
    EXPECT_EQ(verifier->server_key, rfc_verifier().server_key);
    for_each_prefix(secret,
                    [](Bytes prefix) { EXPECT_EQ(parse_scram_secret(prefix), std::nullopt); });
    EXPECT_FALSE(parse_scram_secret(secret + "="));
    EXPECT_FALSE(parse_scram_secret(secret + ":"));
}

TEST(ScramSecret, RefusesWrongParts) {
    const std::string good = format_scram_secret(rfc_verifier());
    const std::pair<std::string_view, std::string_view> swaps[] = {
        {"SHA-256", "SHA-1"}, {"4096", "0"},    {"4096", "-4096"},
        {"4096", "x"},        {"4096:", ""},    {"W22ZaJ0SNY7soEsUEjb6gQ==", ""},
        {"$WG5d", "$"},       {"gQ==$", "gQ$"}, {"qY=:", "qY=$"},
        {"$4096", ":4096"},
    };
    for (const auto& [part, by] : swaps) {
        SCOPED_TRACE(part);
        std::string secret = good;
        secret.replace(secret.find(part), part.size(), by);
        EXPECT_FALSE(parse_scram_secret(secret));
    }
}

TEST(ScramSecret, UnknownUsersLookKnown) {
    const ScramVerifier mock = mock_verifier("bob", "process secret", 4096);
    const ScramVerifier again = mock_verifier("bob", "process secret", 4096);
    EXPECT_EQ(format_scram_secret(mock), format_scram_secret(again));
    EXPECT_NE(mock.salt, mock_verifier("carol", "process secret", 4096).salt);
    EXPECT_NE(mock.salt, mock_verifier("bob", "another secret", 4096).salt);
    EXPECT_EQ(mock.salt.size(), salt.size());
    EXPECT_EQ(mock.iterations, 4096);
    EXPECT_TRUE(parse_scram_secret(format_scram_secret(mock)));
}

TEST(ScramSecret, PasswordsArePrepared) {
    EXPECT_EQ(make_verifier("I\u00ADX\u00AA", salt, 1).stored_key,
              make_verifier("IXa", salt, 1).stored_key);
}

}  // namespace
}  // namespace pgweir::protocol

// SCRAM in both roles against whoever says anything. The input is the messages that come, in lines;
// "\r" in front of one stands for what an honest peer would say, with the rest put behind it.
// Nobody gets in, and no server is believed, without having proved that it knows the password.
#include "protocol/scram.hpp"

#include "tests/fuzz/targets.hpp"

namespace pgweir::fuzz {

namespace {

constexpr std::string_view password = "secret";
constexpr int iterations = 2;

std::string_view next_line(std::string_view& input) {
    const std::string_view line = input.substr(0, input.find('\n'));
    input.remove_prefix(std::min(input.size(), line.size() + 1));
    return line;
}

/// What is said: the honest words where the line begins with "\r".
std::string said(std::string_view line, const std::string& honest) {
    if (!line.starts_with('\r')) return std::string(line);
    return honest + std::string(line.substr(1));
}

const protocol::ScramVerifier& verifier() {
    static const auto made = protocol::make_verifier(password, "salt", iterations);
    return made;
}

const std::string& salted() {
    static const auto made = protocol::ScramClient::salted_password(password, "salt", iterations);
    return made;
}

/// A client that says what the input says.
void serve(std::string_view input, bool plus, bool doomed) {
    std::optional<protocol::ChannelBinding> binding;
    if (plus) binding = {"tls-server-end-point", "certificate"};
    protocol::ScramServer server(verifier(), binding, doomed, "servernonce");
    protocol::ScramClient honest;
    if (plus) honest.bind(*binding, true);
    const std::string honest_first = honest.first("clientnonce");
    const std::string first = said(next_line(input), honest_first);
    const auto challenge = server.first(first, plus ? protocol::scram_sha_256_plus : "");
    require(server.client_key().empty());
    if (challenge.has_error()) return;
    require(challenge->size() <= 2 * protocol::scram_message_size_max);
    std::string honest_final;
    if (first == honest_first) {
        honest.use(salted());
        const auto proof = honest.finish(*challenge);
        require(proof.has_value());
        honest_final = *proof;
    }
    const std::string final = said(next_line(input), honest_final);
    const auto outcome = server.finish(final);
    if (outcome.has_error()) return require(server.client_key().empty());
    require(!doomed && final == honest_final && honest.verify(*outcome).has_value());
}

/// A server that says what the input says.
void log_in(std::string_view input, bool plus) {
    std::optional<protocol::ChannelBinding> binding;
    if (plus) binding = {"tls-server-end-point", "certificate"};
    protocol::ScramClient client;
    if (plus) client.bind(*binding, true);
    protocol::ScramServer honest(verifier(), binding, false, "servernonce");
    const auto honest_first = honest.first(client.first("clientnonce"));
    require(honest_first.has_value());
    const std::string first = said(next_line(input), *honest_first);
    if (client.cost_of(first, 1000).has_error()) return;
    client.use(salted());
    const auto proof = client.finish(first);
    if (proof.has_error()) return;
    std::string honest_final;
    if (first == *honest_first) {
        const auto outcome = honest.finish(*proof);
        require(outcome.has_value());
        honest_final = *outcome;
    }
    const std::string final = said(next_line(input), honest_final);
    if (client.verify(final).has_error()) return;
    require(!honest_final.empty() && final.starts_with(honest_final));
}

}  // namespace

void scram(std::string_view input) {
    if (input.empty()) return;
    const char how = input.front();
    input.remove_prefix(1);
    if (how & 1) {
        serve(input, (how & 2) != 0, (how & 4) != 0);
    } else {
        log_in(input, (how & 2) != 0);
    }
    const auto secret = protocol::parse_scram_secret(input);
    if (secret)
        require(protocol::parse_scram_secret(protocol::format_scram_secret(*secret)).has_value());
}

}  // namespace pgweir::fuzz

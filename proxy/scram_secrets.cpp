#include "proxy/scram_secrets.hpp"

#include "protocol/secret.hpp"

namespace pgweir::proxy {

ScramSecrets::ScramSecrets() : process_secret_(protocol::random_bytes(32)) {}

net::Task<protocol::ScramVerifier> ScramSecrets::verifier(pool::Worker& worker, std::string user,
                                                          protocol::Secret secret) {
    const int iterations = worker.config->settings.scram_iterations;
    switch (protocol::kind_of_secret(secret)) {
        case protocol::SecretKind::scram:
            if (const auto parsed = protocol::parse_scram_secret(secret)) co_return *parsed;
            break;
        case protocol::SecretKind::plain: {
            const std::string hash = protocol::hmac(process_secret_, secret);
            {
                const std::lock_guard lock(mutex_);
                const auto known = derived_.find(user);
                if (known != derived_.end() && known->second.of_secret == hash &&
                    known->second.iterations == iterations) {
                    co_return known->second.verifier;
                }
            }
            constexpr int salt_size = 16;
            auto derive = [secret, salt = protocol::random_bytes(salt_size), iterations] {
                return protocol::make_verifier(secret, salt, iterations);
            };
            const auto verifier = co_await worker.shared.offload.run<protocol::ScramVerifier>(
                worker.loop, std::move(derive));
            const std::lock_guard lock(mutex_);
            derived_[user] = {hash, iterations, verifier};
            co_return verifier;
        }
        default: break;
    }
    co_return protocol::mock_verifier(user, process_secret_, iterations);
}

}  // namespace pgweir::proxy

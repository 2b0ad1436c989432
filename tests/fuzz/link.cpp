// Both directions of a link: rules for clients, rules for servers, and the pipeline between them.
// The first byte says how the pool is; then the input is cut into chunks, each from the client or
// from the server, at the word of its first byte. Whatever they say, no more is taken than was
// given, what is empty is settled, and no statement is kept by nobody.
#include "proxy/frontend.hpp"
#include "tests/fuzz/targets.hpp"

namespace pgweir::fuzz {

namespace {

/// One side's bytes: what was not taken before comes first.
struct Side {
    std::string rest;

    template <class Take>
    bool feed(std::string_view chunk, Take take) {
        rest += chunk;
        const auto taken = take(protocol::Bytes(rest));
        if (!taken) return false;
        require(*taken <= rest.size());
        rest.erase(0, *taken);
        return true;
    }
};

}  // namespace

void link(std::string_view input) {
    if (input.empty()) return;
    const char how = input.front();
    input.remove_prefix(1);
    protocol::StatementTable table;
    {
        proxy::RequestRules rules;
        rules.server_max = how & 1 ? 0 : 3;
        rules.cache_unnamed = (how & 2) != 0;
        rules.simple_query = (how & 4) == 0;
        rules.table = &table;
        proxy::Frontend frontend;
        pool::Backend backend;
        Side client, server;
        while (input.size() > 1) {
            const auto head = static_cast<unsigned char>(input.front());
            const std::string_view chunk = input.substr(1, head >> 1);
            input.remove_prefix(std::min<std::size_t>(input.size(), 1u + (head >> 1)));
            protocol::Segments out;
            const auto from_client = [&](protocol::Bytes bytes) -> std::optional<std::size_t> {
                const auto step = frontend.translate(bytes, rules, backend, out);
                if (step.has_error() || step->terminate) return {};
                backend.flush_fakes(out);
                return step->consumed;
            };
            const auto from_server = [&](protocol::Bytes bytes) -> std::optional<std::size_t> {
                const auto taken = backend.scan(bytes, out);
                if (taken.has_error()) return {};
                return *taken;
            };
            const bool alive =
                head & 1 ? client.feed(chunk, from_client) : server.feed(chunk, from_server);
            if (!backend.pipeline().undone().empty()) {
                frontend.statements().undo(backend.pipeline().undone());
                backend.pipeline().undone().clear();
            }
            require(!backend.settled() || backend.pipeline().empty());
            if (!alive) break;
        }
    }
    // Nobody holds a statement any more; unnamed ones are remembered in case they come again.
    const bool remembers = (how & 2) != 0;
    require(remembers || table.size() == 0);
}

}  // namespace pgweir::fuzz

// Both directions of a link: the input is cut into chunks, each from the client or from the server,
// at the word of its first byte. Whatever they say, no more is taken than was given, and nobody
// crashes.
#include <cassert>

#include "proxy/frontend.hpp"

using namespace pgweir;

namespace {

/// One side's bytes: what was not taken before comes first.
struct Side {
    std::string rest;

    template <class Take>
    bool feed(std::string_view chunk, Take take) {
        rest += chunk;
        const auto taken = take(protocol::Bytes(rest));
        if (!taken) return false;
        assert(*taken <= rest.size());
        rest.erase(0, *taken);
        return true;
    }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* raw, std::size_t size) {
    const char* const data = reinterpret_cast<const char*>(raw);
    protocol::StatementTable table;
    {
        proxy::RequestRules rules;
        rules.server_max = 3;
        rules.table = &table;
        proxy::Frontend frontend;
        pool::Backend backend;
        Side client, server;
        std::string_view input(data, size);
        while (input.size() > 1) {
            const auto head = static_cast<unsigned char>(input.front());
            const std::string_view chunk = input.substr(1, head >> 1);
            input.remove_prefix(std::min<std::size_t>(input.size(), 1u + (head >> 1)));
            protocol::Segments out;
            const bool alive =
                head & 1
                    ? client.feed(chunk,
                                  [&](protocol::Bytes bytes) -> std::optional<std::size_t> {
                                      const auto step =
                                          frontend.translate(bytes, rules, backend, out);
                                      if (step.has_error() || step->terminate) return {};
                                      return step->consumed;
                                  })
                    : server.feed(chunk, [&](protocol::Bytes bytes) -> std::optional<std::size_t> {
                          const auto taken = backend.scan(bytes, out);
                          if (taken.has_error()) return {};
                          return *taken;
                      });
            if (!backend.pipeline().undone().empty())
                frontend.statements().undo(backend.pipeline().undone());
            if (!alive) break;
        }
    }
    assert(table.size() == 0);  // nobody holds a statement any more
    return 0;
}

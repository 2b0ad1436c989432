// The first bytes from a load balancer: a PROXY header takes no more than there is, and what is
// there decides it, not how it was cut.
#include "pool/net/proxy_header.hpp"

#include "tests/fuzz/targets.hpp"

namespace pgweir::fuzz {

void proxy_header(std::string_view input) {
    const auto header = net::read_proxy_header(input);
    if (header.has_error() || !*header) return;
    const std::size_t size = (*header)->size;
    require(size <= input.size() && size <= net::proxy_header_size_max);
    require(!(*header)->source || !(*header)->source->is_unix());
    const auto alone = net::read_proxy_header(input.substr(0, size));
    require(alone.has_value() && *alone && (*alone)->size == size);
    const auto part = net::read_proxy_header(input.substr(0, size - 1));
    require(part.has_value() && !*part);
}

}  // namespace pgweir::fuzz

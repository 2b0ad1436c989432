// The first bytes from a load balancer: a PROXY header takes no more than there is, and what is
// there decides it, not how it was cut.
#include <cstdlib>
#include <string_view>

#include "pool/net/proxy_header.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* raw, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(raw), size);
    const auto header = pgweir::net::read_proxy_header(bytes);
    if (header.has_error() || !*header) return 0;
    if ((*header)->size > size || (*header)->size > pgweir::net::proxy_header_size_max)
        std::abort();
    if ((*header)->source && (*header)->source->is_unix()) std::abort();
    const auto alone = pgweir::net::read_proxy_header(bytes.substr(0, (*header)->size));
    if (alone.has_error() || !*alone || (*alone)->size != (*header)->size) std::abort();
    const auto part = pgweir::net::read_proxy_header(bytes.substr(0, (*header)->size - 1));
    if (part.has_error() || *part) std::abort();
    return 0;
}

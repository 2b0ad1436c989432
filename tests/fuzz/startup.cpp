// The first bytes of a stranger: start-up, SSL, GSS and cancel packets.
#include <cassert>

#include "protocol/startup.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* raw, std::size_t size) {
    const char* const data = reinterpret_cast<const char*>(raw);
    const std::string_view bytes(data, size);
    const auto cut = pgweir::protocol::first_packet(bytes);
    if (cut.has_value() && *cut) assert((*cut)->size <= size);
    return 0;
}

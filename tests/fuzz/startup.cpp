// The first bytes of a stranger: start-up, SSL, GSS and cancel packets. What is there decides, not
// how it was cut, and what is written is read again.
#include "protocol/startup.hpp"

#include "tests/fuzz/targets.hpp"

namespace pgweir::fuzz {

void startup(std::string_view input) {
    const auto cut = protocol::first_packet(input);
    if (cut.has_error() || !*cut) return;
    const std::size_t size = (*cut)->size;
    require(size > 0 && size <= input.size() && size <= protocol::startup_size_max);
    const auto alone = protocol::first_packet(input.substr(0, size));
    require(alone.has_value() && *alone && (*alone)->size == size);
    const auto part = protocol::first_packet(input.substr(0, size - 1));
    require(part.has_value() && !*part);

    const auto* const packet = std::get_if<protocol::StartupPacket>(&(*cut)->packet);
    if (!packet) return;
    const std::string* const user = packet->find("user");
    require(user && !user->empty());
    std::string again;
    protocol::write_startup(again, packet->version, packet->parameters);
    const auto read = protocol::first_packet(again);
    require(read.has_value() && *read);
    require(std::get<protocol::StartupPacket>((*read)->packet).parameters == packet->parameters);
}

}  // namespace pgweir::fuzz

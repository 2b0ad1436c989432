// What another process says of a client that it hands over.
#include "proxy/handed_client.hpp"

#include "tests/fuzz/targets.hpp"

namespace pgweir::fuzz {

void handed_client(std::string_view input) {
    const auto client = proxy::decode_handed_client(input);
    if (client.has_error()) return;
    const std::string bytes = proxy::encode(*client);
    const auto again = proxy::decode_handed_client(bytes);
    require(again.has_value() && proxy::encode(*again) == bytes);
}

}  // namespace pgweir::fuzz

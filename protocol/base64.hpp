// Base 64 as SCRAM needs it: padded, on one line, nothing else let through.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "protocol/bytes.hpp"

namespace pgweir::protocol {

std::string base64_encode(Bytes bytes);

/// nullopt unless `text` is what base64_encode() gives for some bytes: no white space, whole
/// padding, no stray bits. Source: RFC 4648, section 4.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace pgweir::protocol

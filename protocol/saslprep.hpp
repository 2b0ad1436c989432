// SASLprep: one spelling for passwords that look the same.
#pragma once

#include <string>
#include <string_view>

namespace pgweir::protocol {

/// Prepares a password as PostgreSQL does before SCRAM: one that is not UTF-8 or that SASLprep
/// prohibits is used as it is, and so is an ASCII one.
/// Source: RFC 4013, RFC 3454.
std::string saslprep(std::string_view password);

}  // namespace pgweir::protocol

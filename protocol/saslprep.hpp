// SASLprep: one spelling for passwords that look the same.
#pragma once

#include <string>
#include <string_view>

namespace pgweir::protocol {

/// Prepares a password as PostgreSQL does before SCRAM: one that is not UTF-8 or that SASLprep
/// prohibits is used as it is, and so is an ASCII one.
///
/// Not the whole of RFC 4013, for want of its large tables. The result is other than PostgreSQL's
/// only for a password that has
///   - characters that NFKC changes, other than those of Latin-1, full-width ASCII, Latin
///     ligatures, raised and lowered digits and a few symbols (listed in saslprep.cpp): the rest,
///     combining accents among them, stay as typed;
///   - a character that is mapped (a soft hyphen, an unusual space) together with one below
///     U+1D800 that Unicode 3.2 had not assigned, or with right-to-left letters around some rare
///     left-to-right ones: it is mapped, where PostgreSQL takes the whole password as it is.
/// Source: RFC 4013, RFC 3454.
std::string saslprep(std::string_view password);

}  // namespace pgweir::protocol

#include "protocol/saslprep.hpp"

#include <algorithm>
#include <cstdlib>
#include <memory>

#include <stringprep.h>

namespace pgweir::protocol {

std::string saslprep(std::string_view password) {
    std::string typed(password);
    const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
    if (std::ranges::all_of(password, is_ascii) || typed.find('\0') != std::string::npos)
        return typed;

    // PostgreSQL looks for what is prohibited before it normalizes; it makes a difference to these.
    for (const char* const tone : {"\u0340", "\u0341"}) {
        if (typed.find(tone) != std::string::npos) return typed;
    }
    // For PostgreSQL a password is stored text: what Unicode 3.2 had not assigned is prohibited.
    char* made = nullptr;
    const int result =
        stringprep_profile(typed.c_str(), &made, "SASLprep", STRINGPREP_NO_UNASSIGNED);
    const std::unique_ptr<char, decltype(&std::free)> prepared(made, std::free);
    if (result != STRINGPREP_OK || *made == '\0') return typed;
    return prepared.get();
}

}  // namespace pgweir::protocol

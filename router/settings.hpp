// Names of variables, and the arguments of set_config() and current_setting().
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "router/lexer.hpp"
#include "router/traces.hpp"

namespace pgweir::router {

/// What a call says of the variable. Borrowed from the text.
struct SettingCall {
    enum class Name : std::uint8_t { literal, parameter, null, computed };
    Name kind = Name::computed;
    std::string_view name;   // of a literal
    unsigned parameter = 0;  // of a parameter: 1 for $1
    bool local = false;      // the third argument is a plain true: until the transaction is over
};

/// `arguments` stands behind the opening parenthesis.
SettingCall read_setting_call(Lexer arguments);

/// What setting the variable of this name leaves.
Traces traces_of_variable(std::string_view name);
/// In lower case, but for `TimeZone`.
std::string variable_name(std::string_view name);

}  // namespace pgweir::router

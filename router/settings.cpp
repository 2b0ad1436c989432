#include "router/settings.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>

namespace pgweir::router {

namespace {

// A call with longer arguments is taken not to be local; calls may stand within calls.
constexpr int tokens_max = 64;

/// A string without quotes inside.
bool is_plain_string(const Token& token) {
    return token.kind == TokenKind::string && token.text().find('\'', 1) == token.size - 1u;
}

std::string_view content(const Token& plain_string) {
    return plain_string.text().substr(1, plain_string.size - 2);
}

bool is_true(const Token& token) {
    if (!is_plain_string(token)) return is_word(token, "true");
    return is_folded(content(token), "true") || is_folded(content(token), "t");
}

/// What comes behind an argument, and behind a cast to what it is anyway, which PostgreSQL writes
/// into the text of a function whose body is no string.
Token next_but_text(Lexer& arguments) {
    const Token token = arguments.next();
    if (token.text() != "::") return token;
    Lexer behind = arguments;
    if (!is_word(behind.next(), "text")) return token;
    arguments = behind;
    return arguments.next();
}

void read_name(const Token& token, SettingCall& call) {
    if (is_plain_string(token)) {
        call.kind = SettingCall::Name::literal;
        call.name = content(token);
    } else if (is_word(token, "null")) {
        call.kind = SettingCall::Name::null;
    } else if (token.kind == TokenKind::parameter) {
        const std::string_view digits = token.text().substr(1);
        const char* const end = digits.data() + digits.size();
        const auto read = std::from_chars(digits.data(), end, call.parameter);
        const bool whole = read.ec == std::errc() && read.ptr == end && call.parameter > 0;
        if (whole) call.kind = SettingCall::Name::parameter;
    }
}

}  // namespace

Traces traces_of_variable(std::string_view name) {
    if (is_folded(name, "seed")) return trace::random_seed;  // neither read nor set again
    constexpr std::string_view transactions[] = {"transaction_isolation", "transaction_read_only",
                                                 "transaction_deferrable"};
    const bool passes = std::any_of(std::begin(transactions), std::end(transactions),
                                    [name](auto lower) { return is_folded(name, lower); });
    return passes ? trace::local : trace::variables;
}

std::string variable_name(std::string_view name) {
    std::string lower = folded(name);
    return lower == "timezone" ? "TimeZone" : lower;
}

Traces add_variable(Details& details, std::string_view name) {
    const Traces leaves = traces_of_variable(name);
    if (leaves != trace::variables) return leaves;
    const auto add = [&names = details.variables](const std::string& lower) {
        if (std::find(names.begin(), names.end(), lower) == names.end()) names.push_back(lower);
    };
    const std::string lower = variable_name(name);
    add(lower);
    if (lower == "session_authorization") add("role");  // whoever becomes another user loses it
    return leaves;
}

SettingCall read_setting_call(Lexer arguments) {
    SettingCall call;
    const Token first = arguments.next();
    Token token = next_but_text(arguments);
    if (token.is(',') || token.is(')')) read_name(first, call);
    int depth = first.is('(') ? 1 : 0;
    int commas = 0, third_size = 0;
    Token third;
    for (int count = 0; count < tokens_max; ++count, token = arguments.next()) {
        if (token.kind == TokenKind::end) return call;
        if (token.is('(')) ++depth;
        if (token.is(')') && depth-- == 0) {
            call.local = commas == 2 && third_size == 1 && is_true(third);
            return call;
        }
        if (depth == 0 && token.is(',')) {
            ++commas;
        } else if (commas == 2) {
            third = token;
            ++third_size;
        }
    }
    return call;
}

}  // namespace pgweir::router

#include "proxy/admin/grammar.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "protocol/ascii.hpp"
#include "protocol/vars.hpp"
#include "proxy/explain_route.hpp"

namespace pgweir::proxy::admin {

namespace {

constexpr std::size_t verb_max = 15, argument_max = 63, value_max = 255;  // bytes
constexpr std::size_t shown_max = 900;  // bytes of a text repeated in an error

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool is_word(char c) {
    const char letter = protocol::folded(c);
    return (letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

struct Word {
    std::string text;      // unquoted
    std::size_t size = 0;  // as written
};

class Scanner {
public:
    explicit Scanner(std::string_view text) : rest_(text) {}

    /// Skips blanks; false when there are none.
    bool blanks() {
        const std::size_t before = rest_.size();
        while (!rest_.empty() && is_blank(rest_.front())) rest_.remove_prefix(1);
        return rest_.size() < before;
    }
    bool take(char c) {
        if (!rest_.starts_with(c)) return false;
        rest_.remove_prefix(1);
        return true;
    }
    std::optional<Word> word() {
        if (rest_.starts_with('"')) return quoted('"');
        const auto end = std::find_if_not(rest_.begin(), rest_.end(), is_word);
        const auto size = static_cast<std::size_t>(end - rest_.begin());
        if (size == 0) return std::nullopt;
        Word word{std::string(rest_.substr(0, size)), size};
        rest_.remove_prefix(size);
        return word;
    }
    std::optional<Word> value() { return rest_.starts_with('\'') ? quoted('\'') : word(); }
    /// What an address is written with, or a value.
    std::optional<Word> address() {
        if (rest_.starts_with('\'') || rest_.starts_with('"')) return value();
        const std::size_t size = std::min(rest_.find_first_of(" \t\n\r;'\""), rest_.size());
        if (size == 0) return std::nullopt;
        Word word{std::string(rest_.substr(0, size)), size};
        rest_.remove_prefix(size);
        return word;
    }
    /// Blanks, one semicolon if there is one, blanks, and nothing more.
    bool end() {
        blanks();
        if (take(';')) blanks();
        return rest_.empty();
    }

private:
    std::optional<Word> quoted(char quote) {
        Word word;
        for (std::size_t i = 1; i < rest_.size(); ++i) {
            if (rest_[i] == quote) {
                if (i + 1 == rest_.size() || rest_[i + 1] != quote) {
                    word.size = i + 1;
                    rest_.remove_prefix(word.size);
                    return word;
                }
                ++i;
            }
            word.text += rest_[i];
        }
        return std::nullopt;
    }

    std::string_view rest_;
};

/// nullopt: it is not of the form `SET key = value`.
std::optional<protocol::Result<Command>> parse_set(std::string_view text) {
    Scanner scanner(text);
    scanner.blanks();
    const auto verb = scanner.word();
    if (!verb || verb->size != 3 || !protocol::same_name(verb->text, "set")) return std::nullopt;
    if (!scanner.blanks()) return std::nullopt;
    const auto key = scanner.word();
    if (!key) return std::nullopt;
    scanner.blanks();
    if (!scanner.take('=')) {
        const auto to = scanner.word();
        if (!to || to->size != 2 || !protocol::same_name(to->text, "to")) return std::nullopt;
    }
    scanner.blanks();
    const auto value = scanner.value();
    if (!value || !scanner.end()) return std::nullopt;
    if (key->size > argument_max || value->size > value_max || key->text.empty()) {
        return refusal("bad arguments");
    }
    return Command{.verb = "set", .argument = {}, .key = key->text, .value = value->text};
}

/// nullopt: it is not of the form `NODE act host:port`.
std::optional<Command> parse_node(std::string_view text) {
    Scanner scanner(text);
    scanner.blanks();
    const auto verb = scanner.word();
    if (!verb || !protocol::same_name(verb->text, "node") || !scanner.blanks()) return std::nullopt;
    const auto act = scanner.word();
    if (!act || act->size > verb_max || !scanner.blanks()) return std::nullopt;
    const auto address = scanner.address();
    if (!address || !scanner.end() || address->size > value_max) return std::nullopt;
    return Command{
        .verb = "node", .argument = {}, .key = protocol::folded(act->text), .value = address->text};
}

}  // namespace

protocol::Error refusal(std::string message) {
    return protocol::protocol_violation(protocol::Origin::client, std::move(message));
}

protocol::Error invalid_command(std::string_view text) {
    return refusal(fmt::format("invalid command '{}', use SHOW HELP;", text.substr(0, shown_max)));
}

protocol::Result<Command> parse_command(std::string_view text) {
    if (const auto set = parse_set(text)) return *set;
    if (auto act = parse_node(text)) return *std::move(act);
    if (const auto sql = explained(text)) {
        return Command{
            .verb = "explain", .argument = {}, .key = "route", .value = std::string(*sql)};
    }
    Scanner scanner(text);
    scanner.blanks();
    const auto verb = scanner.word();
    if (!verb) return invalid_command(text);
    std::optional<Word> argument;
    if (scanner.blanks()) argument = scanner.word();
    if (!scanner.end()) return invalid_command(text);
    if (verb->size > verb_max || (argument && argument->size > argument_max)) {
        return refusal("bad arguments");
    }
    Command command;
    command.verb = protocol::folded(verb->text);
    if (command.verb == "select") command.verb = "show";
    if (argument) command.argument = argument->text;
    return command;
}

}  // namespace pgweir::proxy::admin

// The files of config/hba.hpp: one rule a line, words between blanks, lists between commas.
#include <algorithm>

#include <fmt/format.h>

#include "config/hba.hpp"
#include "config/native.hpp"
#include "config/units.hpp"

namespace pgweir::config {

namespace {

constexpr int name_file_depth_max = 10;  // @files inside @files
constexpr std::size_t name_files_max = 1000;

struct Token {
    enum class Kind : std::uint8_t { word, quoted, comma };
    Kind kind;
    std::string text;
    std::size_t start;  // in the line

    bool is(std::string_view keyword) const { return kind == Kind::word && text == keyword; }
};

protocol::Error broken(std::string text) {
    return {protocol::sqlstate::config_file_error, protocol::Origin::proxy, std::move(text)};
}

bool ends_word(char c) {
    return c == ',' || c == '#' || c == '"' || c == ' ' || c == '\t' || c == '\r' || c == '\v' ||
           c == '\f';
}

/// The tokens of a line up to its comment. Errors F0000: a quote is not closed.
Result<std::vector<Token>> tokens_of(std::string_view line) {
    std::vector<Token> tokens;
    for (std::size_t i = 0; i < line.size() && line[i] != '#';) {
        const char c = line[i];
        if (c == ',') {
            tokens.push_back({Token::Kind::comma, ",", i++});
        } else if (c == '"') {
            std::string_view rest = line.substr(i);
            auto text = cut_quoted(rest);
            if (!text) return broken("expected a closing quote");
            tokens.push_back({Token::Kind::quoted, *std::move(text), i});
            i = line.size() - rest.size();
        } else if (ends_word(c)) {
            ++i;
        } else {
            const std::size_t start = i;
            while (i < line.size() && !ends_word(line[i])) ++i;
            tokens.push_back(
                {Token::Kind::word, std::string(line.substr(start, i - start)), start});
        }
    }
    return tokens;
}

/// Calls `read(line, number)` for each line.
template <class Read>
void each_line(std::string_view text, const Read& read) {
    for (int number = 1; !text.empty(); ++number) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        read(text.substr(0, end), number);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

/// Reads the fields of one line from left to right.
class LineReader {
public:
    LineReader(std::vector<Token> tokens, const std::string& file, const ReadFile& read)
        : tokens_(std::move(tokens)),
          file_(file),
          read_(read) {}

    bool done() const { return next_ >= tokens_.size(); }
    /// The next token; only when not done.
    const Token& take() { return tokens_[next_++]; }
    const Token& peek() const { return tokens_[next_]; }

    Result<void> names(HbaNames& names, bool databases) {
        do {
            if (done() || peek().kind == Token::Kind::comma) return broken("expected a name");
            if (auto read = name(take(), names, databases, file_, 0); read.has_error()) {
                return read;
            }
        } while (!done() && peek().kind == Token::Kind::comma && (take(), true));
        return {};
    }

private:
    Result<void> name(const Token& token, HbaNames& names, bool databases, const std::string& file,
                      int depth) {
        if (token.is("all")) {
            names.all = true;
        } else if (databases && token.is("sameuser")) {
            names.sameuser = true;
        } else if (databases && token.is("replication")) {
            names.replication = true;
        } else if (databases && (token.is("samerole") || token.is("samegroup"))) {
            return broken(token.text + " is not supported");
        } else if (token.kind == Token::Kind::word && token.text.starts_with('+')) {
            return broken("roles with + are not supported");
        } else if (token.kind == Token::Kind::word && token.text.starts_with('@')) {
            return name_file(beside(file, token.text.substr(1)), names, databases, depth + 1);
        } else {
            names.names.insert(token.text);
        }
        return {};
    }

    Result<void> name_file(const std::string& path, HbaNames& names, bool databases, int depth) {
        if (depth > name_file_depth_max || ++name_files_ > name_files_max) {
            return broken("too many files of names in each other");
        }
        const auto text = read_(path);
        if (text.has_error() || !*text) return broken(fmt::format("cannot read \"{}\"", path));
        Result<void> result;
        each_line(**text, [&](std::string_view line, int) {
            const auto tokens = tokens_of(line);
            if (tokens.has_error()) result = tokens.error();
            if (result.has_error()) return;
            for (const Token& token : *tokens) {
                if (token.kind == Token::Kind::comma) continue;
                result = name(token, names, databases, path, depth);
                if (result.has_error()) return;
            }
        });
        return result;
    }

    std::vector<Token> tokens_;
    const std::string& file_;
    const ReadFile& read_;
    std::size_t next_ = 0;
    std::size_t name_files_ = 0;
};

/// "10.0.0.0/8", or an address with its mask as the next word.
Result<void> read_address(LineReader& line, HbaRule& rule) {
    if (line.done() || line.peek().kind != Token::Kind::word) {
        return broken("expected an address like 10.0.0.0/8");
    }
    const std::string text = line.take().text;
    rule.any_address = text == "all";
    if (rule.any_address) return {};
    const std::size_t slash = text.find('/');
    const auto address = parse_address(text.substr(0, slash));
    if (!address) return expected("an address like 10.0.0.0/8", text);
    rule.network.address = *address;
    if (slash != std::string::npos) {
        const auto mask = mask_of_bits(std::string_view(text).substr(slash + 1), address->v6);
        if (mask.has_error()) return mask.error();
        rule.network.mask = *mask;
        return {};
    }
    const auto mask = line.done() ? std::nullopt : parse_address(line.take().text);
    if (!mask || mask->v6 != address->v6) return broken("expected a mask after the address");
    rule.network.mask = mask->bytes;
    return {};
}

struct Method {
    std::string_view name;
    std::optional<AuthType> method;
};

constexpr Method methods[] = {
    {"trust", AuthType::trust}, {"reject", {}},
    {"md5", AuthType::md5},     {"password", AuthType::plain},
    {"cert", AuthType::cert},   {"scram-sha-256", AuthType::scram_sha_256},
    {"peer", AuthType::peer},   {"ldap", AuthType::ldap},
};

/// The method and, behind it, map=NAME or the options of ldap.
Result<void> read_method(LineReader& line, std::string_view text, HbaRule& rule) {
    if (line.done()) return broken("expected a method");
    const Token& token = line.take();
    const auto found = std::ranges::find(methods, token.text, &Method::name);
    if (found == std::end(methods) || token.kind != Token::Kind::word) {
        return expected("one of trust, reject, md5, password, scram-sha-256, cert, peer, ldap",
                        token.text);
    }
    rule.method = found->method;
    if (rule.method == AuthType::ldap) {
        rule.options = protocol::Secret(trim(text.substr(token.start + token.text.size())));
        return {};
    }
    const bool maps = rule.method == AuthType::cert || rule.method == AuthType::peer;
    constexpr std::string_view map = "map=";
    while (!line.done()) {
        const Token& option = line.take();
        if (!maps || !option.text.starts_with(map)) {
            return broken(fmt::format("unsupported option \"{}\"", option.text));
        }
        rule.map = option.text.substr(map.size());
        if (rule.map.empty() && !line.done()) rule.map = line.take().text;  // map="NAME"
    }
    return {};
}

constexpr Named<HbaType> type_names[] = {
    {"local", HbaType::local},
    {"host", HbaType::host},
    {"hostssl", HbaType::hostssl},
    {"hostnossl", HbaType::hostnossl},
};

Result<HbaRule> parse_rule(LineReader line, std::string_view text, int number) {
    HbaRule rule;
    rule.line = number;
    const Token& type = line.take();
    const auto found = std::ranges::find(type_names, type.text, &Named<HbaType>::name);
    if (found == std::end(type_names) || type.kind != Token::Kind::word) {
        return expected("one of local, host, hostssl, hostnossl", type.text);
    }
    rule.type = found->value;
    auto done = line.names(rule.databases, true);
    if (!done.has_error()) done = line.names(rule.users, false);
    if (!done.has_error() && rule.type != HbaType::local) done = read_address(line, rule);
    if (!done.has_error()) done = read_method(line, text, rule);
    if (done.has_error()) return done.error();
    return rule;
}

}  // namespace

std::vector<HbaRule> parse_hba(std::string_view text, const std::string& file, const ReadFile& read,
                               Findings& findings) {
    std::vector<HbaRule> rules;
    each_line(text, [&](std::string_view line, int number) {
        const Place at{file, number};
        auto tokens = tokens_of(line);
        if (tokens.has_value() && tokens->empty()) return;
        const Result<HbaRule> rule =
            tokens.has_error()
                ? tokens.error()
                : parse_rule(LineReader(*std::move(tokens), file, read), line, number);
        if (rule.has_error()) {
            findings.warning(at, "line is ignored: " + rule.error().message);
            return;
        }
        if (!rule->any_address && !rule->network.covers(rule->network.address)) {
            findings.warning(at, "the address has bits outside its mask: nobody matches");
        }
        rules.push_back(*rule);
    });
    return rules;
}

std::map<std::string, std::vector<IdentRule>, std::less<>> parse_ident(std::string_view text,
                                                                       const std::string& file,
                                                                       Findings& findings) {
    std::map<std::string, std::vector<IdentRule>, std::less<>> maps;
    each_line(text, [&](std::string_view line, int number) {
        const auto tokens = tokens_of(line);
        if (tokens.has_value() && tokens->empty()) return;
        const auto is_name = [](const Token& token) { return token.kind != Token::Kind::comma; };
        if (tokens.has_error() || tokens->size() != 3 || !std::ranges::all_of(*tokens, is_name)) {
            findings.warning({file, number},
                             "line is ignored: expected a map, a system user and a user");
            return;
        }
        const Token& user = (*tokens)[2];
        maps[(*tokens)[0].text].push_back({(*tokens)[1].text, user.text, user.is("all")});
    });
    return maps;
}

}  // namespace pgweir::config

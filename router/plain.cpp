#include "router/plain.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "router/lexer.hpp"
#include "router/words.hpp"

namespace pgweir::router {

namespace {

constexpr std::array<bool, 256> make_telling() {
    std::array<bool, 256> bytes{};
    for (const char c : std::string_view("(&;pPiI")) bytes[static_cast<std::size_t>(c)] = true;
    return bytes;
}

constexpr std::array<bool, 256> telling = make_telling();

constexpr std::size_t verb_size = 6;  // bytes, of each

/// A verb and the space behind it as a number; the eighth byte is none of it.
using Verb = std::uint64_t;

constexpr Verb verb(const char (&word)[verb_size + 1]) {
    std::array<char, sizeof(Verb)> bytes{};
    std::copy(word, word + verb_size, bytes.begin());
    bytes[verb_size] = ' ';
    return std::bit_cast<Verb>(bytes);
}

constexpr Verb select_verb = verb("select"), insert_verb = verb("insert"),
               update_verb = verb("update"), delete_verb = verb("delete");

/// Folded; at least eight bytes.
Verb verb_of(std::string_view sql) {
    constexpr Verb whole = std::bit_cast<Verb>(std::to_array("\xff\xff\xff\xff\xff\xff\xff"));
    constexpr Verb fold = std::bit_cast<Verb>(std::to_array("       "));
    Verb first;
    std::memcpy(&first, sql.data(), sizeof first);
    return (first & whole) | fold;
}

bool begins(std::string_view text, std::string_view lower) {
    return text.size() >= lower.size() && is_folded(text.substr(0, lower.size()), lower);
}

/// Sixteen bytes at a time: the compiler makes vector instructions of it where there are any.
using Block = unsigned char __attribute__((vector_size(16)));
constexpr std::size_t block_size = sizeof(Block);
constexpr std::size_t word_size = 3;  // bytes that are looked at of each word

Block load(const char* at) {
    Block block;
    std::memcpy(&block, at, block_size);
    return block;
}

Block all(char c) { return Block{} + static_cast<unsigned char>(c); }

/// May one of the sixteen places from here on be what is_plain() excludes? Reads two bytes more.
bool may_tell(const char* at) {
    const Block here = load(at), fold = all(' ');
    const Block first = here | fold, second = load(at + 1) | fold, third = load(at + 2) | fold;
    const auto punctuation = (here == all('(')) | (here == all('&')) | (here == all(';'));
    const auto ours = (first == all('p')) & (second == all('g')) &
                      ((third == all('w')) | (third == all('_' | ' ')));
    const auto into = (first == all('i')) & (second == all('n')) & (third == all('t'));
    const auto found = punctuation | ours | into;
    std::uint64_t halves[2];
    std::memcpy(halves, &found, sizeof found);
    return (halves[0] | halves[1]) != 0;
}

bool is_blank(char c) { return c == ' ' || c == '\t'; }

/// Letters, digits, _ and $.
bool is_in_name(char c) {
    const char lower = static_cast<char>(c | ' ');
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
           static_cast<unsigned char>(c) > 127;
}

std::string_view without_blanks(std::string_view text) {
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

/// A call of it, by this name alone, is not worth a word.
bool is_harmless(const Word& what, std::string_view name) {
    return what.traces == 0 && !is_folded(name, "current_setting");
}

/// May a parenthesis behind this text be one of a call? Looks at the text's last line only, where
/// a comment can end with a slash but not begin: all else that is seen there are tokens.
bool may_be_call(std::string_view text) {
    text = without_blanks(text);
    if (text.empty()) return true;
    if (!is_in_name(text.back())) return std::strchr(",(=<>+-*|%'", text.back()) == nullptr;
    std::size_t begin = text.size();
    while (begin > 0 && is_in_name(text[begin - 1])) --begin;
    const std::string_view name = text.substr(begin);
    text = without_blanks(text.substr(0, begin));
    if (text.empty() || text.back() < ' ' || text.back() == '.' || text.back() == '/') return true;
    const Word& what = word_of(name);
    if (what.own_function) return !is_harmless(what, name);
    return what.keyword != Keyword::reserved && what.keyword != Keyword::column_name;
}

void skip_blanks(std::string_view& text) {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
}

/// Goes behind a name and the blanks before and after it; without its quotes.
std::string_view cut_name(std::string_view& text) {
    skip_blanks(text);
    std::string_view name;
    if (text.starts_with('"')) {
        name = text.substr(1, text.find('"', 1) - 1);
        text.remove_prefix(std::min(text.size(), name.size() + 2));
    } else if (!text.starts_with('$')) {
        const auto end = std::find_if_not(text.begin(), text.end(), is_in_name);
        name = text.substr(0, static_cast<std::size_t>(end - text.begin()));
        text.remove_prefix(name.size());
    }
    skip_blanks(text);
    return name;
}

constexpr std::string_view into = " into";

/// Where the list of columns begins behind an INSERT INTO; npos if that cannot be told. A table is
/// no function, but it may have the name of one.
std::size_t columns_of(std::string_view sql) {
    std::string_view rest = sql.substr(verb_size + into.size());
    if (!rest.starts_with(' ')) return std::string_view::npos;
    std::string_view name = cut_name(rest);
    if (rest.starts_with('.')) {
        if (name.empty() || begins(name, "pg_")) return std::string_view::npos;
        rest.remove_prefix(1);
        if (cut_name(rest).empty()) return std::string_view::npos;
        name = {};
    }
    if (!rest.starts_with('(') || !is_harmless(word_of(name), name)) return std::string_view::npos;
    return sql.size() - rest.size();
}

/// A text, and what of it is known to be harmless.
struct Text {
    std::string_view sql;
    std::size_t columns = std::string_view::npos;  // where a parenthesis is not one of a call

    /// Does one of these bytes begin what a plain statement has not?
    bool tells(std::size_t from, std::size_t to) const {
        for (std::size_t at = from; at < to; ++at) {
            if (telling[static_cast<unsigned char>(sql[at])] && tells(at)) return true;
        }
        return false;
    }

private:
    bool tells(std::size_t at) const {
        const std::string_view rest = sql.substr(at);
        switch (sql[at]) {
            case 'p':
            case 'P':
                // UPDATE pg_settings changes variables.
                return begins(rest, "pgw") || begins(rest, "pg_t") || begins(rest, "pg_settings") ||
                       begins(rest, "pg_prepared_s");
            case 'i':
            case 'I': return begins(rest, "into");
            case '(': return at != columns && may_be_call(sql.substr(0, at));
            default: return true;
        }
    }
};

/// BEGIN, COMMIT and the like, without options.
bool is_transaction(std::string_view sql) {
    constexpr std::string_view commands[] = {
        "begin", "commit", "end", "rollback", "abort", "start transaction", "begin transaction"};
    return std::any_of(std::begin(commands), std::end(commands),
                       [sql](std::string_view command) { return is_folded(sql, command); });
}

/// Without what may stand behind it.
std::string_view trimmed(std::string_view sql) {
    while (!sql.empty() && (is_blank(sql.back()) || sql.back() == ';' || sql.back() == '\n' ||
                            sql.back() == '\r')) {
        sql.remove_suffix(1);
    }
    return sql;
}

}  // namespace

bool is_plain(std::string_view sql) {
    sql = trimmed(sql);
    if (sql.size() < sizeof(Verb) || sql[verb_size] != ' ') return is_transaction(sql);
    const Verb first = verb_of(sql);
    Text text{sql};
    std::size_t at = verb_size;
    if (first == insert_verb) {
        if (!begins(sql.substr(at), into)) return false;
        text.columns = columns_of(sql);
        at += into.size();
    } else if (first != select_verb && first != update_verb && first != delete_verb) {
        return false;
    }
    // The last block begins where it fits, if that is still in the text.
    constexpr std::size_t seen = block_size + word_size - 1;
    if (sql.size() < at + seen) return !text.tells(at, sql.size());
    for (const std::size_t last = sql.size() - seen;; at = std::min(at + block_size, last)) {
        if (may_tell(sql.data() + at) && text.tells(at, at + block_size)) return false;
        if (at == last) return !text.tells(at + block_size, sql.size());
    }
}

}  // namespace pgweir::router

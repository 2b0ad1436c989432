#include "router/plain.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "router/lexer.hpp"

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

/// Does any of these bytes begin what a plain statement has not?
bool tells(std::string_view text) {
    const auto is_telling = [](char c) { return telling[static_cast<unsigned char>(c)]; };
    const char* const end = text.data() + text.size();
    const char* at = text.data();
    while ((at = std::find_if(at, end, is_telling)) != end) {
        const std::string_view rest(at, static_cast<std::size_t>(end - at));
        switch (*at) {
            case 'p':
            case 'P':
                if (begins(rest, "pgw") || begins(rest, "pg_t")) return true;
                if (begins(rest, "pg_settings")) return true;  // UPDATE changes variables
                break;
            case 'i':
            case 'I':
                if (begins(rest, "into")) return true;
                break;
            default: return true;
        }
        ++at;
    }
    return false;
}

}  // namespace

bool is_plain(std::string_view sql) {
    if (sql.size() < sizeof(Verb) || sql[verb_size] != ' ') return false;
    const Verb first = verb_of(sql);
    const bool inserts = first == insert_verb;
    if (!inserts && first != select_verb && first != update_verb && first != delete_verb)
        return false;
    const auto ends_it = [](char c) {
        return c == ';' || c == ' ' || c == '\t' || c == '\n' || c == '\r';
    };
    while (ends_it(sql.back())) sql.remove_suffix(1);
    if (sql.size() < verb_size) return false;
    std::string_view rest = sql.substr(verb_size);
    if (inserts && begins(rest, " into")) rest.remove_prefix(std::string_view(" into").size());
    while (rest.size() >= block_size + word_size - 1) {
        if (may_tell(rest.data())) return !tells(rest);
        rest.remove_prefix(block_size);
    }
    // The last block begins where it fits, if that is still in the text.
    if (sql.size() < verb_size + block_size + word_size - 1) return !tells(rest);
    const std::size_t begun = sql.size() - (block_size + word_size - 1);
    return !may_tell(sql.data() + begun) ? !tells(sql.substr(sql.size() - (word_size - 1)))
                                         : !tells(rest);
}

}  // namespace pgweir::router

#include "router/skeleton.hpp"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "router/lexer.hpp"

namespace pgweir::router {

namespace {

enum Class : std::uint8_t {
    blank = 1,
    inside = 2,  // goes on in an identifier
    digit = 4,
    special = 8,  // the scan stops at it
    letter = 16,  // begins an identifier
};

constexpr std::array<std::uint8_t, 256> make_classes() {
    std::array<std::uint8_t, 256> classes{};
    for (const char c : {' ', '\t', '\n', '\r', '\f'}) classes[std::size_t(c)] = blank;
    for (std::size_t c = 'a'; c <= 'z'; ++c) classes[c] = inside | letter;
    for (std::size_t c = 'A'; c <= 'Z'; ++c) classes[c] = inside | letter;
    for (std::size_t c = 128; c < 256; ++c) classes[c] = inside | letter;
    classes['_'] = inside | letter;
    for (std::size_t c = '0'; c <= '9'; ++c) classes[c] = digit | inside | special;
    for (const char c : std::string_view("'\"$/-\\\v\0", 8))
        classes[static_cast<std::size_t>(c)] |= special;
    classes['$'] |= inside;
    return classes;
}

constexpr std::array<std::uint8_t, 256> classes = make_classes();

bool is(char c, unsigned of) { return (classes[static_cast<unsigned char>(c)] & of) != 0; }

using Block = unsigned char __attribute__((vector_size(16)));
constexpr std::size_t block_size = sizeof(Block);

Block all(unsigned char c) { return Block{} + c; }

/// The first place from `at` on, of a whole block or more, that may be special. Digits, and some
/// other control characters, are among those.
const char* skip_ordinary(const char* at, const char* end) {
    while (static_cast<std::size_t>(end - at) >= block_size) {
        Block here;
        std::memcpy(&here, at, block_size);
        const auto found = (here == all('\'')) | (here == all('"')) | (here == all('$')) |
                           (here == all('/')) | (here == all('-')) | (here == all('\\')) |
                           (here == all('\v')) | (here == all(0)) | ((here - all('0')) < all(10));
        std::uint64_t halves[2];
        std::memcpy(halves, &found, sizeof found);
        if (halves[0] != 0) return at + std::countr_zero(halves[0]) / 8;
        if (halves[1] != 0) return at + 8 + std::countr_zero(halves[1]) / 8;
        at += block_size;
    }
    while (at < end && !is(*at, special)) ++at;
    return at;
}

/// One run over one text. `begin` is where the part begins that is not copied yet.
class Scan {
public:
    Scan(std::string_view sql, char* out, bool names_settings)
        : names_settings_(names_settings),
          first_(sql.data()),
          at_(sql.data()),
          begin_(sql.data()),
          end_(sql.data() + sql.size()),
          start_(out),
          out_(out) {}

    /// Behind what was written; nullptr when there is no skeleton.
    char* run() {
        while ((at_ = skip_ordinary(at_, end_)) != end_) {
            if (!step()) return nullptr;
        }
        copy();
        // A ";" there ends no string or name: those end with their quotes.
        while (out_ > start_ && (is(out_[-1], blank) || out_[-1] == ';')) --out_;
        return out_;
    }

private:
    bool step() {
        switch (*at_) {
            case '\'': return string();
            case '"': return quoted();
            case '$': return dollar();
            case '/':
            case '-': return comment();
            case '\\':
            case '\v':
            case '\0': return false;
            default: return digits();
        }
    }

    bool inside_word() const { return at_ > first_ && is(at_[-1], inside); }

    void copy() {
        const auto size = static_cast<std::size_t>(at_ - begin_);
        // Most parts are short, and there is room behind: see write_skeleton().
        if (size <= block_size) {
            if (end_ - begin_ >= static_cast<std::ptrdiff_t>(block_size)) {
                std::memcpy(out_, begin_, block_size);
            } else {
                std::memcpy(out_, begin_, size);
            }
        } else {
            std::memcpy(out_, begin_, size);
        }
        out_ += size;
    }

    /// A constant ends here: `text` stands for it, unless it continues a list of constants.
    void constant(std::string_view text, const char* behind) {
        copy();
        begin_ = at_ = behind_ = behind;
        // Of a digit before a point or an exponent the rest follows: not the end of a constant.
        const bool whole = behind == end_ || !(is(*behind, inside) || *behind == '.');
        const char* const list = whole ? list_before() : nullptr;
        if (list) {
            out_ = start_ + (list - start_);
        } else {
            std::memcpy(out_, text.data(), text.size());
            out_ += text.size();
            constant_ = whole ? out_ : nullptr;
        }
    }

    /// Is what was written last "constant , "? Then behind that constant.
    const char* list_before() const {
        if (!constant_) return nullptr;
        const char* at = out_;
        while (at > constant_ && is(at[-1], blank)) --at;
        if (at == constant_ || *--at != ',') return nullptr;
        while (at > constant_ && is(at[-1], blank)) --at;
        return at == constant_ ? at : nullptr;
    }

    bool digits() {
        if (inside_word()) {
            while (at_ < end_ && is(*at_, digit)) ++at_;
            return true;
        }
        // .5 begins with what was copied; it stays a number of its own.
        const char* behind = at_;
        while (behind < end_ && is(*behind, digit)) ++behind;
        const bool fraction = at_ > first_ && at_[-1] == '.';
        if (fraction) constant_ = nullptr;
        constant("0", behind);
        return true;
    }

    /// Right behind a constant a string would become a part of it.
    bool behind_constant() const { return at_ == behind_; }

    bool string() {
        bool escapes = false;
        if (behind_constant() || !string_prefix(escapes)) return false;
        const char* const behind = string_end(at_ + 1, escapes);
        if (!behind) return false;
        if (names_settings_ && is_setting(behind)) {
            at_ = behind;  // copied as it is
            constant_ = nullptr;
            return true;
        }
        if (escapes) {  // it may go on behind a newline, with escapes again
            const char* next = behind;
            while (next < end_ && is(*next, blank)) ++next;
            if (next < end_ && std::string_view("'-/$").find(*next) != std::string_view::npos)
                return false;
        }
        constant("''", behind);
        // Nothing is joined to it: what follows might become a part of it.
        if (escapes) constant_ = nullptr;
        return true;
    }

    /// What stands before the quote: nothing, one of the letters that make another kind of string,
    /// or a whole word, which is the name of a type. False when it is hard to say.
    bool string_prefix(bool& escapes) const {
        if (at_ == first_) return true;
        if (!is(at_[-1], inside)) return at_[-1] != '&';  // U&'…', perhaps
        const char* word = at_ - 1;
        while (word > first_ && is(word[-1], inside)) --word;
        if (!is(*word, letter)) return false;  // 1e'…'
        if (at_ - word > 1) return true;
        constexpr std::string_view known = "eEbBxXnN";
        escapes = *word == 'e' || *word == 'E';
        return known.find(*word) != std::string_view::npos;
    }

    /// Is the string all of the first argument of current_setting or set_config?
    bool is_setting(const char* behind) const {
        const std::string_view before(first_, static_cast<std::size_t>(at_ - first_));
        const auto ends = [before](std::string_view call) {
            return before.size() >= call.size() &&
                   is_folded(before.substr(before.size() - call.size()), call);
        };
        if (!ends("current_setting(") && !ends("set_config(")) return false;
        while (behind < end_ && is(*behind, blank)) ++behind;
        return behind < end_ && (*behind == ',' || *behind == ')');
    }

    const char* string_end(const char* at, bool escapes) const {
        while (at < end_) {
            if (!escapes) {
                at = static_cast<const char*>(
                    std::memchr(at, '\'', static_cast<std::size_t>(end_ - at)));
                if (!at) return nullptr;
            } else if (*at == '\\') {
                at += 2;
                continue;
            } else if (*at != '\'') {
                ++at;
                continue;
            }
            if (end_ - at < 2 || at[1] != '\'') return at + 1;
            at += 2;
        }
        return nullptr;
    }

    bool quoted() {
        if (at_ > first_ && at_[-1] == '&') return false;  // U&"…"
        const auto* const close = static_cast<const char*>(
            std::memchr(at_ + 1, '"', static_cast<std::size_t>(end_ - at_ - 1)));
        if (!close) return false;
        // "a""b" is read as two, which end where the one does.
        at_ = close + 1;
        return true;
    }

    bool dollar() {
        if (behind_constant() || (at_ > first_ && at_[-1] == '&')) return false;
        if (inside_word()) return ++at_, true;
        const char* at = at_ + 1;
        if (at < end_ && is(*at, digit)) {
            while (at < end_ && is(*at, digit)) ++at;
            if (at < end_ && is(*at, inside)) return false;
            constant("$1", at);
            return true;
        }
        while (at < end_ && *at != '$' && is(*at, inside)) ++at;
        if (at == end_ || *at != '$') return false;
        const std::string_view tag(at_, static_cast<std::size_t>(at + 1 - at_));
        const std::string_view rest(at + 1, static_cast<std::size_t>(end_ - at - 1));
        const std::size_t close = rest.find(tag);
        if (close == std::string_view::npos) return false;
        const char* const behind = rest.data() + close + tag.size();
        if (behind < end_ && is(*behind, inside)) return false;
        constant("''", behind);
        return true;
    }

    bool comment() {
        if (end_ - at_ < 2) return ++at_, true;
        if (at_[0] == '-' && at_[1] == '-') {
            const char* at = at_;
            while (at < end_ && *at != '\n' && *at != '\r') ++at;
            drop(at);
            return true;
        }
        if (at_[0] != '/' || at_[1] != '*') return ++at_, true;
        int depth = 1;
        for (const char* at = at_ + 2; at + 1 < end_;) {
            if (at[0] == '/' && at[1] == '*') {
                ++depth;
                at += 2;
            } else if (at[0] == '*' && at[1] == '/') {
                at += 2;
                if (--depth == 0) return drop(at), true;
            } else {
                ++at;
            }
        }
        return false;
    }

    /// Leaves out what lies before `behind`; a blank stands for it.
    void drop(const char* behind) {
        copy();
        begin_ = at_ = behind;
        if (out_ > start_ && !is(out_[-1], blank)) *out_++ = ' ';
        if (out_ == start_) {
            while (at_ < end_ && is(*at_, blank)) ++at_;
            begin_ = at_;
        }
    }

    const bool names_settings_;
    const char* const first_;
    const char* at_;
    const char* begin_;
    const char* const end_;
    char* const start_;
    char* out_;
    const char* behind_ = nullptr;    // the last constant in the text
    const char* constant_ = nullptr;  // … in the output
};

std::optional<std::string_view> run(std::string_view sql, std::string& room, bool names_settings) {
    // It is never longer than the text; the rest is room for copying whole blocks.
    if (room.size() < sql.size() + block_size) room.resize(sql.size() + block_size);
    const char* const behind = Scan(sql, room.data(), names_settings).run();
    if (!behind) return std::nullopt;
    return std::string_view(room.data(), static_cast<std::size_t>(behind - room.data()));
}

}  // namespace

std::optional<std::string_view> skeleton_of(std::string_view sql, std::string& room) {
    return run(sql, room, false);
}

std::optional<std::string_view> setting_skeleton_of(std::string_view sql, std::string& room) {
    return run(sql, room, true);
}

}  // namespace pgweir::router

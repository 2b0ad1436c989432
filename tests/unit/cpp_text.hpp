// Reading C++ without a parser: enough to find the functions in code that clang-format wrote.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pgweir::tests {

inline bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }
inline bool is_blank(char c) { return std::isspace(static_cast<unsigned char>(c)); }

/// Blanks out comments, literals and preprocessor lines. Newlines stay, so every offset and line
/// number is the original's; a literal leaves one '0' behind, because something stood there.
class Blanker {
public:
    explicit Blanker(std::string text) : text_(std::move(text)) {}

    std::string run() {
        while (at_ < text_.size()) step();
        return std::move(text_);
    }

private:
    void step() {
        const char c = text_[at_];
        if (starts("//")) return blank_to(text_.find('\n', at_));
        if (starts("/*")) return blank_to(after("*/", at_ + 2));
        if (starts("R\"") && !is_word(before())) return raw_string();
        if (c == '"') return quoted('"');
        if (c == '\'' && !is_word(before())) return quoted('\'');  // not the one of 1'000
        if (c == '#' && line_is_empty_) return directive();
        if (c == '\n') line_is_empty_ = true;
        if (!is_blank(c)) line_is_empty_ = false;
        ++at_;
    }

    void raw_string() {
        const std::size_t open = text_.find('(', at_);
        const std::string close = ")" + text_.substr(at_ + 2, open - at_ - 2) + "\"";
        literal_to(after(close, open));
    }
    void quoted(char quote) {
        std::size_t end = at_ + 1;
        while (end < text_.size() && text_[end] != quote) end += text_[end] == '\\' ? 2 : 1;
        literal_to(end + 1);
    }
    void directive() {
        std::size_t end = text_.find('\n', at_);
        while (end != std::string::npos && text_[end - 1] == '\\') end = text_.find('\n', end + 1);
        blank_to(end);
    }

    void literal_to(std::size_t end) {
        const std::size_t start = at_;
        blank_to(end);
        text_[start] = '0';
    }
    void blank_to(std::size_t end) {
        for (end = std::min(end, text_.size()); at_ < end; ++at_) {
            if (text_[at_] != '\n') text_[at_] = ' ';
        }
    }

    bool starts(std::string_view what) const { return text_.compare(at_, what.size(), what) == 0; }
    char before() const { return at_ == 0 ? ' ' : text_[at_ - 1]; }
    std::size_t after(std::string_view what, std::size_t from) const {
        const std::size_t found = text_.find(what, from);
        return found == std::string::npos ? text_.size() : found + what.size();
    }

    std::string text_;
    std::size_t at_ = 0;
    bool line_is_empty_ = true;
};

inline std::string blanked(std::string text) { return Blanker(std::move(text)).run(); }

inline std::size_t line_of(std::string_view code, std::size_t offset) {
    const std::string_view before = code.substr(0, offset);
    return static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n')) + 1;
}

/// The offset of the '}' that closes the '{' at `open`; the end of the code when there is none.
inline std::size_t closing_brace(std::string_view code, std::size_t open) {
    int depth = 0;
    for (std::size_t at = open; at < code.size(); ++at) {
        if (code[at] == '{') ++depth;
        if (code[at] == '}' && --depth == 0) return at;
    }
    return code.size();
}

/// A declaration's head with the contents of (), <> and [] left out and operator names made words.
class Flattened {
public:
    explicit Flattened(std::string_view head) {
        for (std::size_t at = 0; at < head.size(); ++at) {
            if (head.substr(at, 8) == "operator") at = skip_operator(head, at);
            if (at >= head.size()) break;
            if (head.substr(at, 2) == "->") at += 2;
            add(head[at]);
        }
    }

    bool opens_scope() const {
        static constexpr std::string_view keys[] = {"namespace", "class", "struct",
                                                    "union",     "enum",  "extern"};
        for (const std::string_view key : keys) {
            for (std::size_t at = text_.find(key); at != std::string::npos;
                 at = text_.find(key, at + 1)) {
                const std::size_t end = at + key.size();
                if (at > 0 && is_word(text_[at - 1])) continue;
                if (end < text_.size() && is_word(text_[end])) continue;
                std::string rest = text_.substr(end);
                if (const std::size_t cut = rest.find("alignas()"); cut != std::string::npos) {
                    rest.erase(cut, 9);
                }
                if (rest.find_first_of("(=") == std::string::npos) return true;
            }
        }
        return false;
    }

    bool opens_function() const {
        if (text_.find("= []") != std::string::npos) return true;  // a lambda with a name
        return text_.find("()") != std::string::npos && text_.find('=') == std::string::npos;
    }

private:
    static std::size_t skip_operator(std::string_view head, std::size_t at) {
        const std::size_t open = head.find('(', at + 8);
        if (open == std::string_view::npos) return head.size();
        return head.substr(open, 2) == "()" ? open + 2 : open;
    }
    void add(char c) {
        static constexpr std::string_view opening = "([<", closing = ")]>";
        const bool inside = !open_.empty();
        if (inside && closing.find(c) != std::string_view::npos) {
            if (closing[opening.find(open_.back())] == c) open_.pop_back();
            if (open_.empty()) text_ += c;
        } else if (opening.find(c) != std::string_view::npos &&
                   !(c == '<' && inside && open_.back() == '(')) {  // a comparison, perhaps
            if (!inside) text_ += c;
            open_ += c;
        } else if (!inside) {
            text_ += c;
        }
    }

    std::string text_;
    std::string open_;  // brackets not closed yet
};

struct Function {
    std::string head;   // its declaration, in one line
    std::size_t first;  // lines, from 1: from the declaration's first to the closing brace's
    std::size_t last;
    std::size_t lines() const { return last - first + 1; }
};

/// Finds the function bodies: looks into namespaces and types, skips initialisers, takes the rest.
class FunctionFinder {
public:
    explicit FunctionFinder(std::string_view code) : code_(code) {}

    std::vector<Function> run() {
        for (; at_ < code_.size(); ++at_) step(code_[at_]);
        return std::move(found_);
    }

private:
    void step(char c) {
        if (c == '{') return open();
        if (c == '}' || c == ';') return head_.clear();
        if (head_.empty()) {
            if (is_blank(c)) return;
            start_ = at_;
        }
        if (!is_blank(c)) {
            head_ += c;
        } else if (head_.back() != ' ') {
            head_ += ' ';
        }
        if (head_ == "public:" || head_ == "private:" || head_ == "protected:") head_.clear();
    }

    void open() {
        const Flattened head(head_);
        if (head_.empty() || head.opens_scope()) return head_.clear();
        at_ = closing_brace(code_, at_);
        if (!head.opens_function()) return;
        while (members_follow()) at_ = closing_brace(code_, code_.find('{', at_));
        found_.push_back({head_, line_of(code_, start_), line_of(code_, at_)});
        head_.clear();
    }

    /// What was just closed was `a_{…}` of a constructor: more of them or the body is next.
    bool members_follow() const {
        std::size_t next = at_ + 1;
        while (next < code_.size() && is_blank(code_[next])) ++next;
        return next < code_.size() && (code_[next] == ',' || code_[next] == '{') &&
               code_.find('{', next) != std::string_view::npos;
    }

    std::string_view code_;
    std::size_t at_ = 0;
    std::size_t start_ = 0;
    std::string head_;  // the declaration so far, blanks made single; empty between two
    std::vector<Function> found_;
};

inline std::vector<Function> functions_of(std::string text) {
    const std::string code = blanked(std::move(text));
    return FunctionFinder(code).run();
}

/// The lines of lambdas that capture and are coroutines themselves: the captures die with the
/// lambda object while the coroutine's frame lives on.
inline std::vector<std::size_t> capturing_coroutines(std::string text) {
    struct Lambda {
        std::size_t open, close;
        bool captures;
    };
    const std::string code = blanked(std::move(text));
    std::vector<Lambda> lambdas;  // outer ones come before inner ones
    for (std::size_t at = code.find('['); at != std::string::npos; at = code.find('[', at + 1)) {
        const std::size_t end = code.find(']', at);
        if (end == std::string::npos ||
            (at > 0 && (is_word(code[at - 1]) || code[at - 1] == ')'))) {
            continue;  // a subscript
        }
        if (code.substr(at, 2) == "[[") {
            at = end + 1;
            continue;  // an attribute
        }
        std::size_t open = end + 1;
        if (open < code.size() && code[open] == '(') open = code.find(')', open) + 1;
        open = code.find_first_of("{};,()", open);
        if (open == std::string::npos || code[open] != '{') continue;
        lambdas.push_back({open, closing_brace(code, open), end > at + 1});
    }
    std::set<std::size_t> lines;
    for (std::size_t at = code.find("co_"); at != std::string::npos;
         at = code.find("co_", at + 3)) {
        if (at > 0 && is_word(code[at - 1])) continue;
        const Lambda* innermost = nullptr;
        for (const Lambda& lambda : lambdas) {
            if (lambda.open < at && at < lambda.close) innermost = &lambda;
        }
        if (innermost && innermost->captures) lines.insert(line_of(code, innermost->open));
    }
    return {lines.begin(), lines.end()};
}

}  // namespace pgweir::tests

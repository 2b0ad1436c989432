// Messages in words, for tests: `Parse s1 "select $1::int"` and the bytes it stands for, both ways.
//
// A word is bare, or in double or single quotes (\n, \0, \xHH and \ before anything else), or a
// list in brackets: [1 "a b" null]. Messages in one text are separated by semicolons.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/replies.hpp"
#include "protocol/requests.hpp"

namespace pgweir::tests {

using protocol::Bytes;

struct Word {
    std::string text;
    bool bare = true;
    bool is_list = false;
    std::vector<std::optional<std::string>> list = {};  // nullopt: null
};

/// Cuts a text into words; `#` begins a comment, `;` is a word of its own.
class WordReader {
public:
    explicit WordReader(std::string_view text) : rest_(text) {}

    /// Errors  std::invalid_argument for a quote or bracket without end.
    std::optional<Word> next() {
        while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\n')) skip();
        if (rest_.empty() || rest_.front() == '#') return std::nullopt;
        if (rest_.front() == '[') return list();
        if (rest_.front() == '"' || rest_.front() == '\'') return Word{quoted(), false};
        if (rest_.front() == ';') return skip(), Word{";"};
        return Word{bare()};
    }

private:
    void skip() { rest_.remove_prefix(1); }

    std::string bare() {
        const std::size_t size = std::min(rest_.find_first_of(" \n;[]"), rest_.size());
        std::string text(rest_.substr(0, size));
        rest_.remove_prefix(size);
        return text;
    }

    std::string quoted() {
        const char quote = rest_.front();
        std::string text;
        for (skip(); !rest_.empty() && rest_.front() != quote; skip()) {
            text += rest_.front() == '\\' ? escaped() : rest_.front();
        }
        if (rest_.empty()) throw std::invalid_argument("a quote without end");
        skip();
        return text;
    }

    char escaped() {
        skip();
        if (rest_.starts_with('n')) return '\n';
        if (rest_.starts_with('0')) return '\0';
        if (!rest_.starts_with('x')) return rest_.empty() ? '\\' : rest_.front();
        const std::string hex(rest_.substr(1, 2));
        rest_.remove_prefix(2);
        return static_cast<char>(std::stoi(hex, nullptr, 16));
    }

    Word list() {
        skip();
        Word word{"", false, true};
        while (true) {
            while (rest_.starts_with(' ')) skip();
            if (rest_.empty()) throw std::invalid_argument("a bracket without end");
            if (rest_.front() == ']') break;
            const bool is_quoted = rest_.front() == '"' || rest_.front() == '\'';
            std::string item = is_quoted ? quoted() : bare();
            if (!is_quoted && item == "null") {
                word.list.emplace_back(std::nullopt);
            } else {
                word.list.emplace_back(std::move(item));
            }
        }
        skip();
        return word;
    }

    std::string_view rest_;
};

/// A message's name and what follows it.
class Words {
public:
    explicit Words(std::vector<Word> words) : words_(std::move(words)) {}

    const std::string& name() const { return words_.at(0).text; }
    /// "" when there are fewer.
    std::string_view text(std::size_t at) const {
        return at < words_.size() ? std::string_view(words_[at].text) : std::string_view();
    }
    char letter(std::size_t at) const { return words_.at(at).text.at(0); }
    int number(std::size_t at) const { return at < words_.size() ? std::stoi(words_[at].text) : 0; }
    std::vector<protocol::Value> values(std::size_t at) const {
        std::vector<protocol::Value> values;
        if (at < words_.size()) values.assign(words_[at].list.begin(), words_[at].list.end());
        return values;
    }
    /// Int16 count and as many Int32, as Parse has its types.
    std::string types(std::size_t at) const {
        std::string out;
        protocol::Writer writer(out);
        const std::vector<protocol::Value> values = this->values(at);
        writer.u16(static_cast<std::uint16_t>(values.size()));
        for (const protocol::Value& value : values) writer.i32(std::stoi(std::string(*value)));
        return out;
    }
    /// The rest, each a value.
    std::vector<protocol::Value> tail() const {
        std::vector<protocol::Value> values;
        for (std::size_t at = 1; at < words_.size(); ++at) values.emplace_back(words_[at].text);
        return values;
    }

private:
    std::vector<Word> words_;
};

struct Spelling {
    const char* name;
    void (*write)(std::string& out, const Words& words);
};

namespace spell {

namespace p = protocol;
using Out = std::string&;
using In = const Words&;

inline void report(Out out, char type, In w) {
    p::Writer writer(out);
    writer.begin(type).u8('S').cstring(w.text(1)).u8('V').cstring(w.text(1));
    writer.u8('C').cstring(w.text(2)).u8('M').cstring(w.text(3));
    if (!w.text(4).empty()) writer.u8('D').cstring(w.text(4));
    writer.u8(0).end();
}

/// `Raw "D\x00…"`: the type, and a payload that nobody checks.
inline void raw(Out out, In w) {
    p::Writer(out).begin(w.text(1).at(0)).bytes(w.text(1).substr(1)).end();
}

inline constexpr Spelling requests[] = {
    {"Query", [](Out out, In w) { p::write_query(out, w.text(1)); }},
    {"Parse", [](Out out, In w) { p::write_parse(out, w.text(1), w.text(2), w.types(3)); }},
    {"Bind", [](Out out, In w) { p::write_bind(out, w.text(1), w.text(2), w.values(3)); }},
    {"Describe", [](Out out, In w) { p::write_describe(out, w.letter(1), w.text(2)); }},
    {"Close", [](Out out, In w) { p::write_close(out, w.letter(1), w.text(2)); }},
    {"Execute", [](Out out, In w) { p::write_execute(out, w.text(1), w.number(2)); }},
    {"Sync", [](Out out, In) { p::write_sync(out); }},
    {"Flush", [](Out out, In) { p::write_flush(out); }},
    {"Terminate", [](Out out, In) { p::write_terminate(out); }},
    {"CopyData", [](Out out, In w) { p::write_copy_data(out, w.text(1)); }},
    {"CopyDone", [](Out out, In) { p::write_copy_done(out); }},
    {"CopyFail", [](Out out, In w) { p::write_copy_fail(out, w.text(1)); }},
    {"FunctionCall",
     [](Out out, In w) {
         p::write_function_call(out, {static_cast<std::uint32_t>(w.number(1)), {}, w.values(2), 0});
     }},
    {"Raw", raw},
};

inline constexpr Spelling replies[] = {
    {"ParseComplete", [](Out out, In) { out += p::parse_complete; }},
    {"BindComplete", [](Out out, In) { out += p::bind_complete; }},
    {"CloseComplete", [](Out out, In) { out += p::close_complete; }},
    {"NoData", [](Out out, In) { out += p::no_data; }},
    {"PortalSuspended", [](Out out, In) { out += p::portal_suspended; }},
    {"EmptyQueryResponse", [](Out out, In) { out += p::empty_query; }},
    {"CopyDone", [](Out out, In) { out += p::copy_done; }},
    {"CopyData", [](Out out, In w) { p::write_copy_data(out, w.text(1)); }},
    {"CopyInResponse", [](Out out, In) { p::write_copy_in(out, false, 1); }},
    {"CopyOutResponse", [](Out out, In) { p::write_copy_out(out, false, 1); }},
    {"CopyBothResponse", [](Out out, In) { p::write_copy_both(out, false, 0); }},
    {"CommandComplete", [](Out out, In w) { p::write_command_complete(out, w.text(1)); }},
    {"ReadyForQuery",
     [](Out out, In w) {
         const char status = w.text(1) == "idle" ? 'I' : w.text(1) == "transaction" ? 'T' : 'E';
         p::write_ready_for_query(out, static_cast<p::TxStatus>(status));
     }},
    {"DataRow", [](Out out, In w) { p::write_data_row(out, w.tail()); }},
    {"RowDescription",
     [](Out out, In w) {
         std::vector<p::Column> columns;
         for (const p::Value& name : w.tail()) columns.push_back({.name = std::string(*name)});
         p::write_row_description(out, columns);
     }},
    {"ParameterDescription",
     [](Out out, In w) { p::Writer(out).begin('t').bytes(w.types(1)).end(); }},
    {"ErrorResponse", [](Out out, In w) { report(out, 'E', w); }},
    {"NoticeResponse", [](Out out, In w) { report(out, 'N', w); }},
    {"ParameterStatus",
     [](Out out, In w) { p::write_parameter_status(out, w.text(1), w.text(2)); }},
    {"NotificationResponse",
     [](Out out, In w) { p::write_notification(out, 7, w.text(1), w.text(2)); }},
    {"FunctionCallResponse",
     [](Out out, In w) {
         const std::uint32_t size = static_cast<std::uint32_t>(w.text(1).size());
         p::Writer(out).begin('V').u32(size).bytes(w.text(1)).end();
     }},
    {"Raw", raw},
};

inline void encode(std::string& out, const Words& words, std::span<const Spelling> spellings) {
    for (const Spelling& spelling : spellings) {
        if (words.name() == spelling.name) return spelling.write(out, words);
    }
    throw std::invalid_argument("no such message: " + words.name());
}

inline std::string encode(std::string_view text, std::span<const Spelling> spellings) {
    std::string out;
    std::vector<Word> message;
    const auto end_message = [&] {
        if (!message.empty()) encode(out, Words(std::exchange(message, {})), spellings);
    };
    WordReader reader(text);
    while (std::optional<Word> word = reader.next()) {
        if (word->bare && word->text == ";") {
            end_message();
        } else {
            message.push_back(std::move(*word));
        }
    }
    end_message();
    return out;
}

}  // namespace spell

/// What a client sends. Errors  std::invalid_argument for what is no message.
inline std::string requests(std::string_view text) { return spell::encode(text, spell::requests); }
/// What a server sends.
inline std::string replies(std::string_view text) { return spell::encode(text, spell::replies); }

}  // namespace pgweir::tests

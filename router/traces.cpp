#include "router/traces.hpp"

#include <algorithm>
#include <array>

#include "router/calls.hpp"
#include "router/lexer.hpp"
#include "router/settings.hpp"
#include "router/words.hpp"

namespace pgweir::router {
namespace {

/// A word as a number, folded: its length and first seven characters. No two verbs have the same,
/// so that a verb is found in one switch.
constexpr std::uint64_t code(std::string_view word) {
    std::uint64_t packed = word.size();
    for (const char c : word.substr(0, 7)) {
        packed = packed << 8 | static_cast<unsigned char>(folded(c));
    }
    return packed;
}

void add_once(std::vector<std::string>& names, std::string name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
        names.push_back(std::move(name));
    }
}

/// What makes the names of settings: a first word of `SET x.y = 1`, not of `SET TIME ZONE 'UTC'`.
bool assigns(const Token& next) {
    return next.is('.') || next.is('=') || is_word(next, "to") || is_word(next, "from");
}

bool is_lower(std::string_view name) {
    return std::all_of(name.begin(), name.end(), [](char c) { return folded(c) == c; });
}

bool is_name(const Token& token) {
    return token.kind == TokenKind::identifier || token.kind == TokenKind::quoted_identifier;
}

/// A name without its quotes; where it has quotes inside, they are double.
std::string_view bare(const Token& name) {
    if (name.kind == TokenKind::identifier) return name.text();
    return name.text().substr(1, name.size - 2);
}

/// The name is `lower`, which may be in capitals where the name has no quotes.
bool names(const Token& name, std::string_view lower) {
    if (name.kind == TokenKind::quoted_identifier) return bare(name) == lower;
    return is_word(name, lower);
}

/// Reads a text once. What leaves traces wherever it stands is seen by advance(); what only means
/// something as a statement is read by the functions named after its verb. They start on the verb
/// and stop anywhere in the statement.
class Reader {
public:
    /// `details`: where the names go; nullptr when only the traces are wanted.
    Reader(std::string_view sql, bool standard_strings, Details* details)
        : sql_(sql),
          lexer_(sql, standard_strings),
          details_(details) {}

    Traces read();

private:
    void advance();
    /// The token `count` before the one being looked at; up to 7.
    const Token& back(unsigned count) const { return recent_[(at_ - count) % recent_.size()]; }
    const Token& token() const { return back(0); }
    const Token& before() const { return back(1); }
    Token peek() const { return Lexer(lexer_).next(); }
    bool at_word(std::string_view lower) const { return is_word(token(), lower); }
    bool ends() const { return token().kind == TokenKind::end || token().is(';'); }

    void name(char first);
    void telling_word();
    void parenthesis();
    void unknown_call(const Called& called);
    void own_call(std::string_view function, Traces leaves);
    void setting_call(bool sets);

    void statement();
    void explain();
    void create();
    void set();
    void set_special(bool local);
    void reset();
    void discard();
    void prepare();
    void deallocate();
    void execute();
    void listen();
    void unlisten();
    void rollback();

    void variable(std::string_view name, bool to_default);
    void shown_variables();
    bool is_updated() const;
    bool begins_write() const;
    void assignment(bool local, bool reset);
    void prepared(Details::Prepared::What what);
    void end_prepared();
    void channel(Details::Channel::What what);

    std::string_view sql_;
    Lexer lexer_;
    Details* details_;
    Traces traces_ = 0;

    std::array<Token, 16>
        recent_{};            // the tokens read last, in a ring: storing each is all they cost
    unsigned at_ = 0;         // the number of the one being looked at
    std::uint64_t verb_ = 0;  // of the statement, while it is one that telling_word() knows
    bool index_ = false;      // the statement is CREATE INDEX
    bool executes_text_ = false;
    int parentheses_ = 0;  // open in the statement
    int blocks_ = 0;       // BEGIN ATOMIC and CASE, open in the statement
};

// ---------------------------------------------------------------- anywhere

inline void Reader::name(char first) {
    if (folded(first) == 'p') {
        const std::string_view text = bare(token());
        if (is_folded(text.substr(0, 6), "pgweir")) traces_ |= trace::routes;
        if (is_folded(text.substr(0, 7), "pg_temp")) traces_ |= trace::temporary;
        if (is_folded(text.substr(0, 21), "pg_prepared_statement"))
            traces_ |= trace::shows_statements;
        if (is_folded(text, "pg_settings") && is_updated()) shown_variables();
    } else if (folded(first) == 'i' && at_word("into")) {
        if (!is_word(before(), "insert") && !is_word(before(), "merge")) {
            traces_ |= trace::temporary;
        }
    }
    if (parentheses_ > 0 && before().is('(') && begins_write()) traces_ |= trace::writes;
    if (verb_ != 0) telling_word();
}

bool Reader::begins_write() const {
    return at_word("insert") || at_word("update") || at_word("delete") || at_word("merge");
}

/// The name being looked at is a table's behind UPDATE.
bool Reader::is_updated() const {
    const Token& front = before().is('.') ? back(3) : before();
    return is_word(front, "update") || is_word(front, "only");
}

void Reader::advance() {
    ++at_;
    const Token read = lexer_.next();
    recent_[at_ % recent_.size()] = read;
    switch (read.kind) {
        case TokenKind::identifier: return name(*read.begin);
        case TokenKind::quoted_identifier: return name(read.begin[1]);
        case TokenKind::unicode_identifier: traces_ |= trace::anything; return;
        case TokenKind::punctuation:
            if (read.is('(')) return parenthesis();
            if (read.is(')')) --parentheses_;
            return;
        default: executes_text_ |= has_execute(read); return;
    }
}

/// Words that tell something in a few statements only.
void Reader::telling_word() {
    if (verb_ == code("declare")) {
        if (at_word("hold") && is_word(before(), "with")) traces_ |= trace::cursors;
        return;
    }
    if (at_word("execute") && is_word(before(), "as")) execute();
    // The statements of a function's body are separated by semicolons too.
    if (at_word("atomic") && is_word(before(), "begin")) blocks_ = 1;
    if (blocks_ > 0 && at_word("case")) ++blocks_;
    if (blocks_ > 0 && at_word("end")) --blocks_;
}

/// A name in front of a parenthesis is a call unless it is something else.
void Reader::parenthesis() {
    ++parentheses_;
    if (!is_name(before())) return;
    unsigned dots = 0;
    while (dots < 2 && back(2 * dots + 2).is('.')) ++dots;
    const Called called{.text = sql_,
                        .name = before(),
                        .qualifier = dots > 0 ? back(3) : Token{},
                        .front = back(2 * dots + 2),
                        .in_index = index_};

    const std::string_view function = bare(called.name);
    const Word& what = word_of(function);
    const bool exact = called.name.kind == TokenKind::identifier || is_lower(function);
    if (what.own_function && exact && (dots == 0 || names(called.qualifier, "pg_catalog"))) {
        return own_call(function, what.traces);
    }
    // JDBC's metadata queries call the functions behind the views of information_schema.
    const bool own_schema = dots > 0 && names(called.qualifier, "information_schema");
    if (own_schema && function.starts_with("_pg_")) return;
    const bool word = dots == 0 && called.name.kind == TokenKind::identifier;
    if (is_call(called, word ? what : Word{})) unknown_call(called);
}

void Reader::unknown_call(const Called& called) {
    traces_ |= trace::functions;
    if (!details_) return;
    std::string function = identifier_name(called.name);
    if (is_name(called.qualifier)) function = identifier_name(called.qualifier) + '.' + function;
    add_once(details_->functions, std::move(function));
}

/// A call of a function of PostgreSQL's, in front of the first argument.
void Reader::own_call(std::string_view function, Traces leaves) {
    const bool sets = is_folded(function, "set_config");
    if (sets || is_folded(function, "current_setting")) return setting_call(sets);
    traces_ |= leaves;
}

void Reader::setting_call(bool sets) {
    using Name = SettingCall::Name;
    const SettingCall call = read_setting_call(lexer_);
    const bool literal = call.kind == Name::literal;
    // A name that is put together may be anyone's.
    const bool routing =
        literal ? is_folded(call.name.substr(0, 6), "pgweir") : call.kind != Name::null;
    if (routing) traces_ |= trace::routes;
    if (!sets || call.kind == Name::null) return;
    if (call.local && !is_folded(call.name, "seed")) {
        traces_ |= trace::local;
        return;
    }
    if (literal) return variable(call.name, false);
    traces_ |= trace::variables;
    if (!details_) return;
    if (call.kind == Name::parameter) {
        details_->variable_parameters.push_back(call.parameter);
    } else {
        details_->all_variables = true;
    }
}

/// What changes variables without naming them.
void Reader::shown_variables() {
    traces_ |= trace::variables;
    if (details_) details_->shown_variables = true;
}

// ---------------------------------------------------------------- statements

Traces Reader::read() {
    // Within a body or a rule it is no statement of the text; its verb is looked at all the same.
    bool inside = false;
    for (advance(); token().kind != TokenKind::end; advance()) {
        if (!inside) {
            verb_ = 0;
            index_ = false;
        }
        if (!token().is(';')) {
            if (!inside && details_) ++details_->statements;
            statement();
        }
        while (!ends()) advance();
        end_prepared();
        inside = parentheses_ > 0 || blocks_ > 0;
        if (!inside) parentheses_ = 0;
    }
    const bool runs = (traces_ & (trace::functions | trace::anything)) != 0;
    if (executes_text_ && runs) traces_ |= trace::executes_text;
    if (details_) details_->traces = traces_;
    return traces_;
}

void Reader::statement() {
    if (token().kind != TokenKind::identifier || at_word("select")) return;
    switch (code(token().text())) {
        case code("set"): return set();
        case code("reset"): return reset();
        case code("discard"): return discard();
        case code("prepare"): return prepare();
        case code("execute"): return execute();
        case code("deallocate"): return deallocate();
        case code("listen"): return listen();
        case code("unlisten"): return unlisten();
        case code("rollback"): return rollback();
        case code("explain"): return explain();
        case code("create"): return create();
        case code("declare"): verb_ = code("declare"); return;
        case code("notify"): traces_ |= trace::notifies; return;
        case code("drop"): traces_ |= trace::temporary; return;
        case code("close"): traces_ |= trace::cursors; return;
        case code("savepoint"): traces_ |= trace::savepoints; return;
        case code("load"): traces_ |= trace::library; return;
        case code("call"): traces_ |= trace::functions; return;
        case code("do"): traces_ |= trace::anything; return;
        default: return;
    }
}

void Reader::explain() {
    advance();
    if (token().is('(')) {
        const int outside = parentheses_ - 1;
        while (!ends() && parentheses_ > outside) advance();
        if (!ends()) advance();
    }
    while (at_word("analyze") || at_word("analyse") || at_word("verbose")) advance();
    statement();
}

void Reader::create() {
    traces_ |= trace::temporary;
    verb_ = code("create");
    advance();
    if (at_word("unique")) advance();
    index_ = at_word("index");
}

/// A variable changes. A name that is none of a variable's does no harm: the server is asked.
void Reader::variable(std::string_view name, bool to_default) {
    const Traces leaves = traces_of_variable(name);
    traces_ |= leaves;
    if (!details_ || leaves != trace::variables) return;
    add_variable(*details_, name);
    if (to_default) add_once(details_->resets, variable_name(name));
}

/// `a.b.c = value` or, for RESET, `a.b.c`; from its first word.
void Reader::assignment(bool local, bool reset) {
    if (names(token(), "seed") && !peek().is('.')) return variable("seed", reset);  // LOCAL or not
    if (local) {
        traces_ |= trace::local;
        return;
    }
    const std::string_view first = bare(token());
    std::string name;  // stays empty where nobody asks for it
    if (details_) name = identifier_name(token());
    advance();
    const bool whole = !token().is('.');
    while (token().is('.')) {
        advance();
        if (!is_name(token())) return;
        if (details_) name += '.' + identifier_name(token());
        advance();
    }
    if (token().is('=') || at_word("to")) advance();
    variable(whole && !details_ ? first : name, reset || at_word("default"));
}

void Reader::set() {
    advance();
    bool local = false;
    if ((at_word("local") || at_word("session")) && !assigns(peek())) {
        local = at_word("local");
        const bool user = at_word("session") && is_word(peek(), "authorization");
        if (!user) advance();
    }
    if (!is_name(token())) return;  // not SQL
    return assigns(peek()) ? assignment(local, false) : set_special(local);
}

/// The forms with words instead of a variable's name.
void Reader::set_special(bool local) {
    const std::uint64_t what = code(token().text());
    if (local) traces_ |= trace::local;
    if (local || what == code("transaction") || what == code("constraints")) return;
    advance();
    if (what == code("session")) advance();  // in front of AUTHORIZATION
    const bool bare = ends() || at_word("default");
    switch (what) {
        case code("characteristics"):
            for (const char* name :
                 {"default_transaction_isolation", "default_transaction_read_only",
                  "default_transaction_deferrable"}) {
                variable(name, false);
            }
            return;
        case code("session"): return variable("session_authorization", at_word("default"));
        case code("time"):
            advance();  // ZONE
            return variable("TimeZone", at_word("default") || at_word("local"));
        case code("names"): return variable("client_encoding", bare);
        case code("schema"): return variable("search_path", false);
        case code("role"): return variable("role", false);
        case code("xml"): return variable("xmloption", false);
        default: return shown_variables();
    }
}

void Reader::reset() {
    advance();
    const Token next = peek();
    if (at_word("all")) {
        traces_ |= trace::variables;
        if (details_) details_->reset_all = true;
    } else if (at_word("time") && is_word(next, "zone")) {
        variable("TimeZone", true);
    } else if (at_word("transaction") && is_word(next, "isolation")) {
        variable("transaction_isolation", true);
    } else if (at_word("session") && is_word(next, "authorization")) {
        variable("session_authorization", true);
    } else if (is_name(token())) {
        assignment(false, true);
    }
}

void Reader::discard() {
    advance();
    if (at_word("all")) {
        traces_ |= trace::variables | trace::locks | trace::temporary | trace::cursors |
                   trace::statements | trace::channels | trace::sequences;
        if (details_) details_->reset_all = details_->discard_all = true;
    } else if (at_word("sequences")) {
        traces_ |= trace::sequences;
    } else if (at_word("temp") || at_word("temporary")) {
        traces_ |= trace::temporary;
    }
}

/// The token is the name.
void Reader::prepared(Details::Prepared::What what) {
    if (!details_ || ends()) return;
    const bool all = what == Details::Prepared::What::deallocate_all;
    details_->prepared.push_back({.what = what,
                                  .name = all ? std::string() : identifier_name(token()),
                                  .offset = static_cast<std::size_t>(token().begin - sql_.data()),
                                  .length = token().size});
}

/// The statement ends at the token.
void Reader::end_prepared() {
    if (!details_ || details_->prepared.empty()) return;
    const bool last_one = token().kind == TokenKind::end;
    const auto end = last_one ? sql_.size() : static_cast<std::size_t>(token().begin - sql_.data());
    std::size_t& last = details_->prepared.back().end;
    if (last == 0) last = end;
}

void Reader::prepare() {
    advance();
    if (at_word("transaction") && peek().kind != TokenKind::punctuation && !is_word(peek(), "as")) {
        return;
    }
    traces_ |= trace::statements;
    prepared(Details::Prepared::What::prepare);
}

void Reader::deallocate() {
    traces_ |= trace::statements;
    advance();
    if (at_word("prepare") && is_name(peek())) advance();
    prepared(at_word("all") ? Details::Prepared::What::deallocate_all
                            : Details::Prepared::What::deallocate);
}

void Reader::execute() {
    traces_ |= trace::executes;
    advance();
    prepared(Details::Prepared::What::execute);
}

void Reader::channel(Details::Channel::What what) {
    if (!details_ || ends()) return;
    const bool all = what == Details::Channel::What::unlisten_all;
    details_->channels.push_back({what, all ? std::string() : identifier_name(token())});
}

void Reader::listen() {
    traces_ |= trace::channels;
    advance();
    channel(Details::Channel::What::listen);
}

void Reader::unlisten() {
    traces_ |= trace::channels;
    advance();
    channel(token().is('*') ? Details::Channel::What::unlisten_all
                            : Details::Channel::What::unlisten);
}

void Reader::rollback() {
    advance();
    if (at_word("work") || at_word("transaction")) advance();
    if (at_word("to")) traces_ |= trace::savepoints;
}

}  // namespace

Traces traces_of(std::string_view sql, bool standard_strings) {
    return Reader(sql, standard_strings, nullptr).read();
}

Details details_of(std::string_view sql, bool standard_strings) {
    Details details;
    Reader(sql, standard_strings, &details).read();
    return details;
}

}  // namespace pgweir::router

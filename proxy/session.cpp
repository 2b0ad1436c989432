#include "proxy/session.hpp"

#include <algorithm>
#include <map>

#include "protocol/requests.hpp"
#include "router/settings.hpp"

namespace pgweir::proxy {

namespace trace = router::trace;
using protocol::quote_literal;
using protocol::same_name;
using router::Traces;

namespace {

constexpr Traces asked_about = trace::variables | trace::locks | trace::temporary | trace::cursors |
                               trace::statements | trace::channels;
constexpr std::size_t names_max = 100;      // variables asked for by name
constexpr std::size_t functions_max = 100;  // that one call may lead to
constexpr int rounds_max = 8;               // of questions about them

struct Pin {
    Traces bit;
    const char* text;
    const char* kind;      // first column of question()'s rows that mean it
    const char* question;  // gives rows when there is some
};

/// What a pin is, and how PostgreSQL says that it is there. Operators have their schema, because
/// the question is asked under the client's search_path.
constexpr Pin pins_table[] = {
    {trace::locks, "advisory lock", "l",
     "(SELECT 'l'::pg_catalog.text,NULL,NULL FROM pg_catalog.pg_locks "
     "WHERE locktype OPERATOR(pg_catalog.=) 'advisory' "
     "AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() LIMIT 1)"},
    {trace::temporary, "temporary object", "t",
     "SELECT 't'::pg_catalog.text,NULL,NULL "
     "WHERE CASE WHEN pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.=) 0 THEN false ELSE "
     "EXISTS(SELECT FROM pg_catalog.pg_class "
     "WHERE relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()) OR "
     "EXISTS(SELECT FROM pg_catalog.pg_type "
     "WHERE typnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()) OR "
     "EXISTS(SELECT FROM pg_catalog.pg_proc "
     "WHERE pronamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()) END"},
    {trace::cursors, "held cursor", "h",
     "(SELECT 'h'::pg_catalog.text,NULL,NULL FROM pg_catalog.pg_cursors "
     "WHERE is_holdable LIMIT 1)"},
    {trace::statements, "prepared statement", "p",
     "(SELECT 'p'::pg_catalog.text,NULL,NULL FROM pg_catalog.pg_prepared_statements "
     "WHERE from_sql AND NOT pg_catalog.starts_with(name, 'PGWEIR_') LIMIT 1)"},
    {trace::channels, "listening", "n",
     "SELECT 'n'::pg_catalog.text,channel,NULL FROM pg_catalog.pg_listening_channels() channel"},
    {trace::sequences, "sequence", "", ""},
    {trace::random_seed, "random seed", "", ""},
    {trace::library, "library", "", ""},
    {pin_custom, "custom variable", "", ""},
    {pin_unknown, "unknown", "", ""},
};

/// The same of a server that has the client's statements, those of the protocol too, and no others.
constexpr const char* own_names_question =
    "(SELECT 'p'::pg_catalog.text,NULL,NULL FROM pg_catalog.pg_prepared_statements LIMIT 1)";

void add_rows(std::string& sql, std::string_view rows) {
    if (!sql.empty()) sql += " UNION ALL ";
    sql += rows;
}

// Contexts that are hashes; those of StatementTable::own_context() are below.
constexpr std::uint64_t context_bit = std::uint64_t{1} << 63;

/// Variables that change nothing about what a text means.
bool means_nothing(std::string_view name) {
    constexpr std::string_view names[] = {"application_name", "statement_timeout", "lock_timeout",
                                          "idle_in_transaction_session_timeout"};
    return std::any_of(std::begin(names), std::end(names),
                       [name](std::string_view n) { return same_name(n, name); });
}

std::uint64_t hash_of(const protocol::VarSet& vars) {
    std::uint64_t hash = 0;
    for (const auto& [name, value] : vars.entries()) {
        if (means_nothing(name)) continue;
        hash = hash * 31 + std::hash<std::string_view>{}(name);
        hash = hash * 31 + std::hash<std::string_view>{}(value);
    }
    return hash;
}

bool is_custom(std::string_view name) { return name.find('.') != std::string_view::npos; }

/// By pg_settings.
bool is_shown(std::string_view name) {
    return !is_custom(name) && !same_name(name, "role") &&
           !same_name(name, "session_authorization");
}

/// The variables that parameters name. Where there is no Bind it may be any.
Traces name_parameters(router::Details& details, std::string_view bind) {
    if (details.variable_parameters.empty()) return 0;
    const auto read = protocol::read_bind(bind);
    Traces leaves = 0;
    for (const unsigned number : details.variable_parameters) {
        if (read.has_error() || number > read->values.size()) {
            details.all_variables = true;
        } else if (const auto& value = read->values[number - 1]) {
            leaves |= router::add_variable(details, *value);
        }
    }
    return leaves;
}

}  // namespace

std::string pin_text(Traces pins) {
    std::string text;
    for (const Pin& pin : pins_table) {
        if ((pins & pin.bit) == 0) continue;
        if (!text.empty()) text += ", ";
        text += pin.text;
    }
    return text;
}

std::optional<std::uint64_t> Session::context(std::uint64_t schema_epoch) const {
    constexpr Traces changing = trace::variables | trace::temporary;
    if (local_ || (pins_ & (changing | pin_unknown)) != 0) return std::nullopt;
    if (notes_ && (((notes_->open.about | notes_->asked.about) & changing) != 0 ||
                   !notes_->open.functions.empty()))
        return std::nullopt;
    if (hashed_ != vars_.get()) {
        hashed_ = vars_.get();
        hash_ = hash_of(*vars_);
        const std::string* const strings = vars_->find("standard_conforming_strings");
        warns_ = strings && *strings == "off";
    }
    if (warns_) return std::nullopt;
    return (hash_ ^ (schema_epoch * 0x9e3779b97f4a7c15u)) | context_bit;
}

Session::Session(protocol::VarTable& table, FunctionBook& book, protocol::Vars startup,
                 protocol::Vars own, const std::string& user)
    : table_(&table),
      book_(&book),
      startup_(startup),
      own_(std::move(own)),
      vars_(std::move(startup)),
      user_(&user) {}

Session::Notes& Session::notes() {
    if (!notes_) notes_ = std::make_unique<Notes>();
    return *notes_;
}

void Session::tidy_notes() {
    if (notes_ && notes_->empty()) notes_.reset();
}

void Session::forget_before() {
    notes_->before = nullptr;
    tidy_notes();
}

void Session::note(std::string_view sql, Traces traits, std::string_view bind) {
    constexpr Traces harmless = trace::notifies | trace::savepoints | trace::reads_sequences |
                                trace::routes | trace::local | trace::writes |
                                trace::shows_statements | trace::executes_text | trait_shareable;
    constexpr Traces notifying = trace::notifies | trace::functions | trace::anything;
    if ((traits & trace::reads_sequences) != 0) book_->sequences_are_read = true;
    local_ |= (traits & trace::local) != 0;
    if ((traits & trace::writes) != 0) wrote(), touch_sequences();
    may_notify_ |= (traits & notifying) != 0;
    if ((traits & ~harmless) != 0) note_traces(sql, traits & ~harmless, bind);
}

void Session::note_naming(std::string_view sql, Traces traits) {
    const Traces before = notes_ ? notes_->open.about : 0;
    note(sql, traits);
    const Traces asked = notes_ ? notes_->asked.about : 0;  // whose answer is still to come
    const bool asks =
        own_names_ || ((pins_ | asked) & trace::statements) != 0 || (traits & trace::anything) != 0;
    if (!asks && notes_) notes_->open.about &= ~trace::statements | before;
    tidy_notes();
}

std::string Session::giving_back(std::string_view sql) const {
    const router::Details details = router::details_of(sql);
    if (details.statements != 1) return {};
    std::string script;
    for (const auto& [name, value] : own_->entries()) {
        const bool who = same_name(name, "role") || same_name(name, "session_authorization");
        const auto same = [&name = name](const std::string& n) { return same_name(n, name); };
        const bool named = std::any_of(details.resets.begin(), details.resets.end(), same);
        if (!named && (who || !details.reset_all)) continue;
        script += script.empty() ? "SELECT " : ",";
        script += protocol::set_config(name, value);
    }
    return script;
}

bool Session::minds_sequences(Traces traits) const {
    if ((traits & trace::reads_sequences) != 0) return true;
    constexpr Traces discarding = trace::sequences | trace::statements;
    return (traits & discarding) == trace::sequences && book_->sequences_are_read;
}

void Session::touch_sequences() {
    sequences_ = true;
    if (book_->sequences_are_read) pins_ |= trace::sequences;
}

void Session::note_traces(std::string_view sql, Traces traces, std::string_view bind) {
    using What = router::Details::Channel::What;
    router::Details details = router::details_of(sql);
    traces |= name_parameters(details, bind);
    Doings doings{traces & ~trace::functions, details.variables, changes_more(details),
                  details.functions};
    if ((traces & trace::channels) != 0) {
        auto& changes = notes().changes;
        changes.insert(changes.end(), details.channels.begin(), details.channels.end());
        if (details.discard_all) changes.push_back({What::unlisten_all, {}});
    }
    if (details.reset_all) pins_ &= ~pin_custom;
    if (details.statements != 1) {  // giving_back() is for one
        Question& open = notes().open;
        open.reset_all |= details.reset_all;
        for (const std::string& name : details.resets) add_once(open.resets, name);
    }
    if (details.all_variables) doings.traces |= pin_custom;
    if ((traces & trace::statements) != 0) notes().prepared.add(doings);
    if ((traces & trace::executes) != 0 && notes_) doings.add(notes_->prepared);
    merge(doings);
    constexpr std::string_view discard = "discard";
    if (starts_with_word(sql, discard) && (traces & trace::sequences) != 0)
        pins_ &= ~trace::sequences;
}

void Session::note_behind_writes() {
    Doings doings;
    doings.functions.emplace_back(FunctionBook::behind_writes);
    if (!merge(doings)) book_->writes_leave_nothing = true;
}

void Session::note_unread() {
    Doings doings;
    doings.traces = trace::anything;
    merge(doings);
}

void Session::note_own_names() {
    own_names_ = true;
    notes().open.about |= trace::statements;
}

/// Adds what is done, and what the functions do that it calls. True: there may be something left
/// of it, or there are functions that are not known.
bool Session::merge(const Doings& doings) {
    Doings all = doings;
    bool leaves = false;
    Question& open = notes().open;
    for (std::size_t i = 0; i < all.functions.size(); ++i) {
        const std::string function = all.functions[i];
        if (i == functions_max) {
            all.traces |= trace::anything;
            break;
        }
        if (const std::optional<Doings> known = book_->find(function)) {
            all.add(*known);
        } else {
            add_once(open.functions, function);
            leaves = true;
        }
    }
    const bool anything = (all.traces & trace::anything) != 0;
    if ((all.traces & trace::sequences) != 0) touch_sequences();
    open.about |= anything ? asked_about : all.traces & asked_about;
    may_listen_ |= (open.about & trace::channels) != 0;
    local_ |= (all.traces & trace::local) != 0;
    pins_ |= all.traces & (spoiling | pin_custom);
    for (const std::string& name : all.variables) add_once(open.variables, name);
    open.all_variables |= anything || all.all_variables || open.variables.size() > names_max;
    tidy_notes();
    constexpr Traces leaving =
        asked_about | trace::anything | trace::sequences | spoiling | pin_custom;
    return leaves || (all.traces & leaving) != 0;
}

void Session::Question::add(const Question& other) {
    about |= other.about;
    all_variables |= other.all_variables;
    set_only |= other.set_only;
    reset_all |= other.reset_all;
    for (const std::string& name : other.variables) add_once(variables, name);
    for (const std::string& name : other.resets) add_once(resets, name);
    for (const std::string& name : other.functions) add_once(functions, name);
}

std::string Session::ask(bool failed) {
    auto& [open, asked, channels, changes, rounds, prepared, before] = notes();
    before = nullptr;
    if ((pins_ & pin_unknown) != 0) open.add(asked);  // the last question had no answer
    asked = {};
    open.set_only |= failed;
    if (open.functions.empty()) {
        asked = std::exchange(open, {});
        asked.set_only &= !asked.all_variables;
        return state_question(asked);
    }
    asked.functions = std::exchange(open.functions, {});
    return FunctionBook::question(asked.functions);
}

std::string Session::variables_question(const Question& asked) const {
    constexpr std::string_view set_ones =
        "SELECT 'v'::pg_catalog.text,name,pg_catalog.current_setting(name) "
        "FROM pg_catalog.pg_settings WHERE source OPERATOR(pg_catalog.=) 'session'";
    std::string sql, shown;
    for (const std::string& name : variables_to_ask(asked)) {
        const std::string literal = quote_literal(name);
        if (asked.set_only && is_shown(name)) {
            shown += (shown.empty() ? "pg_catalog.lower(" : ",pg_catalog.lower(") + literal + ")";
            continue;
        }
        add_rows(sql, "SELECT 'v'::pg_catalog.text," + literal + "::pg_catalog.text," +
                          "pg_catalog.current_setting(" + literal + ",true)");
    }
    if (asked.all_variables) add_rows(sql, set_ones);
    if (!shown.empty()) {
        add_rows(sql, set_ones);
        sql += " AND pg_catalog.lower(name) OPERATOR(pg_catalog.=) ANY (ARRAY[" + shown + "])";
    }
    return sql;
}

std::string Session::state_question(const Question& asked) const {
    std::string sql;
    if ((asked.about & trace::variables) != 0) sql = variables_question(asked);
    for (const Pin& pin : pins_table) {
        if ((asked.about & pin.bit) == 0 || !*pin.question) continue;
        add_rows(sql,
                 own_names_ && pin.bit == trace::statements ? own_names_question : pin.question);
    }
    return sql;
}

/// Those of whom pg_settings does not tell are asked for by name even where all are asked for.
std::vector<std::string> Session::variables_to_ask(const Question& asked) const {
    if (!asked.all_variables) return asked.variables;
    std::vector<std::string> names{"role", "session_authorization"};
    const auto add = [&names](const std::string& name) {
        if (is_custom(name)) add_once(names, name);
    };
    for (const std::string& name : asked.variables) add(name);
    for (const auto& [name, value] : vars_->entries()) add(name);
    for (const auto& [name, value] : startup_->entries()) add(name);
    return names;
}

void Session::answer(const std::vector<Row>& rows, const protocol::Vars& fresh,
                     protocol::Vars& have) {
    auto& [open, asked, channels, changes, rounds, prepared, before] = notes();
    asked_twice_ = false;
    if (!asked.functions.empty()) return learn_functions(rows);
    const Traces about = asked.about;
    if ((about & trace::variables) != 0) take_variables(asked, rows, fresh, have);
    pins_ &= ~(about | pin_unknown);
    if ((about & trace::channels) != 0) channels.emplace();
    for (const Row& row : rows) {
        if (channels && row[0] == "n") channels->push_back(row[1].value_or(""));
        for (const Pin& pin : pins_table) {
            if (*pin.kind && row[0] == pin.kind) pins_ |= pin.bit;
        }
    }
    if ((about & trace::statements) != 0 && (pins_ & trace::statements) == 0) prepared = {};
    rounds = 0;
    asked = {};
    tidy_notes();
}

std::optional<Session::Channels> Session::take_channels() {
    if (!notes_ || !notes_->channels) return std::nullopt;
    Channels taken{*std::exchange(notes_->channels, std::nullopt),
                   std::exchange(notes_->changes, {})};
    tidy_notes();
    return taken;
}

/// What was asked is asked again with the next question: the answer to that alone does not unpin.
void Session::no_answer() {
    pins_ |= pin_unknown;
    asked_twice_ = false;
    if (notes_) notes_->rounds = 0;
}

bool Session::ask_again() {
    if (std::exchange(asked_twice_, true)) return false;
    Question& open = notes().open;
    open.add(std::exchange(notes().asked, {}));
    return true;
}

void Session::server_lost() {
    pins_ = 0;
    own_names_ = false;
    if (!notes_) return;
    if (notes_->before) vars_ = std::move(notes_->before);
    Doings prepared = std::move(notes_->prepared);
    *notes_ = {};
    notes_->prepared = std::move(prepared);
    tidy_notes();
}

void Session::learn_functions(const std::vector<Row>& rows) {
    std::map<std::string, Doings> learnt;
    for (const std::string& function : notes().asked.functions)
        learnt[function];  // some are no functions
    std::size_t behind_writes = 0;
    for (const Row& row : rows) {
        Doings doings = FunctionBook::read(row[1].value_or(""), row[2].value_or(""));
        behind_writes += row[0] == FunctionBook::behind_writes ? 1 : 0;
        if (behind_writes == FunctionBook::behind_writes_max) doings.traces |= trace::anything;
        for (auto& [function, all] : learnt) {
            if (std::string_view(function).ends_with(row[0].value_or(""))) all.add(doings);
        }
    }
    notes().asked = {};
    if (++notes().rounds == rounds_max) return note_unread();
    for (const auto& [function, doings] : learnt) book_->learn(function, doings);
    for (const auto& [function, doings] : learnt) merge(doings);
}

/// What a client has of whose variables the server says nothing: its own of the start. But one that
/// it has set to the value of a new server is not `set` there, because protocol::set_script() got
/// that value by a RESET.
protocol::Vars Session::promised_when_reset(const Question& asked,
                                            const protocol::VarSet& fresh) const {
    protocol::Vars promised = startup_;
    if (asked.reset_all) return promised;
    for (const auto& [name, value] : vars_->entries()) {
        const std::string* const first = fresh.find(name);
        const auto same = [&name = name](const std::string& n) { return same_name(n, name); };
        if (first && *first == value && std::ranges::none_of(asked.resets, same))
            promised = table_->with(promised, name, value);
    }
    return promised;
}

void Session::take_variables(const Question& asked, const std::vector<Row>& rows,
                             const protocol::Vars& fresh, protocol::Vars& have) {
    // What nobody has set is as in a new server; the client has its own again.
    protocol::Vars there = asked.all_variables ? fresh : have;
    protocol::Vars promised = asked.all_variables ? promised_when_reset(asked, *fresh) : vars_;
    const auto as_new = [&](const protocol::Vars& vars, const std::string& name) {
        const std::string* const value = fresh->find(name);
        return value ? table_->with(vars, name, *value) : table_->without(vars, name);
    };
    for (const std::string& name : asked.variables) {
        if (!asked.set_only || !is_shown(name)) continue;
        there = as_new(there, name);
        promised = as_new(promised, name);
    }
    for (const Row& row : rows) {
        if (row[0] != "v" || !row[1]) continue;
        const std::string& name = *row[1];
        if (router::traces_of_variable(name) != trace::variables) continue;  // of a transaction
        const bool none = !row[2] || (same_name(name, "role") && *row[2] == "none") ||
                          (same_name(name, "session_authorization") && *row[2] == *user_);
        there = none ? table_->without(there, name) : table_->with(there, name, *row[2]);
        if (none && asked.all_variables) continue;
        promised = none ? table_->without(promised, name) : table_->with(promised, name, *row[2]);
    }
    have = std::move(there);
    vars_ = std::move(promised);
}

void Session::report(std::string_view name, std::string_view value) {
    if (protocol::Vars& before = notes().before; !before) before = vars_;
    vars_ = table_->with(vars_, name, value);
}

}  // namespace pgweir::proxy

#include "proxy/routing.hpp"

#include <algorithm>
#include <cctype>

#include "protocol/ascii.hpp"
#include "protocol/requests.hpp"
#include "protocol/vars.hpp"
#include "proxy/node_load.hpp"
#include "router/router.hpp"

namespace pgweir::proxy {

using protocol::same_name;
using protocol::TxStatus;
using router::OwnSetting;
using router::Verdict;

namespace {

constexpr protocol::Sqlstate undefined_object{"42704"};
constexpr protocol::Sqlstate invalid_parameter_value{"22023"};
constexpr protocol::Sqlstate in_failed_transaction{"25P02"};

/// Its first word, without what stands before it; empty when that is a comment.
std::string_view first_word(std::string_view sql) {
    const auto is_letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; };
    const auto from = std::find_if_not(sql.begin(), sql.end(), [](char c) {
        return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
    });
    return {from, std::find_if_not(from, sql.end(), is_letter)};
}

/// Does the batch give a statement a name? Then somebody has to keep it.
bool names_statement(protocol::Bytes unit) {
    while (!unit.empty()) {
        const auto cut = protocol::cut_frame(unit, protocol::payload_size_max);
        if (cut.cut != protocol::Cut::frame) return false;
        if (cut.frame.type == 'P' && !cut.frame.payload.starts_with('\0')) return true;
        unit.remove_prefix(cut.frame.size());
    }
    return false;
}

/// Does the batch ask for nothing that could fail?
bool only_closes(protocol::Bytes unit) {
    while (!unit.empty()) {
        const auto cut = protocol::cut_frame(unit, protocol::payload_size_max);
        const bool closes = cut.frame.type == 'C' || cut.frame.type == 'S' || cut.frame.type == 'H';
        if (cut.cut != protocol::Cut::frame || !closes) return false;
        unit.remove_prefix(cut.frame.size());
    }
    return true;
}

template <class Word>
struct Spelling {
    std::string_view text;
    Word word;
};

constexpr Spelling<Routing::Wish> wishes[] = {{"auto", Routing::Wish::automatic},
                                              {"primary", Routing::Wish::primary},
                                              {"replica", Routing::Wish::replica}};
constexpr Spelling<config::Consistency> consistencies[] = {
    {"eventual", config::Consistency::eventual},
    {"session", config::Consistency::session},
    {"global", config::Consistency::global}};

template <class Word, std::size_t size>
std::optional<Word> word_of(const Spelling<Word> (&all)[size], std::string_view text) {
    for (const auto& spelling : all) {
        if (same_name(spelling.text, text)) return spelling.word;
    }
    return std::nullopt;
}

template <class Word, std::size_t size>
std::string text_of(const Spelling<Word> (&all)[size], Word word) {
    for (const auto& spelling : all) {
        if (spelling.word == word) return std::string(spelling.text);
    }
    return {};
}

void merge(router::TransactionOptions& into, const router::TransactionOptions& later) {
    if (later.read_only) into.read_only = later.read_only;
    if (later.serializable) into.serializable = later.serializable;
    into.deferrable |= later.deferrable;
    into.repeatable_read = later.serializable ? later.repeatable_read : into.repeatable_read;
}

}  // namespace

bool Routing::is_setting(std::string_view name) {
    constexpr std::string_view prefix = "pgweir.";
    return same_name(name.substr(0, prefix.size()), prefix);
}

std::optional<protocol::Error> Routing::start(const Settings& settings) {
    for (const auto& [name, value] : settings) {
        if (auto error = set(protocol::folded(name), value, false)) return error;
    }
    startup_ = chosen_;
    return std::nullopt;
}

void Routing::move_in(const Settings& settings) {
    chosen_ = {};
    for (const auto& [name, value] : settings) set(name, value, false);
}

Routing::Settings Routing::entries_of(const Chosen& chosen) {
    Settings settings;
    if (chosen.wish != Wish::automatic)
        settings.emplace_back("pgweir.route", text_of(wishes, chosen.wish));
    if (chosen.consistency)
        settings.emplace_back("pgweir.consistency", text_of(consistencies, *chosen.consistency));
    return settings;
}

RouteReason reason_of(const Unit& unit) {
    if (!unit.verdict) return {Cause::unjudged};
    return {Cause::verdict, unit.verdict->reason};
}

Routing::Aim Routing::aim(const Unit& unit, const Defaults& defaults) const {
    if (rules_.role != config::TargetRole::any)
        return {rules_.role == config::TargetRole::replica, {Cause::entry_role}};
    const RouteReason what = reason_of(unit);
    const bool wished = chosen_.wish == Wish::replica && unit.verdict &&
                        unit.verdict->kind == Verdict::Kind::statement;
    if (!unit.read && !wished) {
        const bool node = unit.statements == 1 && unit.verdict && unit.verdict->tells_of_node;
        const bool alone = begun_.empty() && !unit.begins && text_.empty();
        return {false, what, node && alone && chosen_.wish == Wish::automatic && rules_.split};
    }
    if (chosen_.wish == Wish::primary) return {false, {Cause::route_setting}};
    const bool prefers_primary =
        rules_.preferred && rules_.preferred->target == config::Preference::Target::primary;
    if (chosen_.wish == Wish::automatic && prefers_primary) return {false, {Cause::preference}};
    if (!rules_.split && (!rules_.preferred || prefers_primary)) return {false, {Cause::split_off}};
    const RouteReason there = unit.read ? what : RouteReason{Cause::route_setting};
    const router::TransactionOptions* const options = !begun_.empty() ? &options_
                                                      : unit.begins   ? &*unit.begins
                                                                      : nullptr;
    const auto serializable = options ? options->serializable : std::nullopt;
    if (serializable.value_or(defaults.serializable)) return {false, {Cause::serializable}};
    if (!options) return {unit.statements > 0, there};
    const bool only_begins = unit.begins && unit.statements == 1;
    if (only_begins) return {false, what};
    if (!options->read_only.value_or(defaults.read_only) || options->snapshot)
        return {false, {Cause::in_transaction}};
    return {true, there};
}

void Routing::read(const protocol::Vars& vars) {
    const auto is = [&vars](std::string_view name, std::string_view value) {
        const std::string* const found = vars->find(name);
        return found && protocol::same_name(*found, value);
    };
    const std::string* const encoding = vars->find("client_encoding");
    const std::string* const path = vars->find("search_path");
    variables_ = {
        .of = vars,
        .search_path = path ? std::optional<std::string_view>(*path) : std::nullopt,
        .standard_strings = !is("standard_conforming_strings", "off"),
        .unsafe_encoding = encoding && router::is_unsafe_encoding(*encoding),
        .defaults = {.read_only = is("default_transaction_read_only", "on"),
                     .serializable = is("default_transaction_isolation", "serializable")}};
}

std::optional<LocalAnswer> Routing::answer(const Unit& unit, protocol::Bytes bytes,
                                           const std::optional<health::Token>& token) {
    // That the transaction was lost is told by the next message that an error is an answer to.
    if (failed_ && pending_ && only_closes(bytes))
        return LocalAnswer{.tag = "", .status = TxStatus::transaction};
    if (failed_) return fail_again(unit);
    if (unit.extent != Unit::Extent::closed || unit.statements != 1 || !unit.verdict)
        return std::nullopt;
    const Verdict& verdict = *unit.verdict;
    const bool plain_options = verdict.options.well_known && !verdict.options.snapshot;
    switch (verdict.kind) {
        case Verdict::Kind::begin:
            if (!begun_.empty() || !plain_options || first_word(unit.sql).empty()) break;
            if (names_statement(bytes)) break;
            return begin(unit);
        case Verdict::Kind::set_transaction:
            if (begun_.empty() || !plain_options || names_statement(bytes)) break;
            begun_ += ';';
            begun_ += unit.sql;
            merge(options_, verdict.options);
            return LocalAnswer{.tag = "SET", .status = TxStatus::transaction};
        case Verdict::Kind::end:
            if (begun_.empty() || verdict.chains || names_statement(bytes)) break;
            return end(unit);
        case Verdict::Kind::own: return apply(verdict.own, status(), token);
        default: break;
    }
    return std::nullopt;
}

std::optional<LocalAnswer> Routing::answer_in_transaction(
    const Unit& unit, TxStatus status, const std::optional<health::Token>& token) {
    const bool own = unit.statements == 1 && unit.verdict &&
                     unit.verdict->kind == Verdict::Kind::own &&
                     unit.extent == Unit::Extent::closed;
    if (!own || status == TxStatus::failed) return std::nullopt;
    return apply(unit.verdict->own, status, token);
}

LocalAnswer Routing::begin(const Unit& unit) {
    begun_ = unit.sql;
    options_ = unit.verdict->options;
    const bool start = same_name(first_word(unit.sql), "start");
    return {.tag = start ? "START TRANSACTION" : "BEGIN", .status = TxStatus::transaction};
}

LocalAnswer Routing::end(const Unit& unit) {
    const std::string_view word = first_word(unit.sql);
    const bool commits = same_name(word, "commit") || same_name(word, "end");
    transaction_over();
    return {.tag = commits ? "COMMIT" : "ROLLBACK", .status = TxStatus::idle};
}

/// As PostgreSQL answers in a failed transaction.
LocalAnswer Routing::fail_again(const Unit& unit) {
    const bool ends = unit.statements == 1 && unit.verdict &&
                      unit.verdict->kind == Verdict::Kind::end && !unit.verdict->chains;
    const std::string_view word = first_word(unit.sql);
    const bool commits = ends && (same_name(word, "commit") || same_name(word, "end"));
    LocalAnswer answer{.tag = "ROLLBACK", .status = ends ? TxStatus::idle : TxStatus::failed};
    if (pending_ && (!ends || commits)) {
        answer.error = pending_;
    } else if (!ends) {
        answer.error = protocol::Error{
            in_failed_transaction, protocol::Origin::proxy,
            "current transaction is aborted, commands ignored until end of transaction block"};
    }
    pending_.reset();
    if (ends) transaction_over();
    return answer;
}

LocalAnswer Routing::apply(const OwnSetting& own, TxStatus status,
                           const std::optional<health::Token>& token) {
    LocalAnswer answer{.tag = "SET", .status = status};
    const bool shows = own.action == OwnSetting::Action::show;
    if (!shows) {
        const bool set_it = own.action == OwnSetting::Action::set;
        answer.error = set(own.name, set_it ? own.value : std::string(), own.local);
        if (!set_it) answer.tag = "RESET";
    }
    if (shows || own.select) {
        answer.tag = own.select ? "SELECT 1" : "SHOW";
        const std::string function = shows ? "current_setting" : "set_config";
        answer.columns = {own.select ? function : own.name};
        answer.rows = {{shown(own.name, token)}};
    }
    if (answer.error && status == TxStatus::transaction) {
        answer.status = TxStatus::failed;
        fail();
    }
    return answer;
}

std::optional<protocol::Error> Routing::set(const std::string& name, const std::string& value,
                                            bool local) {
    const auto invalid = [&](std::string_view hint) {
        return protocol::Error{invalid_parameter_value,
                               protocol::Origin::proxy,
                               "invalid value for parameter \"" + name + "\": \"" + value + "\"",
                               {},
                               std::string(hint)};
    };
    const bool transaction = status() == TxStatus::transaction || in_transaction();
    if (local && !outside_ && transaction) outside_ = chosen_;
    if (local && !transaction) return std::nullopt;  // as PostgreSQL: it has no effect
    if (name == "pgweir.route") {
        const auto wish = value.empty() ? startup_.wish : word_of(wishes, value);
        if (!wish) return invalid("Available values: auto, primary, replica.");
        chosen_.wish = *wish;
        return std::nullopt;
    }
    if (name == "pgweir.consistency") {
        const auto level = word_of(consistencies, value);
        if (!level && !value.empty())
            return invalid("Available values: eventual, session, global.");
        chosen_.consistency = value.empty() ? startup_.consistency : level;
        return std::nullopt;
    }
    if (name == "pgweir.causal_token" || name == "pgweir.min_lsn") {
        if (value.empty()) return std::nullopt;
        claim_ = health::parse_token(value);
        return claim_ ? std::nullopt : std::optional(invalid("It is what SHOW gave elsewhere."));
    }
    return protocol::Error{undefined_object, protocol::Origin::proxy,
                           "unrecognized configuration parameter \"" + name + "\""};
}

std::string Routing::shown(const std::string& name,
                           const std::optional<health::Token>& token) const {
    if (name == "pgweir.route") return text_of(wishes, chosen_.wish);
    if (name == "pgweir.consistency") return text_of(consistencies, consistency());
    const bool of_log = name == "pgweir.causal_token" || name == "pgweir.lsn";
    return of_log && token ? health::format_token(*token) : std::string();
}

void Routing::leave_home() {
    if (!home) return;
    if (std::exchange(request.asked_us, 0) != 0) home->dropped();
    home->leave();
    home = nullptr;
    home_pool = nullptr;
}

void Routing::begins_there() {
    text_ = std::move(begun_);
    begun_.clear();
}

void Routing::transaction_over() {
    begun_.clear();
    text_.clear();
    options_ = {};
    failed_ = false;
    pending_.reset();
    if (!outside_) return;
    chosen_ = *outside_;
    outside_.reset();
}

void Routing::fail(std::optional<protocol::Error> pending) {
    begun_.clear();
    failed_ = true;
    pending_ = std::move(pending);
}

TxStatus Routing::status() const {
    if (failed_ && !pending_) return TxStatus::failed;
    return begun_.empty() && !failed_ ? TxStatus::idle : TxStatus::transaction;
}

}  // namespace pgweir::proxy

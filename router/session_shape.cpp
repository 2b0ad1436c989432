// BEGIN and its like, SET, SHOW, RESET, and the calls that are the same.
#include <algorithm>
#include <array>
#include <charconv>

#include "router/lexer.hpp"
#include "router/statement_shape.hpp"

namespace pgweir::router {

namespace {

// As pg_query.proto numbers them.
enum TransactionKind : std::uint8_t {
    kind_begin = 1,
    kind_start,
    kind_commit,
    kind_rollback,
    kind_savepoint,
    kind_release,
    kind_rollback_to,
    kind_prepare,
};
enum SetKind : std::uint8_t {
    set_value = 1,
    set_default,
    set_current,
    set_multi,
    set_reset,
    set_reset_all,
};

constexpr std::string_view own_prefix = "pgweir.";

/// A constant as SET takes it: 'text', word or number; with its sign, "1.5".
std::string constant(const Tree& tree) {
    if (tree.is("TypeCast")) return constant(tree.child("arg"));
    if (!tree.is("A_Const")) return {};
    if (const Tree value = tree.child("sval")) return std::string(value.text("sval"));
    if (const Tree value = tree.child("fval")) return std::string(value.text("fval"));
    if (const Tree value = tree.child("boolval"))
        return value.number("boolval") != 0 ? "true" : "false";
    if (const Tree value = tree.child("ival")) return std::to_string(value.number("ival"));
    return {};
}

bool is_constant(const Tree& tree) {
    return tree.is("A_Const") || (tree.is("TypeCast") && is_constant(tree.child("arg")));
}

/// As PostgreSQL reads a boolean: any beginning of these words that tells.
std::optional<bool> boolean(std::string_view text) {
    const std::string word = folded(text);
    if (word.empty()) return std::nullopt;
    const auto begins = [&](std::string_view whole, std::size_t least) {
        return word.size() >= least && whole.starts_with(word);
    };
    if (begins("true", 1) || begins("yes", 1) || word == "on" || word == "1") return true;
    if (begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0") return false;
    return std::nullopt;
}

/// One option by its name, `transaction_read_only`; `default_…` of the session is the same.
void read_option(std::string_view name, const std::string& value, TransactionOptions& options) {
    if (name.ends_with("isolation")) {
        const std::string level = folded(value);
        constexpr std::array levels = std::to_array<std::string_view>(
            {"serializable", "repeatable read", "read committed", "read uncommitted"});
        if (std::ranges::find(levels, level) == levels.end()) options.well_known = false;
        options.serializable = level == "serializable";
        options.repeatable_read = level == "repeatable read";
    } else if (name.ends_with("read_only")) {
        options.read_only = boolean(value);
        if (!options.read_only) options.well_known = false;
    } else if (name.ends_with("deferrable")) {
        const auto deferrable = boolean(value);
        if (!deferrable) options.well_known = false;
        options.deferrable = deferrable.value_or(false);
    } else {
        options.well_known = false;
    }
}

void read_options(const Tree& tree, std::string_view field, TransactionOptions& options) {
    tree.each(field, [&](const Tree& option) {
        read_option(option.text("defname"), constant(option.child("arg")), options);
    });
}

void primary(Shape& shape, Reason reason, std::string_view detail) {
    refuse_read(shape.verdict, reason, detail, false);
}

bool is_own(std::string_view name) { return name.starts_with(own_prefix); }

void own(Shape& shape, OwnSetting setting) {
    shape.verdict.kind = Verdict::Kind::own;
    shape.verdict.read = shape.verdict.dirties = false;
    shape.verdict.reason = Reason::own_setting;
    shape.verdict.detail = setting.name;
    shape.verdict.own = std::move(setting);
    shape.names = {};
    shape.literals = Shape::Literals::all;
}

bool is_of_transaction(std::string_view name) {
    return name == "transaction_isolation" || name == "transaction_read_only" ||
           name == "transaction_deferrable";
}

bool is_default_of_transaction(std::string_view name) {
    return name == "default_transaction_isolation" || name == "default_transaction_read_only" ||
           name == "default_transaction_deferrable";
}

void set_several(const Tree& tree, std::string_view name, Shape& shape) {
    shape.verdict.detail = name;
    if (name == "SESSION CHARACTERISTICS") return read_options(tree, "args", shape.verdict.options);
    shape.verdict.kind = Verdict::Kind::set_transaction;
    shape.verdict.reason = Reason::transaction;
    if (name == "TRANSACTION SNAPSHOT") {
        shape.verdict.options.snapshot = true;
        shape.verdict.options.well_known = false;
    } else {
        read_options(tree, "args", shape.verdict.options);
    }
}

}  // namespace

void read_transaction(const Tree& tree, Shape& shape) {
    Verdict& verdict = shape.verdict;
    const std::int64_t kind = tree.number("kind");
    if (kind >= kind_prepare)
        return refuse_read(verdict, Reason::two_phase, kind == kind_prepare ? "PREPARE" : "");
    primary(shape, Reason::transaction, "");
    switch (kind) {
        case kind_begin:
        case kind_start:
            verdict.kind = Verdict::Kind::begin;
            return read_options(tree, "options", verdict.options);
        case kind_commit:
        case kind_rollback:
            verdict.kind = Verdict::Kind::end;
            verdict.chains = tree.number("chain") != 0;
            return;
        default:
            verdict.follows = true;
            verdict.holds = kind == kind_savepoint;
            verdict.detail = "SAVEPOINT";
            return;
    }
}

void read_set(const Tree& tree, Shape& shape) {
    Verdict& verdict = shape.verdict;
    const std::int64_t kind = tree.number("kind");
    const std::string name(tree.text("name"));
    const std::string folded_name = folded(name);
    const bool local = tree.number("is_local") != 0;
    verdict.kind = Verdict::Kind::set;
    primary(shape, Reason::session_setting, name);
    if (kind == set_multi) return set_several(tree, name, shape);
    if (is_own(folded_name)) {
        const bool sets = kind == set_value;
        return own(shape, {.action = sets ? OwnSetting::Action::set : OwnSetting::Action::reset,
                           .name = folded_name,
                           .value = sets ? constant(tree.child("args")) : std::string(),
                           .local = local});
    }
    // Whoever sets a variable sets it to many values, so only those are remembered that tell.
    const bool of_transaction = is_of_transaction(folded_name);
    if (of_transaction || is_default_of_transaction(folded_name))
        shape.literals = Shape::Literals::all;
    if (kind == set_value && of_transaction) {
        verdict.kind = Verdict::Kind::set_transaction;
        verdict.reason = Reason::transaction;
        return read_option(folded_name, constant(tree.child("args")), verdict.options);
    }
    if (kind == set_value && is_default_of_transaction(folded_name))
        read_option(folded_name, constant(tree.child("args")), verdict.options);
    verdict.follows = verdict.holds = local;
}

void read_show(const Tree& tree, Shape& shape) {
    const std::string name = folded(tree.text("name"));
    if (is_own(name)) return own(shape, {.action = OwnSetting::Action::show, .name = name});
    shape.verdict.kind = Verdict::Kind::set;
    primary(shape, Reason::session_setting, name);
}

void read_own_call(const Tree& select, Shape& shape) {
    int targets = 0;
    bool alone = true;
    const bool whole = select.each([&](std::string_view field, const Tree&) {
        if (field == "target_list") {
            ++targets;
        } else {
            alone = false;
        }
    });
    const Tree call = select.child("target_list").child("val");
    if (!whole || !alone || targets != 1 || !call.is("FuncCall")) return;
    const QualifiedName function = qualified_name(call, "funcname");
    if (!function.schema.empty() && function.schema != "pg_catalog") return;

    std::array<std::string, 3> values;
    std::size_t count = 0;
    call.each("args", [&](const Tree& value) {
        alone = alone && is_constant(value);
        if (count < values.size()) values[count] = constant(value);
        ++count;
    });
    const std::string name = folded(values[0]);
    if (!alone || !is_own(name)) return;
    OwnSetting setting{.name = name, .select = true};
    if (function.name == "set_config" && count == 3) {
        setting.action = OwnSetting::Action::set;
        setting.value = values[1];
        setting.local = boolean(values[2]).value_or(false);
    } else if (function.name != "current_setting" || count > 2) {
        return;
    }
    own(shape, std::move(setting));
}

}  // namespace pgweir::router

#include "router/names_walk.hpp"

#include <algorithm>
#include <array>
#include <unordered_set>

namespace pgweir::router {

namespace {

/// Kinds whose parts are all there is to them.
const std::unordered_set<std::string_view>& plain_kinds() {
    static const std::unordered_set<std::string_view> kinds = {"ResTarget",
                                                               "A_Const",
                                                               "A_Star",
                                                               "ParamRef",
                                                               "BoolExpr",
                                                               "NullTest",
                                                               "BooleanTest",
                                                               "TypeCast",
                                                               "CollateClause",
                                                               "WindowDef",
                                                               "A_Indices",
                                                               "A_ArrayExpr",
                                                               "RowExpr",
                                                               "CaseWhen",
                                                               "CoalesceExpr",
                                                               "MinMaxExpr",
                                                               "SQLValueFunction",
                                                               "XmlExpr",
                                                               "XmlSerialize",
                                                               "RangeSubselect",
                                                               "RangeFunction",
                                                               "RangeTableFunc",
                                                               "RangeTableFuncCol",
                                                               "FromExpr",
                                                               "Alias",
                                                               "ColumnDef",
                                                               "CTESearchClause",
                                                               "CTECycleClause",
                                                               "GroupingSet",
                                                               "GroupingFunc",
                                                               "List",
                                                               "NamedArgExpr",
                                                               "SetToDefault",
                                                               "Integer",
                                                               "Float",
                                                               "Boolean",
                                                               "String",
                                                               "BitString",
                                                               "CommonTableExpr"};
    return kinds;
}

std::string_view literal(const Tree& tree) {
    if (!tree.is("A_Const")) return {};
    const Tree value = tree.child("sval");
    return value.is("String") ? value.text("sval") : std::string_view();
}

}  // namespace

void refuse_read(Verdict& verdict, Reason reason, std::string_view detail, bool dirties) {
    // The first that writes tells more than what only has to be on the primary.
    if (verdict.read || (dirties && !verdict.dirties)) {
        verdict.reason = reason;
        verdict.detail = detail;
    }
    verdict.read = false;
    verdict.dirties = verdict.dirties || dirties;
}

QualifiedName qualified_name(const Tree& tree, std::string_view field) {
    QualifiedName name;
    tree.each(field, [&](const Tree& part) {
        name.schema = std::move(name.name);
        name.name = part.text("sval");
    });
    return name;
}

void NamesWalk::against(Reason reason, std::string_view detail) {
    refuse_read(shape_.verdict, reason, detail);
}

template <class T>
void NamesWalk::note(std::vector<T>& list, T name) {
    constexpr std::size_t names_max = 1000;  // of a kind: each is compared with all others
    if (std::ranges::find(list, name) != list.end()) return;
    if (list.size() >= names_max) return against(Reason::too_long, "names");
    list.push_back(std::move(name));
}

void NamesWalk::children(const Tree& tree) {
    const bool whole = tree.each([&](std::string_view, const Tree& child) { visit(child); });
    if (!whole) against(Reason::node_unknown, tree.kind());
}

void NamesWalk::walk(const Tree& tree) {
    visit(tree);
    while (!pending_.empty()) {
        const Pending next = pending_.back();
        pending_.pop_back();
        scope_ = next.scope;
        const auto before = static_cast<std::ptrdiff_t>(pending_.size());
        look(next.tree);
        std::reverse(pending_.begin() + before, pending_.end());  // the first part first
    }
}

void NamesWalk::look(const Tree& tree) {
    if (!tree) return;
    const std::string_view kind = tree.kind();
    if (special(tree, kind)) return;
    if (plain_kinds().contains(kind)) {
        children(tree);
    } else {
        against(Reason::node_unknown, kind);
    }
}

bool NamesWalk::special(const Tree& tree, std::string_view kind) {
    struct Entry {
        std::string_view kind;
        void (NamesWalk::*visit)(const Tree&);
    };
    static constexpr std::array entries = std::to_array<Entry>({
        {"A_Expr", &NamesWalk::operation},
        {"A_Indirection", &NamesWalk::indirection},
        {"ColumnRef", &NamesWalk::column},
        {"FuncCall", &NamesWalk::call},
        {"RangeTableSample", &NamesWalk::sample},
        {"RangeVar", &NamesWalk::relation},
        {"SelectStmt", &NamesWalk::select},
        {"SubLink", &NamesWalk::sublink},
        {"TypeName", &NamesWalk::type},
    });
    const auto* const entry = std::ranges::find(entries, kind, &Entry::kind);
    if (entry != entries.end()) return (this->*entry->visit)(tree), true;

    if (kind == "CaseExpr") {
        if (tree.child("arg")) equality();
    } else if (kind == "JoinExpr") {
        if (tree.number("is_natural") != 0 || tree.child("using_clause")) equality();
    } else if (kind == "SortBy") {
        operator_name(tree, "use_op");
    } else if (kind == "IntoClause") {
        shape_.verdict.refused_read_only = true;
        return against(Reason::write, "INTO"), true;
    } else if (kind == "LockingClause") {
        shape_.verdict.refused_read_only = true;
        return against(Reason::lock, "FOR UPDATE"), true;
    } else if (kind == "InsertStmt" || kind == "UpdateStmt" || kind == "DeleteStmt" ||
               kind == "MergeStmt") {
        shape_.verdict.refused_read_only = true;
        return against(Reason::write, "WITH"), true;
    } else {
        return false;
    }
    return children(tree), true;
}

void NamesWalk::select(const Tree& tree) {
    // Its WITH comes late among its parts, and counts for all of them.
    if (const Tree clause = tree.child("with_clause")) with(clause);
    const bool whole = tree.each([&](std::string_view field, const Tree& child) {
        if (field != "with_clause") visit(child);
    });
    if (!whole) against(Reason::node_unknown, tree.kind());
}

void NamesWalk::with(const Tree& clause) {
    // With RECURSIVE all of its queries see all of its names, else only those before them.
    const bool recursive = clause.number("recursive") != 0;
    if (recursive) clause.each("ctes", [&](const Tree& cte) { add_cte(cte); });
    clause.each("ctes", [&](const Tree& cte) {
        children(cte);
        if (!recursive) add_cte(cte);
    });
}

void NamesWalk::add_cte(const Tree& cte) {
    ctes_.push_back({std::string(cte.text("ctename")), scope_});
    scope_ = ctes_.size() - 1;
}

bool NamesWalk::is_cte(std::string_view name) const {
    for (std::size_t at = scope_; at != 0; at = ctes_[at].outer) {
        if (ctes_[at].name == name) return true;
    }
    return false;
}

void NamesWalk::relation(const Tree& tree) {
    RelationName used{{std::string(tree.text("schemaname")), std::string(tree.text("relname"))},
                      tree.number("inh") == 0};
    const bool cte = used.name.schema.empty() && is_cte(used.name.name);
    if (!cte) note(shape_.names.relations, std::move(used));
}

void NamesWalk::call(const Tree& tree) {
    QualifiedName name = qualified_name(tree, "funcname");
    if (name.name == "current_setting" || name.name == "set_config") {
        shape_.literals = std::max(shape_.literals, Shape::Literals::setting_names);
        shape_.setting_names.emplace_back(literal(tree.child("args")));
        if (name.name == "current_setting") {
            setting_read(tree);
        } else {
            refuse_read(shape_.verdict, Reason::session_setting, name.name);
        }
    }
    note(shape_.names.functions, std::move(name));
    const bool whole = tree.each([&](std::string_view field, const Tree& child) {
        if (field != "funcname") visit(child);
    });
    if (!whole) against(Reason::node_unknown, tree.kind());
}

void NamesWalk::setting_read(const Tree& call) {
    std::string name(literal(call.child("args")));
    std::ranges::transform(name, name.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
    note(shape_.names.settings, std::move(name));
}

void NamesWalk::operator_name(const Tree& tree, std::string_view field) {
    QualifiedName name = qualified_name(tree, field);
    if (!name.name.empty()) note(shape_.names.operators, std::move(name));
}

void NamesWalk::equality() { note(shape_.names.operators, QualifiedName{"", "="}); }

void NamesWalk::operation(const Tree& tree) {
    const QualifiedName name = qualified_name(tree, "name");
    if (name.name.find("BETWEEN") != std::string::npos) {
        for (const char* const compared : {"<", ">", "<=", ">="})
            note(shape_.names.operators, QualifiedName{"", compared});
    } else {
        note(shape_.names.operators, name);
    }
    visit(tree.child("lexpr"));
    visit(tree.child("rexpr"));
}

void NamesWalk::sublink(const Tree& tree) {
    // x IN (SELECT …) has no name of an operator; EXISTS and the like have no test.
    if (tree.child("testexpr")) equality();
    operator_name(tree, "oper_name");
    visit(tree.child("testexpr"));
    visit(tree.child("subselect"));
}

void NamesWalk::type(const Tree& tree) {
    QualifiedName name = qualified_name(tree, "names");
    if (tree.number("pct_type") != 0) return against(Reason::type_unknown, "%TYPE");
    if (!name.name.empty()) note(shape_.names.types, std::move(name));
    tree.each("typmods", [&](const Tree& modifier) { visit(modifier); });
}

void NamesWalk::column(const Tree& tree) {
    int parts = 0;
    std::string_view last;
    tree.each("fields", [&](const Tree& field) {
        ++parts;
        last = field.text("sval");
    });
    if (parts > 1 && !last.empty()) note(shape_.names.attributes, std::string(last));
}

void NamesWalk::indirection(const Tree& tree) {
    visit(tree.child("arg"));
    tree.each("indirection", [&](const Tree& part) {
        if (part.is("String")) {
            note(shape_.names.attributes, std::string(part.text("sval")));
        } else {
            visit(part);
        }
    });
}

void NamesWalk::sample(const Tree& tree) {
    visit(tree.child("relation"));
    const QualifiedName method = qualified_name(tree, "method");
    // PostgreSQL's own two; others are functions of extensions.
    if (method.name != "bernoulli" && method.name != "system")
        against(Reason::function_unknown, method.name);
    tree.each("args", [&](const Tree& argument) { visit(argument); });
    visit(tree.child("repeatable"));
}

}  // namespace pgweir::router

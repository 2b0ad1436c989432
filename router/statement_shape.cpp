#include "router/statement_shape.hpp"

#include <algorithm>
#include <array>

namespace pgweir::router {

namespace {

constexpr std::int64_t cursor_hold = 0x20;  // CURSOR_OPT_HOLD

void to_primary(Shape& shape, Reason reason, std::string_view detail = {}) {
    refuse_read(shape.verdict, reason, detail);
}

void write(Shape& shape, std::string_view detail) {
    to_primary(shape, Reason::write, detail);
    shape.verdict.refused_read_only = true;
}

/// Session state without data: nothing is written, and it is no read either.
void session(Shape& shape, Reason reason, std::string_view detail) {
    shape.verdict.kind = Verdict::Kind::set;
    refuse_read(shape.verdict, reason, detail, false);
}

/// Belongs to the open transaction.
void follow(Shape& shape, Reason reason, std::string_view detail) {
    refuse_read(shape.verdict, reason, detail, false);
    shape.verdict.follows = true;
}

bool is_temporary(const Tree& relation) { return relation.text("relpersistence") == "t"; }

void walk(Shape& shape, const Tree& tree) { NamesWalk(shape).walk(tree); }

void copy(const Tree& tree, Shape& shape) {
    if (tree.number("is_from") != 0) return write(shape, "COPY");
    if (tree.number("is_program") != 0 || !tree.text("filename").empty())
        return to_primary(shape, Reason::server_file, "COPY");
    shape.to_stdout = true;
    if (const Tree relation = tree.child("relation")) walk(shape, relation);
    if (const Tree query = tree.child("query")) walk(shape, query);
}

void prepare(const Tree& tree, Shape& shape) {
    shape = shape_of_statement(tree.child("query"));
    Verdict& verdict = shape.verdict;
    tree.each("argtypes", [&](const Tree& type) { walk(shape, type); });
    verdict.kind = Verdict::Kind::set;
    verdict.prepares = tree.text("name");
    verdict.dirties = verdict.refused_read_only = verdict.alters = false;
}

void execute(const Tree& tree, Shape& shape) {
    shape.verdict.reason = Reason::prepared;
    shape.verdict.executes.emplace_back(tree.text("name"));
    tree.each("params", [&](const Tree& value) { walk(shape, value); });
}

void declare_cursor(const Tree& tree, Shape& shape) {
    walk(shape, tree.child("query"));
    shape.verdict.holds = true;
    if ((tree.number("options") & cursor_hold) != 0) to_primary(shape, Reason::cursor, "WITH HOLD");
}

void explain(const Tree& tree, Shape& shape) {
    // Planning alone runs functions as well, and where it runs is where it should be planned.
    shape = shape_of_statement(tree.child("query"));
}

void create_as(const Tree& tree, Shape& shape) {
    if (const Tree query = tree.child("query"); query.is("ExecuteStmt")) execute(query, shape);
    shape.verdict.alters = !is_temporary(tree.child("into").child("rel"));
    write(shape, "CREATE TABLE AS");
}

void discard(const Tree&, Shape& shape) { session(shape, Reason::session_setting, "DISCARD"); }

void select(const Tree& tree, Shape& shape) {
    walk(shape, tree);
    if (const Tree into = tree.child("into_clause"))
        shape.verdict.alters = !is_temporary(into.child("rel"));
    if (!shape.setting_names.empty()) read_own_call(tree, shape);
}

void code(Shape& shape, std::string_view word) {
    to_primary(shape, Reason::code, word);
    shape.verdict.alters = true;
}

/// Utility statements that leave alone what the catalog knows.
bool alters_nothing(std::string_view kind) {
    constexpr std::array kinds = std::to_array<std::string_view>(
        {"VacuumStmt", "CheckPointStmt", "ClusterStmt", "ReindexStmt", "RefreshMatViewStmt",
         "GrantStmt", "GrantRoleStmt", "CommentStmt", "SecLabelStmt", "AlterSystemStmt",
         "CreateRoleStmt", "CreateStatsStmt", "IndexStmt", "TruncateStmt", "CreatePublicationStmt",
         "CreateTrigStmt", "CreatedbStmt", "DropdbStmt", "AlterDefaultPrivilegesStmt"});
    return std::ranges::find(kinds, kind) != kinds.end();
}

/// Those that a READ ONLY transaction lets through on a primary.
bool passes_read_only(std::string_view kind) {
    constexpr std::array kinds = std::to_array<std::string_view>(
        {"VacuumStmt", "CheckPointStmt", "ClusterStmt", "ReindexStmt", "AlterSystemStmt"});
    return std::ranges::find(kinds, kind) != kinds.end();
}

void ddl(const Tree& tree, Shape& shape) {
    const std::string_view kind = tree.kind();
    to_primary(shape, Reason::ddl, kind.substr(0, kind.size() - std::string_view("Stmt").size()));
    Tree created;
    for (const std::string_view field : {"relation", "view", "sequence"}) {
        if (!created) created = tree.child(field);
    }
    shape.verdict.alters = !alters_nothing(kind) && !is_temporary(created);
    shape.verdict.refused_read_only = !passes_read_only(kind);
}

struct Entry {
    std::string_view kind;
    void (*read)(const Tree&, Shape&);
};

constexpr std::array entries = std::to_array<Entry>({
    {"SelectStmt", select},
    {"InsertStmt", [](const Tree&, Shape& shape) { write(shape, "INSERT"); }},
    {"UpdateStmt", [](const Tree&, Shape& shape) { write(shape, "UPDATE"); }},
    {"DeleteStmt", [](const Tree&, Shape& shape) { write(shape, "DELETE"); }},
    {"MergeStmt", [](const Tree&, Shape& shape) { write(shape, "MERGE"); }},
    {"TruncateStmt", [](const Tree&, Shape& shape) { write(shape, "TRUNCATE"); }},
    {"CopyStmt", copy},
    {"ExplainStmt", explain},
    {"TransactionStmt", read_transaction},
    {"VariableSetStmt", read_set},
    {"VariableShowStmt", read_show},
    {"DiscardStmt", discard},
    {"PrepareStmt", prepare},
    {"ExecuteStmt", execute},
    {"DeallocateStmt",
     [](const Tree&, Shape& shape) { session(shape, Reason::prepared, "DEALLOCATE"); }},
    {"DeclareCursorStmt", declare_cursor},
    {"FetchStmt", [](const Tree&, Shape& shape) { follow(shape, Reason::cursor, "FETCH"); }},
    {"ClosePortalStmt", [](const Tree&, Shape& shape) { follow(shape, Reason::cursor, "CLOSE"); }},
    {"ListenStmt",
     [](const Tree&, Shape& shape) { session(shape, Reason::notification, "LISTEN"); }},
    {"UnlistenStmt",
     [](const Tree&, Shape& shape) { session(shape, Reason::notification, "UNLISTEN"); }},
    {"NotifyStmt",
     [](const Tree&, Shape& shape) { to_primary(shape, Reason::notification, "NOTIFY"); }},
    {"LockStmt", [](const Tree&, Shape& shape) { to_primary(shape, Reason::lock, "LOCK"); }},
    {"DoStmt", [](const Tree&, Shape& shape) { code(shape, "DO"); }},
    {"CallStmt", [](const Tree&, Shape& shape) { code(shape, "CALL"); }},
    {"LoadStmt", [](const Tree&, Shape& shape) { to_primary(shape, Reason::server_file, "LOAD"); }},
    {"ConstraintsSetStmt",
     [](const Tree&, Shape& shape) {
         follow(shape, Reason::transaction, "SET CONSTRAINTS");
         shape.verdict.holds = true;
     }},
    {"CreateTableAsStmt", create_as},
});

}  // namespace

Shape shape_of_statement(const Tree& statement) {
    Shape shape;
    shape.verdict.read = true;
    const auto* const entry = std::ranges::find(entries, statement.kind(), &Entry::kind);
    if (entry != entries.end()) {
        entry->read(statement, shape);
    } else if (statement) {
        ddl(statement, shape);
    } else {
        to_primary(shape, Reason::node_unknown, "");
    }
    return shape;
}

}  // namespace pgweir::router

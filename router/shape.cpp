#include "router/shape.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

#include "router/lexer.hpp"
#include "router/statement_shape.hpp"
#include "router/tree.hpp"

namespace pgweir::router {

namespace {

/// What libpg_query says of a text; freed with it. Its memory belongs to the thread.
class Parse {
public:
    explicit Parse(const std::string& sql) : result_(pg_query_parse_protobuf(sql.c_str())) {}
    ~Parse() { pg_query_free_protobuf_parse_result(result_); }
    Parse(const Parse&) = delete;
    Parse& operator=(const Parse&) = delete;

    std::string_view error() const {
        return result_.error ? result_.error->message : std::string_view();
    }
    bool failed() const { return result_.error != nullptr; }
    Tree tree() const {
        return {pg_query__parse_result__descriptor,
                std::string_view(result_.parse_tree.data, result_.parse_tree.len)};
    }

private:
    PgQueryProtobufParseResult result_;
};

Shape unreadable(Reason reason, std::string_view detail) {
    Shape shape;
    refuse_read(shape.verdict, reason, detail);
    return shape;
}

template <class T>
void unite(std::vector<T>& into, std::vector<T>&& from) {
    for (T& one : from) {
        if (std::ranges::find(into, one) == into.end()) into.push_back(std::move(one));
    }
}

void unite(NamesUsed& into, NamesUsed&& from) {
    unite(into.functions, std::move(from.functions));
    unite(into.operators, std::move(from.operators));
    unite(into.types, std::move(from.types));
    unite(into.relations, std::move(from.relations));
    unite(into.attributes, std::move(from.attributes));
    unite(into.settings, std::move(from.settings));
}

/// One more statement of the same text: all run in one transaction, on one node.
void unite(Shape& into, Shape&& next) {
    Verdict& verdict = into.verdict;
    const Verdict& other = next.verdict;
    if (!other.read) refuse_read(verdict, other.reason, other.detail, other.dirties);
    const auto keeps = [](const Verdict& v) {
        return v.kind == Verdict::Kind::statement && !v.follows;
    };
    if (!keeps(verdict) || !keeps(other)) {
        verdict.kind = Verdict::Kind::several;
        refuse_read(verdict, Reason::several, "");
        verdict.reason = Reason::several;
        verdict.detail.clear();
    }
    verdict.refused_read_only = verdict.refused_read_only || other.refused_read_only;
    verdict.holds = verdict.holds || other.holds;
    verdict.alters = verdict.alters || other.alters;
    unite(verdict.executes, std::vector(other.executes));
    unite(into.names, std::move(next.names));
    into.literals = std::max(into.literals, next.literals);
    into.to_stdout |= next.to_stdout;
    std::ranges::move(next.setting_names, std::back_inserter(into.setting_names));
}

constexpr std::size_t deepening_max = 4000;         // 350 bytes of stack and 5 µs each
constexpr std::size_t always_fine = deepening_max;  // bytes: a level takes one at least

bool deepens(const Token& token) {
    if (token.kind == TokenKind::operation) return true;
    if (token.kind == TokenKind::punctuation)
        return token.is('(') || token.is('[') || token.text() == "::" || token.is('.');
    if (token.kind != TokenKind::identifier) return token.kind == TokenKind::error;
    static constexpr std::array words = std::to_array<std::string_view>(
        {"union", "except", "intersect", "join", "not", "collate", "at", "is", "in", "between",
         "like", "ilike", "similar", "isnull", "notnull", "overlaps", "case", "select", "with"});
    return std::ranges::any_of(words, [&](auto word) { return is_word(token, word); });
}

}  // namespace

bool is_too_deep(std::string_view skeleton) {
    if (skeleton.size() <= always_fine) return false;
    std::size_t level = 0;
    Lexer lexer(skeleton);
    for (Token token = lexer.next(); token.kind != TokenKind::end; token = lexer.next()) {
        // A parenthesis that is closed has no part in what is deep behind it.
        if (token.is(')') || token.is(']')) level -= level > 0 ? 1 : 0;
        if (deepens(token) && !token.is('.') && ++level > deepening_max) return true;
    }
    return false;
}

Shape shape_of(std::string_view sql) {
    if (sql.find('\0') != std::string_view::npos) return unreadable(Reason::parse_error, "NUL");
    const Parse parse((std::string(sql)));
    if (parse.failed()) return unreadable(Reason::parse_error, parse.error());

    std::optional<Shape> whole;
    parse.tree().each("stmts", [&](const Tree& raw) {
        Shape one = shape_of_statement(raw.child("stmt"));
        if (whole) {
            unite(*whole, std::move(one));
        } else {
            whole = std::move(one);
        }
    });
    if (whole) return *std::move(whole);
    Shape empty;
    empty.verdict.kind = Verdict::Kind::empty;
    empty.verdict.read = true;
    empty.verdict.reason = Reason::empty;
    return empty;
}

std::size_t Shape::bytes() const {
    const auto text = [](const std::string& s) {
        return sizeof s + (s.capacity() > 15 ? s.capacity() : 0);
    };
    std::size_t sum = sizeof *this + verdict.detail.capacity();
    for (const auto* list : {&names.functions, &names.operators, &names.types}) {
        for (const QualifiedName& name : *list) sum += text(name.schema) + text(name.name);
    }
    for (const RelationName& used : names.relations)
        sum += sizeof used.only + text(used.name.schema) + text(used.name.name);
    for (const auto* list : {&names.attributes, &names.settings, &verdict.executes}) {
        for (const std::string& name : *list) sum += text(name);
    }
    return sum;
}

}  // namespace pgweir::router

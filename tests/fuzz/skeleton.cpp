// SQL from anywhere: what the parser finds in a text and in its skeleton is the same, so a verdict
// on one is right for the other.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "router/shape.hpp"
#include "router/skeleton.hpp"
#include "tests/fuzz/targets.hpp"

namespace pgweir::fuzz {

namespace {

using pgweir::router::Reason;
using pgweir::router::Shape;
using pgweir::router::Verdict;

/// What another text of the skeleton would be taken for.
bool alike(const Verdict& a, const Verdict& b) {
    return a.kind == b.kind && a.read == b.read && a.reason == b.reason && a.follows == b.follows &&
           a.refused_read_only == b.refused_read_only && a.options == b.options &&
           a.executes == b.executes && a.prepares == b.prepares;
}

/// In an order of their own: a list cut short may change which operator comes first.
pgweir::router::NamesUsed sorted(pgweir::router::NamesUsed names) {
    std::ranges::sort(names.functions);
    std::ranges::sort(names.operators);
    std::ranges::sort(names.types);
    std::ranges::sort(names.relations);
    std::ranges::sort(names.attributes);
    return names;
}

void compare(const Shape& whole, const Shape& bare) {
    if (!alike(whole.verdict, bare.verdict) || !(sorted(whole.names) == sorted(bare.names)))
        std::abort();
}

/// Where the longer skeleton has all names of settings, nothing else may count.
void compare_named(const std::string& sql, const Shape& whole) {
    std::string room;
    const auto longer = pgweir::router::setting_skeleton_of(sql, room);
    if (!longer || longer->size() > sql.size()) std::abort();
    if (std::ranges::find(whole.setting_names, "") != whole.setting_names.end()) return;
    const Shape named = pgweir::router::shape_of(*longer);
    if (named.verdict.reason == Reason::parse_error) return;
    if (named.literals == whole.literals && named.setting_names == whole.setting_names)
        compare(whole, named);
}

}  // namespace

void skeleton(std::string_view input) {
    const std::string sql(input);
    if (sql.size() > 4096) return;  // depth is the stack's, and limited elsewhere
    std::string room, again;
    const auto skeleton = pgweir::router::skeleton_of(sql, room);
    if (!skeleton) return;
    if (skeleton->size() > sql.size()) std::abort();
    if (pgweir::router::skeleton_of(*skeleton, again) != skeleton) std::abort();

    const Shape whole = pgweir::router::shape_of(sql);
    const Shape bare = pgweir::router::shape_of(*skeleton);
    const bool count = whole.literals != Shape::Literals::nothing;
    if (count != (bare.literals != Shape::Literals::nothing) &&
        whole.verdict.reason != Reason::parse_error && bare.verdict.reason != Reason::parse_error)
        std::abort();
    // A wrong escape is an error in one of them only: that is for the server to tell.
    if (whole.verdict.reason == Reason::parse_error || bare.verdict.reason == Reason::parse_error)
        return;
    if (whole.to_stdout != bare.to_stdout) return;  // the name of a file counts
    if (!count) compare(whole, bare);
    if (whole.literals == Shape::Literals::setting_names) compare_named(sql, whole);
}

}  // namespace pgweir::fuzz

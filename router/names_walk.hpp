// Walks the expressions of a parsed query and notes the names in it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "router/shape.hpp"
#include "router/tree.hpp"

namespace pgweir::router {

/// One walk through the queries of one statement. What is against reading goes into the shape's
/// verdict, names into its lists. Every kind of node it does not know is against it.
class NamesWalk {
public:
    explicit NamesWalk(Shape& shape) : shape_(shape) {}

    void walk(const Tree& tree);

private:
    /// A name of a WITH query, and those that held around it.
    struct Cte {
        std::string name;
        std::size_t outer;
    };
    /// A part that is still to be looked at, with the names that hold there. Trees are as deep as
    /// somebody likes, so nothing here calls itself.
    struct Pending {
        Tree tree;
        std::size_t scope;
    };

    void visit(const Tree& tree) { pending_.push_back({tree, scope_}); }
    void look(const Tree& tree);
    bool is_cte(std::string_view name) const;
    void add_cte(const Tree& cte);
    template <class T>
    void note(std::vector<T>& list, T name);
    void children(const Tree& tree);
    void select(const Tree& tree);
    void with(const Tree& clause);
    void call(const Tree& tree);
    void operation(const Tree& tree);
    void operator_name(const Tree& tree, std::string_view field);
    void type(const Tree& tree);
    void relation(const Tree& tree);
    void column(const Tree& tree);
    void indirection(const Tree& tree);
    void setting_read(const Tree& call);
    void sample(const Tree& tree);
    void sublink(const Tree& tree);
    void equality();
    bool special(const Tree& tree, std::string_view kind);
    void against(Reason reason, std::string_view detail);

    Shape& shape_;
    std::vector<Cte> ctes_{{{}, 0}};  // a scope is the place of its innermost; 0 = none
    std::size_t scope_ = 0;
    std::vector<Pending> pending_;  // the next last
};

/// What the strings of a list of names say: schema and name, without the database.
QualifiedName qualified_name(const Tree& tree, std::string_view field);

/// A statement that goes to the primary for this reason, unless it has a stronger one already.
void refuse_read(Verdict& verdict, Reason reason, std::string_view detail, bool dirties = true);

}  // namespace pgweir::router

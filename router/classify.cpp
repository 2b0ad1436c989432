#include "router/classify.hpp"

#include <algorithm>
#include <array>

#include "router/names_walk.hpp"

namespace pgweir::router {

namespace {

/// Settings that every server is given as the client has them, and those that are alike on all
/// nodes: asking a replica is as good. Others may be the node's own.
bool is_alike(std::string_view setting) {
    constexpr std::array alike = std::to_array<std::string_view>(
        {"application_name", "bytea_output", "client_encoding", "datestyle", "extra_float_digits",
         "intervalstyle", "role", "search_path", "server_encoding", "server_version",
         "server_version_num", "standard_conforming_strings", "timezone"});
    return setting.find('.') != std::string_view::npos ||
           std::ranges::find(alike, setting) != alike.end();
}

std::string shown(const QualifiedName& name) {
    return name.schema.empty() ? name.name : name.schema + "." + name.name;
}

class Judgement {
public:
    Judgement(const Shape& shape, const Conditions& conditions, const SearchPath& path)
        : names_(shape.names),
          conditions_(conditions),
          catalog_(*conditions.catalog),
          path_(path),
          verdict_(shape.verdict) {}

    Verdict run() {
        for (const QualifiedName& name : names_.functions) function(name);
        for (const QualifiedName& name : names_.operators)
            take(catalog_.operation(name, path_), Reason::operator_unknown, name);
        for (const QualifiedName& name : names_.types)
            take(catalog_.type(name, path_), Reason::type_unknown, name);
        for (const RelationName& used : names_.relations)
            take(catalog_.relation(used.name, used.only, path_), Reason::relation_unknown,
                 used.name);
        for (const std::string& name : names_.attributes) {
            if (catalog_.attribute_writes(name)) refuse(Reason::attribute, name);
        }
        for (const std::string& setting : names_.settings) {
            if (!catalog_.settings_alike() && !is_alike(setting))
                refuse(Reason::function_node, "current_setting", false);
        }
        verdict_.tells_of_node = !verdict_.read && only_node_;
        return std::move(verdict_);
    }

private:
    void refuse(Reason reason, std::string_view detail, bool dirties = true) {
        only_node_ &= reason == Reason::function_node && !dirties;
        refuse_read(verdict_, reason, detail, dirties);
    }

    /// A call may be a function, or a cast to the type of that name.
    void function(const QualifiedName& name) {
        if (conditions_.seeded && name.name == "random") refuse(Reason::random_seeded, name.name);
        std::optional<Finding> found = catalog_.function(name, path_);
        if (const auto type = catalog_.type(name, path_)) {
            if (!found) found.emplace();
            found->add(*type);
        }
        take(found, Reason::function_unknown, name);
    }

    void take(const std::optional<Finding>& found, Reason unknown, const QualifiedName& name) {
        if (!found) {
            refuse(unknown, shown(name));
        } else if (found->effect != Effect::reads) {
            refuse(found->reason, shown(name), found->effect == Effect::writes);
        }
    }

    const NamesUsed& names_;
    const Conditions& conditions_;
    const Catalog& catalog_;
    const SearchPath& path_;
    Verdict verdict_;
    bool only_node_ = true;  // nothing else has been found
};

}  // namespace

Verdict classify(const Shape& shape, const Conditions& conditions, const SearchPath& path) {
    Verdict verdict = shape.verdict;
    verdict.shows = !verdict.read || !shape.names.empty();
    if (shape.names.empty() || (!verdict.read && verdict.prepares.empty())) return verdict;
    if (!conditions.catalog || conditions.suspect) {
        refuse_read(verdict, conditions.catalog ? Reason::catalog_suspect : Reason::catalog_missing,
                    "");
    } else {
        verdict = Judgement(shape, conditions, path).run();
    }
    if (!verdict.prepares.empty()) verdict.dirties = false;  // only an EXECUTE would do it
    return verdict;
}

}  // namespace pgweir::router

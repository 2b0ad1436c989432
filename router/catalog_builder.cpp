// What the rows say; what follows from it is in catalog_closure.cpp.
#include "router/catalog_builder.hpp"

#include <array>
#include <charconv>

namespace pgweir::router {

namespace {

using Row = CatalogBuilder::Row;

constexpr std::array<std::size_t, static_cast<std::size_t>(CatalogPart::count)> columns = {
    1, 2, 3, 2, 9, 2, 8, 2, 4, 3, 2, 5, 2, 2, 2};

/// One row's values by their places; what is not there or no number is 0 or "".
struct Values {
    Row row;

    std::string_view text(std::size_t at) const { return row[at].value_or(std::string_view()); }
    char letter(std::size_t at) const { return text(at).empty() ? '\0' : text(at).front(); }
    std::uint32_t number(std::size_t at) const {
        std::uint32_t value = 0;
        const std::string_view digits = text(at);
        std::from_chars(digits.data(), digits.data() + digits.size(), value);
        return value;
    }
};

constexpr std::uint32_t first_user_oid = 16384;  // FirstNormalObjectId

}  // namespace

bool CatalogBuilder::take(Row row) {
    if (row.empty()) return false;
    return take(static_cast<CatalogPart>(Values{row}.number(0)), row.subspan(1));
}

bool CatalogBuilder::take(CatalogPart part, Row row) {
    if (part >= CatalogPart::count || row.size() != columns[static_cast<std::size_t>(part)])
        return false;
    return take_setting(part, row) || take_object(part, row) || take_tree(part, row);
}

bool CatalogBuilder::take_setting(CatalogPart part, Row row) {
    const Values values{row};
    switch (part) {
        case CatalogPart::version: version_ = values.text(0); return true;
        case CatalogPart::settings:
            base_path_ = values.text(0);
            user_ = values.text(1);
            return true;
        case CatalogPart::paths:
            paths_.push_back({std::string(values.text(0)), std::string(values.text(2)),
                              values.letter(1) == 't'});
            return true;
        case CatalogPart::schemas: schemas_[values.number(0)] = values.text(1); return true;
        default: return false;
    }
}

bool CatalogBuilder::take_object(CatalogPart part, Row row) {
    const Values values{row};
    const std::uint32_t oid = values.number(0), second = values.number(1);
    switch (part) {
        case CatalogPart::types: {
            Type type{.schema = second,
                      .name = std::string(values.text(2)),
                      .kind = values.letter(3),
                      .base = values.number(4),
                      .element = values.number(5),
                      .input = values.number(6),
                      .output = values.number(7),
                      .modifier = values.number(8)};
            types_.emplace(oid, std::move(type));
            return true;
        }
        case CatalogPart::columns: types_[oid].columns.push_back(second); return true;
        case CatalogPart::functions: {
            Function function{.schema = second,
                              .name = std::string(values.text(2)),
                              .volatility = values.letter(3),
                              .kind = values.letter(4),
                              .arguments = values.number(5),
                              .optional = values.number(6),
                              .types = std::string(values.text(7)),
                              .user = oid >= first_user_oid};
            functions_.emplace(oid, std::move(function));
            return true;
        }
        case CatalogPart::aggregates: support_[oid].push_back(second); return true;
        case CatalogPart::operators:
            operators_[oid] = {second, std::string(values.text(2)), values.number(3)};
            return true;
        case CatalogPart::casts:
            // A cast to one of PostgreSQL's types takes part only where its source does, which is
            // not to be seen: see remark().
            if (oid < first_user_oid && values.number(2) >= first_user_oid) {
                outward_casts_.emplace_back(values.number(2), second);
            } else {
                types_[oid].casts.push_back(second);
            }
            return true;
        case CatalogPart::relations: {
            Relation relation{.schema = second,
                              .name = std::string(values.text(2)),
                              .kind = values.letter(3),
                              .persistence = values.letter(4)};
            relations_.emplace(oid, std::move(relation));
            return true;
        }
        case CatalogPart::inherits: {
            // Indexes have parents as well, and are no relations here.
            const auto parent = relations_.find(oid);
            if (parent != relations_.end()) parent->second.children.push_back(second);
            return true;
        }
        default: return false;
    }
}

bool CatalogBuilder::take_tree(CatalogPart part, Row row) {
    const Values values{row};
    const std::uint32_t oid = values.number(0);
    const NodeRefs refs = refs_of(values.text(1));
    if (part == CatalogPart::checks) {
        types_[oid].checks.add(refs);
        return true;
    }
    const auto relation = relations_.find(oid);
    if (relation == relations_.end()) return true;  // a temporary one's
    (part == CatalogPart::rules ? relation->second.rule : relation->second.policies).add(refs);
    return true;
}

}  // namespace pgweir::router

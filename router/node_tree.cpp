#include "router/node_tree.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace pgweir::router {

namespace {

using Oids = std::vector<std::uint32_t>;

struct Field {
    std::string_view name;  // with the blank behind it
    Oids NodeRefs::*list;
};

constexpr std::array fields = std::to_array<Field>({
    {"funcid ", &NodeRefs::functions},
    {"opfuncid ", &NodeRefs::functions},
    {"aggfnoid ", &NodeRefs::functions},
    {"winfnoid ", &NodeRefs::functions},
    {"hashfuncid ", &NodeRefs::functions},
    {"negfuncid ", &NodeRefs::functions},
    {"opno ", &NodeRefs::operators},
    {"eqop ", &NodeRefs::operators},
    {"sortop ", &NodeRefs::operators},
    {"relid ", &NodeRefs::relations},
    {"resulttype ", &NodeRefs::types},
});

void note(Oids& list, std::uint32_t oid) {
    if (oid != 0 && std::ranges::find(list, oid) == list.end()) list.push_back(oid);
}

}  // namespace

void NodeRefs::add(const NodeRefs& other) {
    for (const auto list :
         {&NodeRefs::functions, &NodeRefs::operators, &NodeRefs::relations, &NodeRefs::types}) {
        for (const std::uint32_t oid : other.*list) note(this->*list, oid);
    }
    locks_rows = locks_rows || other.locks_rows;
}

NodeRefs refs_of(std::string_view tree) {
    NodeRefs refs;
    for (std::size_t at = tree.find(':'); at != std::string_view::npos; at = tree.find(':', at)) {
        const std::string_view rest = tree.substr(++at);
        if (rest.starts_with("rowMarks (")) refs.locks_rows = true;
        const auto* const field = std::ranges::find_if(
            fields, [&](const Field& known) { return rest.starts_with(known.name); });
        if (field == fields.end()) continue;
        const std::string_view digits = rest.substr(field->name.size());
        std::uint32_t oid = 0;
        if (std::from_chars(digits.data(), digits.data() + digits.size(), oid).ec == std::errc())
            note(refs.*field->list, oid);
    }
    return refs;
}

}  // namespace pgweir::router

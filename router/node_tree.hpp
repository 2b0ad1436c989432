// A pg_node_tree as text: which functions, relations and types a stored view, rule, policy or check
// uses.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace pgweir::router {

struct NodeRefs {
    std::vector<std::uint32_t> functions, operators, relations, types;  // oids, each once
    bool locks_rows = false;

    void add(const NodeRefs& other);
};

/// Reads the fields that hold oids and skips whatever else there is. A name that looks like one of
/// them only adds to what is found.
NodeRefs refs_of(std::string_view tree);

}  // namespace pgweir::router

#include <array>

#include "router/verdict.hpp"

namespace pgweir::router {

std::string_view reason_text(Reason reason) {
    constexpr std::array words = std::to_array<std::string_view>({
        "read",
        "empty",
        "write",
        "ddl",
        "lock",
        "code",
        "transaction",
        "two_phase",
        "session_setting",
        "own_setting",
        "prepared",
        "cursor",
        "notification",
        "server_file",
        "several",
        "function_volatile",
        "function_node",
        "function_unknown",
        "sequence",
        "random_seeded",
        "attribute",
        "operator_volatile",
        "operator_unknown",
        "type_volatile",
        "type_unknown",
        "relation_unlogged",
        "relation_foreign",
        "relation_unknown",
        "view_writes",
        "policy_writes",
        "catalog_missing",
        "catalog_suspect",
        "learned",
        "hint",
        "node_unknown",
        "parse_error",
        "too_long",
        "too_many",
        "text_unsure",
    });
    static_assert(words.size() == static_cast<std::size_t>(Reason::text_unsure) + 1);
    return words[static_cast<std::size_t>(reason)];
}

}  // namespace pgweir::router

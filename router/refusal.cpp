#include "router/refusal.hpp"

#include <algorithm>
#include <array>

namespace pgweir::router {

namespace {

/// Recovery is what stands in the way. The routines raise nothing but that with these codes; the
/// message is looked at for those that are used for many things.
bool is_of_recovery(const Refused& error) {
    constexpr std::array routines = std::to_array<std::string_view>(
        {"PreventCommandIfReadOnly", "PreventCommandDuringRecovery", "GetNewTransactionId",
         "GetNewObjectId", "AssignTransactionId", "InitializeSessionUserId"});
    if (std::ranges::find(routines, error.routine) != routines.end()) return true;
    const auto says = [&](std::string_view words) {
        return error.message.find(words) != std::string_view::npos;
    };
    return says("during recovery") || says("in a hot standby") || says("on a hot standby") ||
           says("recovery is in progress") || says("recovery mode");
}

}  // namespace

Refusal refusal_of(const Refused& error) {
    constexpr Refusal primary{.again = true, .learn = true};
    constexpr Refusal elsewhere{.again = true, .elsewhere = true};
    const std::string_view code = error.sqlstate;

    if (code == "25006") return primary;
    // Unlogged tables, serializable transactions, functions of the write-ahead log, new OIDs.
    if (code == "0A000" || code == "55000" || code == "XX000") {
        return is_of_recovery(error) ? primary : Refusal();
    }
    // Conflicts with recovery, the node going away or not yet there.
    constexpr std::array nodes = std::to_array<std::string_view>(
        {"40001", "40P01", "57P01", "57P02", "57P03", "57P04", "08000", "08003", "08006"});
    if (std::ranges::find(nodes, code) != nodes.end()) return elsewhere;
    // What is not there may not have arrived yet: the primary has the last word.
    constexpr std::array absent = std::to_array<std::string_view>(
        {"42P01", "42703", "42883", "42704", "3F000", "26000", "42501", "42P02", "42809"});
    if (std::ranges::find(absent, code) != absent.end()) return {.again = true};
    return {};
}

}  // namespace pgweir::router

// Why a request went to the node it went to, and how often that was.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "pool/counter.hpp"
#include "router/verdict.hpp"

namespace pgweir::proxy {

/// What decided where a request went.
enum class Cause : std::uint8_t {
    verdict,         // what it is: the router's reason
    in_transaction,  // a read, but its transaction is of the primary
    serializable,    // a read, but its transaction is for the primary by its isolation
    route_setting,   // pgweir.route
    entry_role,      // the entry is for the primary, or for replicas, only
    preference,      // reads of such sessions are for the primary: reads.prefer_*
    split_off,       // reads of the cluster are not split
    pinned,          // the client keeps its server
    no_replica,      // a read, but no replica is there that may be read from
    no_primary,      // tells of the node, and replicas only are there
    not_fresh,       // a read, but no replica shows what the session has to see
    again,           // a read that replicas have refused or were lost with
    unjudged,        // no statement, or none whose text is known
};

/// Value.
struct RouteReason {
    Cause cause = Cause::unjudged;
    router::Reason verdict = router::Reason::empty;  // where that is the cause

    /// The word for SHOW ROUTES.
    std::string_view text() const;
    friend bool operator==(const RouteReason&, const RouteReason&) = default;
};

/// How many requests went to the primary and to replicas for which reason. Value; one thread
/// counts, any may read.
class RouteCounts {
public:
    static constexpr std::size_t size = static_cast<std::size_t>(router::Reason::text_unsure) + 1 +
                                        static_cast<std::size_t>(Cause::unjudged);

    /// Each reason has a place below `size`.
    static RouteReason reason(std::size_t place);

    void count(RouteReason reason, bool replica) { counts_[place(reason)][replica ? 1 : 0].add(1); }
    std::uint64_t get(std::size_t place, bool replica) const {
        return counts_[place][replica ? 1 : 0].get();
    }

private:
    static std::size_t place(RouteReason reason) {
        const std::size_t by_cause = size - static_cast<std::size_t>(Cause::unjudged) +
                                     static_cast<std::size_t>(reason.cause) - 1;
        return reason.cause == Cause::verdict ? static_cast<std::size_t>(reason.verdict) : by_cause;
    }

    std::array<std::array<pool::Counter, 2>, size> counts_;  // the primary's, replicas'
};

}  // namespace pgweir::proxy

#include "proxy/route_reason.hpp"

namespace pgweir::proxy {

std::string_view RouteReason::text() const {
    switch (cause) {
        case Cause::verdict: return router::reason_text(verdict);
        case Cause::in_transaction: return "in_transaction";
        case Cause::serializable: return "serializable";
        case Cause::route_setting: return "route_setting";
        case Cause::entry_role: return "entry_role";
        case Cause::preference: return "preference";
        case Cause::split_off: return "split_off";
        case Cause::pinned: return "pinned";
        case Cause::no_replica: return "no_replica";
        case Cause::no_primary: return "no_primary";
        case Cause::not_fresh: return "not_fresh";
        case Cause::again: return "again";
        case Cause::unjudged: return "unjudged";
    }
    return "";
}

RouteReason RouteCounts::reason(std::size_t place) {
    constexpr std::size_t verdicts = size - static_cast<std::size_t>(Cause::unjudged);
    if (place < verdicts) return {Cause::verdict, static_cast<router::Reason>(place)};
    return {static_cast<Cause>(place - verdicts + 1), router::Reason::empty};
}

}  // namespace pgweir::proxy

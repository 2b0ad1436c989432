#include "health/event.hpp"

namespace pgweir::health {

std::string_view word_for(Event::Kind kind) {
    using Kind = Event::Kind;
    switch (kind) {
        case Kind::primary_changed: return "primary_changed";
        case Kind::primary_lost: return "primary_lost";
        case Kind::primary_back: return "primary_back";
        case Kind::node_up: return "node_up";
        case Kind::node_down: return "node_down";
        case Kind::stale_primary: return "stale_primary";
        case Kind::split_brain: return "split_brain";
        case Kind::other_system: return "other_system";
        case Kind::operator_act: return "operator";
    }
    return "";
}

}  // namespace pgweir::health

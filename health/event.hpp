// What happens to a cluster that somebody may want to know of: for the log, SHOW EVENTS and hooks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pgweir::health {

struct Event {
    enum class Kind : std::uint8_t {
        primary_changed,  // another node is the primary now, or there is one at last
        primary_lost,     // writes have to wait
        primary_back,     // the same one serves again
        node_up,
        node_down,
        stale_primary,  // a node takes writes that must not: it is fenced off
        split_brain,    // more than one node takes writes on one timeline
        other_system,   // a node belongs to another cluster
        operator_act,   // NODE DRAIN, RESUME, DETACH
    };
    static constexpr std::size_t kinds = static_cast<std::size_t>(Kind::operator_act) + 1;
    Kind kind;
    std::string cluster, node;  // node: host:port; empty: it is about none
    std::uint32_t timeline = 0;
    std::string text;        // for humans
    std::int64_t at_us = 0;  // monotonic
};

std::string_view word_for(Event::Kind kind);

}  // namespace pgweir::health

#include "health/freshness.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace pgweir::health {

namespace {

/// The first sample that was asked for after that moment; nullptr: none yet.
const Sample* first_after(const Topology& topology, std::int64_t moment_us) {
    const auto found =
        std::find_if(topology.samples.begin(), topology.samples.end(),
                     [moment_us](const Sample& sample) { return sample.sent_us > moment_us; });
    return found == topology.samples.end() ? nullptr : &*found;
}

void make_dirty(Bound& bound, std::int64_t at_us) {
    bound.dirty_at_us = bound.dirty ? std::max(bound.dirty_at_us, at_us) : at_us;
    bound.dirty = true;
}

/// A position that covers what was read from the replica of before; nullopt: not known yet.
std::optional<protocol::Lsn> covers_reads(const Bound& bound, const Topology& topology) {
    if (const auto place = topology.find(*bound.replica)) {
        const NodeView& before = topology.nodes[*place];
        const bool same = before.incarnation == bound.incarnation && before.role == Role::replica;
        if (same && before.sampled_us > bound.read_at_us) return before.lsn;
    }
    const Sample* const sample = first_after(topology, bound.read_at_us);
    return sample ? std::optional(sample->lsn) : std::nullopt;
}

/// Up to where any replica has the lost primary's log; nullopt: one has not been asked since.
std::optional<protocol::Lsn> newest_received(const Topology& topology, std::int64_t since_us) {
    protocol::Lsn newest;
    for (const NodeView& node : topology.nodes) {
        const bool follows = node.role == Role::replica && node.up && !node.detached &&
                             node.timeline == topology.epoch.timeline;
        if (!follows) continue;
        if (node.sampled_us <= since_us) return std::nullopt;
        newest = std::max(newest, node.received);
    }
    return newest;
}

/// The position that the node must have reached; nullopt: nobody knows yet.
std::optional<protocol::Lsn> needed(const Bound& bound, const Topology& topology,
                                    const NodeView& node, config::Consistency consistency) {
    if (consistency == config::Consistency::eventual) return protocol::Lsn{};
    if (bound.epoch_number != topology.epoch_number || bound.dirty) return std::nullopt;
    protocol::Lsn lsn = bound.lsn;
    if (bound.shown_at_us != 0) {
        if (topology.takes_requests()) return std::nullopt;
        const auto shown = newest_received(topology, bound.shown_at_us);
        if (!shown) return std::nullopt;
        lsn = std::max(lsn, *shown);
    }
    const bool same_replica =
        bound.replica && *bound.replica == node.node.at && bound.incarnation == node.incarnation;
    if (bound.replica && !same_replica) {
        const auto read = covers_reads(bound, topology);
        if (!read) return std::nullopt;
        lsn = std::max(lsn, *read);
    }
    // Who has seen no position of the primary's knows nothing of what others wrote.
    if (consistency == config::Consistency::global && topology.samples.empty()) return std::nullopt;
    return lsn;
}

template <class Number>
bool take_number(std::string_view& text, Number& value) {
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec != std::errc()) return false;
    text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
    if (!text.starts_with('/')) return false;
    text.remove_prefix(1);
    return true;
}

}  // namespace

std::string format_token(const Token& token) {
    return fmt::format("{}/{}/{}/{}", token.epoch.system, token.epoch.timeline,
                       token.epoch.primary_start_us, protocol::format_lsn(token.lsn));
}

std::optional<Token> parse_token(std::string_view text) {
    Token token;
    if (!take_number(text, token.epoch.system) || !take_number(text, token.epoch.timeline) ||
        !take_number(text, token.epoch.primary_start_us)) {
        return std::nullopt;
    }
    const auto lsn = protocol::parse_lsn(text);
    if (!lsn) return std::nullopt;
    token.lsn = *lsn;
    return token;
}

void note_write(Bound& bound, std::int64_t now_us) { make_dirty(bound, now_us); }

void note_shown(Bound& bound, std::int64_t now_us) { bound.shown_at_us = now_us; }

void note_all_writes(Bound& bound, const Topology& topology, std::int64_t last_write_us) {
    resolve(bound, topology);
    if (!topology.samples.empty()) bound.lsn = std::max(bound.lsn, topology.samples.back().lsn);
    if (last_write_us > 0) make_dirty(bound, last_write_us);
    resolve(bound, topology);
}

void note_read(Bound& bound, const Topology& topology, std::size_t node, std::int64_t now_us) {
    const NodeView& view = topology.nodes[node];
    bound.replica = view.node.at;
    bound.incarnation = view.incarnation;
    bound.read_at_us = now_us;
}

bool is_empty(const Bound& bound) {
    return !bound.dirty && bound.lsn.value == 0 && bound.shown_at_us == 0 && !bound.replica;
}

void resolve(Bound& bound, const Topology& topology) {
    if (bound.epoch_number != topology.epoch_number) {
        // Any sample of the new epoch covers what survived of the old one. What was noted late, by
        // an older topology, may already be of the new one: those moments still count.
        if (bound.replica) make_dirty(bound, bound.read_at_us);
        if (bound.lsn.value > 0) make_dirty(bound, 0);
        bound.epoch_number = topology.epoch_number;
        bound.lsn = {};
        bound.replica.reset();
    }
    const auto take_first_after = [&](std::int64_t moment_us) {
        const Sample* const sample = first_after(topology, moment_us);
        if (sample) bound.lsn = std::max(bound.lsn, sample->lsn);
        return sample != nullptr;
    };
    if (bound.dirty && take_first_after(bound.dirty_at_us)) bound.dirty = false;
    if (bound.shown_at_us != 0 && take_first_after(bound.shown_at_us)) bound.shown_at_us = 0;
}

bool is_near(const Topology& topology, std::size_t node, std::int64_t wait_us) {
    const NodeView& view = topology.nodes[node];
    return topology.primary && !topology.primary_suspect && view.eligible &&
           view.timeline == topology.epoch.timeline && view.lag_us <= wait_us;
}

std::optional<std::int64_t> missing_bytes(const Bound& bound, const Topology& topology,
                                          std::size_t node, config::Consistency consistency) {
    const NodeView& view = topology.nodes[node];
    if (!view.eligible) return std::nullopt;
    const auto lsn = needed(bound, topology, view, consistency);
    if (!lsn) return std::nullopt;
    if (lsn->value == 0) return 0;
    if (view.timeline != topology.epoch.timeline) return std::nullopt;
    return std::max<std::int64_t>(*lsn - view.lsn, 0);
}

bool may_read(const Bound& bound, const Topology& topology, std::size_t node,
              config::Consistency consistency) {
    return missing_bytes(bound, topology, node, consistency) == 0;
}

void raise(Bound& bound, const Topology& topology, const Token& token, std::int64_t now_us) {
    resolve(bound, topology);
    if (token.epoch == topology.epoch) {
        bound.lsn = std::max(bound.lsn, token.lsn);
    } else {
        // Of an epoch that is over here: covered by any later sample. Of one that is yet to come
        // here: by any of its own, and until then only the primary may be asked.
        make_dirty(bound, now_us);
    }
}

std::optional<Token> token_of(const Bound& bound, const Topology& topology) {
    if (bound.epoch_number != topology.epoch_number || bound.dirty) return std::nullopt;
    return Token{topology.epoch, bound.lsn};
}

}  // namespace pgweir::health

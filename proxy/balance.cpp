#include "proxy/balance.hpp"

#include <algorithm>
#include <cmath>

namespace pgweir::proxy {

namespace {

// The mean of what reads took is a geometric one, so that one report among look-ups does not hide
// what the node is like. So many µs are added, below which differences mean nothing.
constexpr double floor_us = 2'000;
constexpr double rising = 0.2, falling = 0.1;      // weight of one answer in the mean
constexpr double forgetting_us = 5'000'000;        // without answers the mean halves in so long
constexpr double alike = 4;                        // times the quickest is as good as that
constexpr double least_ramp = 0.1;                 // of its share, for who has just come up
constexpr double crowd = 0.5;                      // clients above an even share that nobody minds
constexpr int lost_max = 5;                        // reads in a row
constexpr int longest_ejection = 5;                // doublings
constexpr std::int64_t forgiving_us = 60'000'000;  // after which they begin anew

double latency_of(std::int64_t took_us) {
    return static_cast<double>(std::max<std::int64_t>(took_us, 0)) + floor_us;
}

/// 0 to 1: how much of its share it gets so soon after it came up.
double ramp_of(const health::NodeView& node, config::Duration slow_start, std::int64_t now_us) {
    if (slow_start.count() <= 0 || node.status_since_us == 0) return 1;
    const auto up_us = static_cast<double>(now_us - node.status_since_us);
    return std::clamp(up_us / static_cast<double>(slow_start.count()), least_ramp, 1.0);
}

}  // namespace

std::optional<std::size_t> Balance::choose(const health::Topology& topology, const Wish& wish,
                                           const config::Reads& reads, std::int64_t now_us) {
    find_candidates(topology, wish, reads, now_us);
    if (reads.balance == config::Balance::least_latency) weigh_latency(now_us);
    // Who leaves has to be shown as much as it has seen there, which a replica will soon be able to
    // if no more is read meanwhile: so the one that is left is not chosen again.
    const Candidate* left = nullptr;
    const bool settles = wish.consistency != config::Consistency::eventual;
    if (wish.home && settles) {
        const auto at = std::ranges::find_if(candidates_, [&](const Candidate& one) {
            return one.load->node == *wish.home && one.may;
        });
        if (at != candidates_.end()) {
            if (!topology.primary || !should_leave(*at)) return at->place;
            left = &*at;
        }
    }
    best_.clear();
    for (const Candidate& one : candidates_) {
        if (!one.may || &one == left) continue;
        if (!best_.empty() && one.rank > best_.front().rank) continue;
        if (!best_.empty() && one.rank < best_.front().rank) best_.clear();
        best_.push_back(one);
    }
    if (best_.empty()) return std::nullopt;
    return pick(best_, reads.balance, settles).place;
}

void Balance::find_candidates(const health::Topology& topology, const Wish& wish,
                              const config::Reads& reads, std::int64_t now_us) {
    candidates_.clear();
    for (const health::NodeView& node : topology.nodes) load(node.node.at);  // so that none moves
    for (std::size_t i = 0; i < topology.nodes.size(); ++i) {
        const health::NodeView& node = topology.nodes[i];
        if (node.role != health::Role::replica || !node.up || node.draining || node.detached)
            continue;
        const bool may = health::may_read(wish.bound, topology, i, wish.consistency);
        if (!may && !node.eligible) continue;
        Load& its = load(node.node.at);
        if (its.ejected_until_us > now_us) continue;
        const bool elsewhere = !reads.zone.empty() && node.node.zone != reads.zone;
        const bool preferred = wish.prefers && *wish.prefers == node.node.at;
        const int rank = preferred ? -1 : node.node.weight == 0 ? 2 : elsewhere ? 1 : 0;
        const double weight =
            std::max(node.node.weight, 1) * ramp_of(node, reads.slow_start, now_us);
        candidates_.push_back({i, &its, weight, rank, may});
    }
}

/// A node that nobody has asked for a while may be well again.
double Balance::latency(const Load& its, std::int64_t now_us) {
    return its.latency_us * std::exp2(-static_cast<double>(now_us - its.heard_us) / forgetting_us);
}

/// Who is slower than the quickest by more than what may be chance has less of the reads.
void Balance::weigh_latency(std::int64_t now_us) {
    double quickest = 0;
    for (const Candidate& one : candidates_) {
        if (one.load->latency_us <= 0) continue;
        const double its = latency(*one.load, now_us);
        quickest = quickest > 0 ? std::min(quickest, its) : its;
    }
    if (quickest <= 0) return;
    quickest = std::max(quickest, floor_us);
    for (Candidate& one : candidates_) {
        if (one.load->latency_us <= 0) continue;
        one.weight /= std::max(latency(*one.load, now_us) / (alike * quickest), 1.0);
    }
}

/// Is there a better place, or one with so many clients fewer that this one should move there? Its
/// own leaving counts. A node without any client takes one, however small its share is yet.
bool Balance::should_leave(const Candidate& home) const {
    const double here = home.load->clients / home.weight;
    return std::ranges::any_of(candidates_, [&](const Candidate& one) {
        if (&one == &home || one.rank > home.rank) return false;
        if (one.rank < home.rank) return true;
        const double there = one.load->clients == 0 && home.load->clients > 1
                                 ? 0
                                 : (one.load->clients + 1) / one.weight;
        return there < here - crowd;
    });
}

const Balance::Candidate& Balance::pick(std::vector<Candidate>& from, config::Balance method,
                                        bool settles) {
    std::rotate(from.begin(), from.begin() + turn_ % static_cast<unsigned>(from.size()),
                from.end());
    const auto cost = [](const Candidate& one) {
        return (one.load->active + one.load->clients + 1) / one.weight;
    };
    if (method == config::Balance::random) return draw(from);
    // Who come one after the other, each gone before the next, get their shares by turns as well.
    const bool idle = std::ranges::all_of(
        from, [](const Candidate& one) { return one.load->active + one.load->clients == 0; });
    const bool by_chance = method == config::Balance::least_latency && !settles;
    if (method == config::Balance::round_robin || (idle && !by_chance)) {
        double total = 0;
        for (const Candidate& one : from) total += one.weight, one.load->credit += one.weight;
        const Candidate& next = *std::ranges::max_element(
            from, {}, [](const Candidate& one) { return one.load->credit; });
        next.load->credit -= total;
        return next;
    }
    if (by_chance) {
        // Of two that are drawn: others draw others, so that they do not all run to one node.
        const Candidate& one = draw(from);
        const Candidate& other = draw(from, &one);
        return (one.load->active + 1) / one.weight <= (other.load->active + 1) / other.weight
                   ? one
                   : other;
    }
    const Candidate& least = *std::ranges::min_element(from, {}, cost);
    ++turn_;
    return least;
}

/// One of them by chance, by weight; another one than `but`, where there is another.
const Balance::Candidate& Balance::draw(const std::vector<Candidate>& from, const Candidate* but) {
    if (but && from.size() == 1) return *but;
    double total = 0;
    for (const Candidate& one : from) total += &one == but ? 0 : one.weight;
    double left = random() * total;
    const Candidate* last = nullptr;
    for (const Candidate& one : from) {
        if (&one == but) continue;
        last = &one;
        left -= one.weight;
        if (left < 0) break;
    }
    return *last;
}

/// xorshift32
double Balance::random() {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 17;
    random_ ^= random_ << 5;
    return random_ / 4294967296.0;
}

void Balance::answered(const config::Endpoint& node, std::int64_t took_us, std::int64_t now_us) {
    Load& its = load(node);
    --its.active;
    const double took = latency_of(took_us);
    // The first answer of a new server is slow, and says little.
    if (its.latency_us <= 0) its.latency_us = latency_of(0);
    const double times = took / its.latency_us;
    its.latency_us *= std::pow(times, times > 1 ? rising : falling);
    its.heard_us = now_us;
    its.lost = 0;
    if (now_us > its.ejected_until_us + forgiving_us) its.ejections = 0;
}

bool Balance::missed(const config::Endpoint& node, config::Duration ejection, std::int64_t now_us) {
    Load& its = load(node);
    if (++its.lost < lost_max || ejection.count() <= 0) return false;
    its.lost = 0;
    its.ejected_until_us = now_us + ejection.count() * (std::int64_t{1} << std::min(
                                                            its.ejections++, longest_ejection));
    return true;
}

Balance::Load& Balance::load(const config::Endpoint& node) {
    const auto found = std::find_if(loads_.begin(), loads_.end(),
                                    [&](const Load& load) { return load.node == node; });
    if (found != loads_.end()) return *found;
    loads_.push_back(Load{.node = node});
    return loads_.back();
}

}  // namespace pgweir::proxy

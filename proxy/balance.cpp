#include "proxy/balance.hpp"

#include <algorithm>

namespace pgweir::proxy {

namespace {

constexpr double alike = 4;         // times the quickest is as good as that
constexpr double least_ramp = 0.1;  // of its share, for who has just come up
constexpr double crowd = 0.5;       // clients above an even share that nobody minds

/// 0 to 1: how much of its share it gets so soon after it came up.
double ramp_of(const health::NodeView& node, config::Duration slow_start, std::int64_t now_us) {
    const std::int64_t up_us = now_us - node.status_since_us;
    if (up_us >= slow_start.count() || node.status_since_us == 0) return 1;
    return std::max(static_cast<double>(up_us) / static_cast<double>(slow_start.count()),
                    least_ramp);
}

/// By how many times it is slower; 1 where that may be chance. `quickest` of 0: none is known.
double slowness(double its, double quickest) {
    return quickest > 0 && its > alike * quickest ? its / quickest : 1;
}

void note_quickest(double& quickest, double its) {
    quickest = quickest > 0 ? std::min(quickest, its) : its;
}

}  // namespace

void Balance::take(const health::Topology& topology) {
    for (const auto& load : loads_) load->place = NodeLoad::nowhere;
    nodes_.clear();
    for (const health::NodeView& node : topology.nodes) {
        auto found = std::ranges::find_if(
            loads_, [&](const auto& load) { return load->at() == node.node.at; });
        if (found == loads_.end())
            found = loads_.insert(loads_.end(), std::make_unique<NodeLoad>(node.node.at));
        (*found)->place = nodes_.size();
        nodes_.push_back(found->get());
    }
    candidates_.reserve(nodes_.size());
    best_.reserve(nodes_.size());
}

NodeLoad* Balance::choose(const health::Topology& topology, const Wish& wish,
                          const config::Reads& reads, std::int64_t now_us) {
    find_candidates(topology, wish, reads, now_us);
    const bool by_latency = reads.balance == config::Balance::least_latency;
    const bool settles = wish.consistency != config::Consistency::eventual;
    // Who leaves has to be shown as much as it has seen there, which a replica will soon be able to
    // if no more is read meanwhile: so the one that is left is not chosen again.
    const NodeLoad* left = wish.but;
    if (wish.home && settles && wish.home != wish.but) {
        const auto at = std::ranges::find(candidates_, wish.home, &Candidate::load);
        if (at != candidates_.end() &&
            health::may_read(wish.bound, topology, at->load->place, wish.consistency)) {
            if (!topology.primary || !should_leave(*at, by_latency, now_us)) return at->load;
            left = at->load;
        }
    }
    keep_best(topology, wish, left);
    if (best_.empty() && wish.but) keep_best(topology, wish, nullptr);
    if (best_.empty()) return nullptr;
    if (by_latency) weigh_peaks(now_us);
    return pick(reads.balance, settles);
}

/// Who may be read from by a session that has seen nothing.
void Balance::find_candidates(const health::Topology& topology, const Wish& wish,
                              const config::Reads& reads, std::int64_t now_us) {
    candidates_.clear();
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        const health::NodeView& node = topology.nodes[i];
        if (!node.eligible || node.role != health::Role::replica || !node.up || node.draining ||
            node.detached || nodes_[i]->ejected(now_us)) {
            continue;
        }
        const bool elsewhere = !reads.zone.empty() && node.node.zone != reads.zone;
        const bool preferred = wish.prefers && *wish.prefers == node.node.at;
        const int rank = preferred ? -1 : node.node.weight == 0 ? 2 : elsewhere ? 1 : 0;
        const double weight =
            std::max(node.node.weight, 1) * ramp_of(node, reads.slow_start, now_us);
        candidates_.push_back({nodes_[i], weight, rank});
    }
}

/// Is there a better place, or one with so many clients fewer that this one should move there? Its
/// own leaving counts. A node without any client takes one, however small its share is yet. Moving
/// costs something, so it goes by what a node's reads take as a rule and not by a peak, and nobody
/// moves to a slow node: it has to be forgotten that it was.
bool Balance::should_leave(const Candidate& home, bool by_latency, std::int64_t now_us) const {
    if (candidates_.size() == 1) return false;
    double quickest = 0;
    if (by_latency) {
        for (const Candidate& one : candidates_)
            if (one.load->is_known(now_us)) note_quickest(quickest, one.load->mean_us());
    }
    const auto slow = [&](const Candidate& one) {
        const bool known = quickest > 0 && one.load->is_known(now_us);
        return known ? slowness(one.load->mean_us(), quickest) : 1;
    };
    const double here = home.load->clients() * slow(home) / home.weight;
    return std::ranges::any_of(candidates_, [&](const Candidate& one) {
        if (&one == &home || one.rank > home.rank) return false;
        if (one.rank < home.rank) return true;
        const bool alone = one.load->clients() == 0 && home.load->clients() > 1;
        const double there = alone ? 0 : (one.load->clients() + 1) / one.weight;
        return there < here - crowd && slow(one) == 1;
    });
}

/// Those of the best rank that show what the session has to see.
void Balance::keep_best(const health::Topology& topology, const Wish& wish, const NodeLoad* left) {
    best_.clear();
    for (const Candidate& one : candidates_) {
        if (one.load == left) continue;
        if (!best_.empty() && one.rank > best_.front().rank) continue;
        if (!health::may_read(wish.bound, topology, one.load->place, wish.consistency)) continue;
        if (!best_.empty() && one.rank < best_.front().rank) best_.clear();
        best_.push_back(one);
    }
}

/// Who is slower than the quickest by more than what may be chance has less of the reads.
void Balance::weigh_peaks(std::int64_t now_us) {
    if (best_.size() == 1) return;
    double quickest = 0;
    for (const Candidate& one : best_)
        if (one.load->is_known(now_us)) note_quickest(quickest, one.load->peak_us(now_us));
    if (quickest <= 0) return;
    for (Candidate& one : best_) {
        if (one.load->is_known(now_us)) one.weight /= slowness(one.load->peak_us(now_us), quickest);
    }
}

/// What one may have of the reads is in its weight. Half a read more than it has: a whole one would
/// favour the heavy ones, and none would take the slow ones for free. `settles`: the session is
/// going to stay, as those did that are there.
double Balance::cost(const Candidate& one, bool settles) {
    return (one.load->active() + (settles ? one.load->clients() : 0) + 0.5) / one.weight;
}

NodeLoad* Balance::pick(config::Balance method, bool settles) {
    if (best_.size() == 1) return best_.front().load;
    if (method == config::Balance::random) return draw().load;
    // Who come one after the other, each gone before the next, get their shares by turns as well.
    const bool idle = std::ranges::all_of(
        best_, [](const Candidate& one) { return one.load->active() + one.load->clients() == 0; });
    if (method == config::Balance::round_robin || idle) return next_by_turns();
    if (method == config::Balance::least_connections) return least_busy();
    // Of two that are drawn: others draw others, so that they do not all run to one node.
    const Candidate& one = draw();
    const Candidate& other = draw(&one);
    return cost(one, settles) <= cost(other, settles) ? one.load : other.load;
}

NodeLoad* Balance::next_by_turns() {
    std::rotate(best_.begin(), best_.begin() + turn_ % static_cast<unsigned>(best_.size()),
                best_.end());
    double total = 0;
    for (const Candidate& one : best_) total += one.weight, one.load->credit += one.weight;
    NodeLoad* const next = std::ranges::max_element(best_, {}, [](const Candidate& one) {
                               return one.load->credit;
                           })->load;
    next->credit -= total;
    return next;
}

NodeLoad* Balance::least_busy() {
    std::rotate(best_.begin(), best_.begin() + turn_ % static_cast<unsigned>(best_.size()),
                best_.end());
    ++turn_;
    return std::ranges::min_element(best_, {}, [](const Candidate& one) { return cost(one, true); })
        ->load;
}

/// One of them by chance, by weight; another one than `but`.
const Balance::Candidate& Balance::draw(const Candidate* but) {
    double total = 0;
    for (const Candidate& one : best_) total += &one == but ? 0 : one.weight;
    double left = random() * total;
    const Candidate* last = nullptr;
    for (const Candidate& one : best_) {
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

}  // namespace pgweir::proxy

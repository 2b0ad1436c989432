// What one worker asks of one node, and how well that answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "config/cluster.hpp"

namespace pgweir::proxy {

/// Pure; belongs to one thread, and its place stays. Times are µs of the monotonic clock.
class NodeLoad {
public:
    explicit NodeLoad(config::Endpoint at) : at_(std::move(at)) {}

    const config::Endpoint& at() const { return at_; }

    /// A client has made this node its own, or gives it up.
    void settle() { ++clients_; }
    void leave() { --clients_; }
    int clients() const { return clients_; }

    /// A read was sent there; answered() or dropped() follows.
    void began() { ++active_; }
    void answered(std::int64_t took_us, std::int64_t now_us);
    void dropped() { --active_; }
    int active() const { return active_; }

    /// A read was lost there. `ejection`: config::Reads::ejection. True: it was one after the
    /// other, so the node gets nothing for a while.
    bool missed(config::Duration ejection, std::int64_t now_us);
    bool ejected(std::int64_t now_us) const { return ejected_until_us_ > now_us; }

    /// Has it answered lately? Else what follows says nothing.
    bool is_known(std::int64_t now_us) const {
        return heard_us_ != 0 && now_us - heard_us_ < forgotten_us;
    }
    /// What the next read may take: rises at once with one that takes longer, and comes down by the
    /// second (peak-EWMA). floor_us more than it is.
    double peak_us(std::int64_t now_us) const;
    /// What reads take by and large: the mean over time, not over reads. floor_us more likewise.
    double mean_us() const { return mean_us_; }

    static constexpr double floor_us = 2'000;  // differences below that mean nothing

    static constexpr std::size_t nowhere = static_cast<std::size_t>(-1);
    std::size_t place = nowhere;  // in the newest topology
    double credit = 0;            // what it is owed by turns

private:
    static constexpr std::int64_t forgotten_us = 30'000'000;

    config::Endpoint at_;
    int clients_ = 0, active_ = 0;
    double peak_us_ = floor_us, mean_us_ = floor_us;
    std::int64_t heard_us_ = 0;  // when the last one was answered; 0 = none yet
    int lost_ = 0;               // reads in a row
    int ejections_ = 0;          // in a row
    std::int64_t ejected_until_us_ = 0;
};

}  // namespace pgweir::proxy

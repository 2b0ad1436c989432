// A cluster as it was found: which node is the primary, which may be read from, where the log is.
// Values; one is immutable once published. health/cluster makes them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/cluster.hpp"
#include "protocol/lsn.hpp"

namespace pgweir::health {

/// What a node turned out to be. stale_primary: it takes writes, and must not get any from us:
/// there is a newer timeline, or another primary of the same one is in use.
enum class Role : std::uint8_t { unknown, primary, replica, stale_primary };

std::string_view word_for(Role role);

/// The history in which log positions may be compared with each other.
struct Epoch {
    std::uint64_t system = 0;  // the cluster's system identifier
    std::uint32_t timeline = 0;
    std::int64_t primary_start_us = 0;  // when the primary's postmaster started, by its own clock

    friend bool operator==(const Epoch&, const Epoch&) = default;
};

/// Everything that the primary had answered to anybody when this was asked ends at or before `lsn`.
struct Sample {
    std::int64_t sent_us;  // monotonic; before the question was sent
    protocol::Lsn lsn;
};

/// One node as it was last heard of. Times in µs of the monotonic clock.
struct NodeView {
    config::Node node;
    Role role = Role::unknown;  // as it last said
    bool up = false;
    bool suspect = false;              // a probe is overdue or broke off: wait before trusting it
    std::uint32_t timeline = 0;        // 0 = not known
    protocol::Lsn lsn;                 // a primary's insert position, a replica's replay position
    protocol::Lsn received;            // a replica: what it has of the log, replayed or not
    std::int64_t sampled_us = 0;       // when that was asked for; 0 = never
    std::int64_t lag_bytes = 0;        // of a replica, behind the primary's newest sample
    std::int64_t lag_us = 0;           // since the oldest sample that it has not reached; 0 = none
    bool streaming = false;            // a replica that is connected to where it gets its log from
    bool eligible = false;             // may get reads
    bool draining = false;             // NODE DRAIN: gets nothing new
    bool detached = false;             // NODE DETACH: as if it were not in the configuration
    std::string reason;                // why it is not eligible, what is wrong; empty: nothing
    std::uint32_t incarnation = 0;     // goes up whenever connections to it are void: it went down,
                                       // was started anew, or changed its role
    std::int64_t probed_us = 0;        // when it last answered or failed to
    std::int64_t status_since_us = 0;  // when it last came up or went down; 0 = not known yet
    std::int64_t round_trip_us = 0;    // of the last probe that was answered
};

/// What is known of a cluster at one moment.
struct Topology {
    std::string cluster;
    std::uint64_t number = 0;  // goes up with every one published
    std::vector<NodeView> nodes;
    std::optional<std::size_t> primary;  // place in `nodes`; none: writes have to wait
    /// Its probe is overdue: send it nothing, pass nothing on that comes from it.
    bool primary_suspect = false;
    /// A switchover is under way: what runs at the primary may go on, nothing new is begun there.
    bool writes_held = false;
    /// Of the last primary there was; nodes whose timeline is another are not comparable.
    Epoch epoch;
    /// Goes up with every change of the epoch, and whenever the primary may have gone back in its
    /// log (a crash that its postmaster survived). 0: there has been no primary yet.
    std::uint64_t epoch_number = 0;
    /// Of the primary in this epoch, oldest first, at most samples_max.
    std::vector<Sample> samples;

    static constexpr std::size_t samples_max = 64;

    /// nullptr: writes have to wait.
    const NodeView* primary_node() const { return primary ? &nodes[*primary] : nullptr; }
    /// May the primary be sent anything?
    bool takes_requests() const { return primary && !primary_suspect; }
    /// The place of the node at this address.
    std::optional<std::size_t> find(const config::Endpoint& at) const;
};

using TopologyPtr = std::shared_ptr<const Topology>;

}  // namespace pgweir::health

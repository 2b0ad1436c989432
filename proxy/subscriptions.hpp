// What logical replication has brought from one cluster to another: what is asked, and what the
// answers mean. Pure.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "pool/backend.hpp"
#include "protocol/lsn.hpp"
#include "proxy/drain.hpp"

namespace pgweir::proxy::subscriptions {

using Row = pool::Backend::OwnAnswer::Row;
using Rows = std::vector<Row>;

/// A subscription at the new cluster. Value.
struct Subscription {
    std::string database{}, name{};
    std::string slot{};  // at the publisher; "" = it has none
    bool enabled = false;

    friend bool operator==(const Subscription&, const Subscription&) = default;
};

/// At the subscriber, any database.
std::string subscriptions_sql();
std::vector<Subscription> read_subscriptions(const Rows& rows);
/// Is there one that works for each of these databases?
Trouble find_unsubscribed(const std::vector<Subscription>& all,
                          const std::set<std::string>& databases);

/// At the publisher and at the subscriber, in the database: its tables, and those subscribed to.
std::string tables_sql();
std::string subscribed_sql();
/// Is each table subscribed to, itself or as a part of one that is, and copied?
Trouble find_unready(const std::string& database, const Rows& tables, const Rows& subscribed);

/// At the publisher: how far the subscribers have confirmed.
std::string slots_sql(const std::vector<Subscription>& all);
/// Has each slot of a subscription somebody who reads it?
Trouble find_inactive(const std::vector<Subscription>& all, const Rows& slots);
/// Those that have not confirmed up to there.
Trouble find_behind(const Rows& slots, const protocol::Lsn& lsn);

/// A sequence of the old cluster. Value.
struct Sequence {
    std::string schema{}, name{};
    bool readable = false;  // by the account that asks
    std::string last{};     // value; "" = it was never used

    friend bool operator==(const Sequence&, const Sequence&) = default;
};

/// At the publisher, in the database.
std::string sequences_sql();
std::vector<Sequence> read_sequences(const Rows& rows);
Trouble find_unreadable(const std::string& database, const std::vector<Sequence>& all);
/// At the subscriber, in the database: those that are missing there, or must not be set.
std::string unsettable_sql(const std::vector<Sequence>& all);
Trouble find_unsettable(const std::string& database, const Rows& unsettable);
/// At the subscriber, in the database: one row for each sequence that was set. Empty: there is
/// nothing to set.
std::string set_sql(const std::vector<Sequence>& all);

}  // namespace pgweir::proxy::subscriptions

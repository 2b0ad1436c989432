// NODE UPGRADE: the primary of another cluster, which logical replication has filled, takes over.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "proxy/primary_change.hpp"
#include "proxy/subscriptions.hpp"

namespace pgweir::proxy {

/// One upgrade.
///
/// Everything that can be checked is checked before anybody has to wait. Then the primary gets
/// nothing new; when what is under way there has ended, and the subscriptions have confirmed all of
/// it, sequences are set to what they were and the other cluster's primary is the one from then on.
/// If anything fails before that, nothing has changed but sequences over there.
class Upgrade final : public PrimaryChange {
public:
    Upgrade(ClusterWatch& watch, config::Endpoint target, Monitor::Done done);
    ~Upgrade() override { end(); }

private:
    using Answer = protocol::Result<subscriptions::Rows>;

    net::Task<Trouble> carry_out() override;
    net::Task<Trouble> check();
    net::Task<Trouble> check_database(std::string database);
    net::Task<Trouble> wait_for_subscribers(std::int64_t drained_us);
    net::Task<Trouble> set_sequences(std::string database);
    net::Task<Trouble> wait_for_primary();
    net::Task<Answer> rows_of(config::Endpoint at, std::string database, std::string sql);
    std::set<std::string> find_databases() const;

    const std::set<std::string> databases_;  // that clients use
    std::vector<subscriptions::Subscription> all_;
};

}  // namespace pgweir::proxy

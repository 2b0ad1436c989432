// NODE UPGRADE: the primary of another cluster, which logical replication has filled, takes over.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/cluster.hpp"
#include "pool/net/task.hpp"
#include "proxy/drain.hpp"
#include "proxy/monitor.hpp"
#include "proxy/subscriptions.hpp"

namespace pgweir::proxy {

class ClusterWatch;

/// One upgrade. Resource; of its cluster's watch, on the main thread.
///
/// Everything that can be checked is checked before anybody has to wait. Then the primary gets
/// nothing new; when what is under way there has ended, and the subscriptions have confirmed all of
/// it, sequences are set to what they were and the other cluster's primary is the one from then on.
/// If anything fails before that, nothing has changed but sequences over there.
class Upgrade {
public:
    /// `done` is called once, not from within; also when this is destroyed before its end.
    Upgrade(ClusterWatch& watch, config::Endpoint target, Monitor::Done done);
    ~Upgrade();
    Upgrade(const Upgrade&) = delete;
    Upgrade& operator=(const Upgrade&) = delete;

    void start();
    bool running() const { return story_.running(); }

private:
    using Answer = protocol::Result<subscriptions::Rows>;

    net::Task<void> run();
    net::Task<Trouble> carry_out();
    net::Task<Trouble> check();
    net::Task<Trouble> check_database(std::string database);
    net::Task<Trouble> wait_for_subscribers(std::int64_t drained_us);
    net::Task<Trouble> set_sequences(std::string database);
    net::Task<Trouble> wait_for_primary();
    net::Task<Answer> ask(config::Endpoint at, std::string database, std::string sql);
    std::set<std::string> find_databases() const;
    std::int64_t left_us() const;
    void finish(const Trouble& trouble);

    ClusterWatch& watch_;
    net::Loop& loop_;
    const config::Endpoint target_;
    config::Endpoint old_;
    Monitor::Done done_;
    std::int64_t began_us_ = 0;
    std::set<std::string> databases_;  // that clients use
    std::vector<subscriptions::Subscription> all_;
    net::Story story_;
};

}  // namespace pgweir::proxy

// One statement on one node, over a connection of its own, as the account that probes.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "pool/own_errand.hpp"
#include "pool/pool.hpp"

namespace pgweir::proxy {

/// What connections of a cluster's [health] account to this node go by. `dbname`: "" = the one that
/// it probes.
std::shared_ptr<const pool::PoolSettings> settings_for_node(const pool::Worker& worker,
                                                            const config::Cluster& cluster,
                                                            const config::Endpoint& node,
                                                            const std::string& dbname = {});

/// Resource; on its worker. Runs its statement once and has done then.
class NodeQuery final : public pool::OwnErrand {
public:
    /// Hears of the end, once: rows, or the error of the server or of the connection. Not called
    /// from within the constructor.
    using Done = std::function<void(pool::Backend::OwnAnswer answer)>;

    struct Question {
        config::Endpoint at{};
        std::string dbname{};  // "" = the one that is probed
        std::string sql{};
    };
    NodeQuery(pool::Registry& registry, pool::Worker& on, const config::Cluster& cluster,
              Question question, Done done);
    ~NodeQuery();
    NodeQuery(const NodeQuery&) = delete;
    NodeQuery& operator=(const NodeQuery&) = delete;
    void start();

    // pool::OwnErrand
    void granted(pool::Server& server) override;
    void own_done(pool::Backend::OwnAnswer answer) override;
    void lost(const protocol::Error& error) override;

private:
    pool::Worker& worker_;
    const std::string sql_;
    Done done_;
    pool::Totals totals_;
    pool::Pool pool_;
    std::uint32_t server_id_ = 0;  // 0 = there is none
};

}  // namespace pgweir::proxy

#include "proxy/node_query.hpp"

#include <utility>

namespace pgweir::proxy {

std::shared_ptr<const pool::PoolSettings> settings_for_node(const pool::Worker& worker,
                                                            const config::Cluster& cluster,
                                                            const config::Endpoint& node,
                                                            const std::string& dbname) {
    config::Database entry;
    entry.name = cluster.name;
    entry.dbname = dbname.empty() ? cluster.health.dbname : dbname;
    entry.user = cluster.health.user;
    entry.endpoints = {node};
    entry.startup_parameters = {{"application_name", "pgweir monitor"},
                                {"search_path", "pg_catalog"}};
    return pool::make_pool_settings(*worker.config, entry, cluster.health.user);
}

NodeQuery::NodeQuery(pool::Registry& registry, pool::Worker& on, const config::Cluster& cluster,
                     Question question, Done done)
    : pool::OwnErrand(on),
      worker_(on),
      sql_(std::move(question.sql)),
      done_(std::move(done)),
      pool_(registry, {cluster.name, cluster.health.user, {}},
            settings_for_node(on, cluster, question.at, question.dbname), totals_, totals_) {
    pool_.internal = true;
    pool_.set_credentials({.user = cluster.health.user,
                           .secret = cluster.health.password,
                           .client_key = {},
                           .server_key = {}});
}

NodeQuery::~NodeQuery() {
    const auto found = worker_.servers.find(std::exchange(server_id_, 0));
    if (found == worker_.servers.end()) return;
    found->second->release();
    found->second->close("the monitor is done");
}

void NodeQuery::start() {
    const std::uint32_t id = pool_.open_apart(worker_, *this);
    if (worker_.servers.contains(id)) server_id_ = id;
}

void NodeQuery::granted(pool::Server& server) {
    server_id_ = server.id();
    server.run_own(sql_);
}

void NodeQuery::own_done(pool::Backend::OwnAnswer answer) {
    if (const Done done = std::exchange(done_, {})) done(std::move(answer));
}

void NodeQuery::lost(const protocol::Error& error) {
    server_id_ = 0;
    if (const Done done = std::exchange(done_, {})) done({{}, error});
}

}  // namespace pgweir::proxy

// What one worker knows of a cluster.
#pragma once

#include <string>
#include <utility>

#include "config/config.hpp"
#include "health/topology.hpp"
#include "proxy/balance.hpp"

namespace pgweir::proxy {

/// Belongs to its worker's thread, and its place stays.
class KnownCluster {
public:
    KnownCluster(std::string name, unsigned turn, config::ConfigPtr config)
        : balance(turn),
          name_(std::move(name)) {
        adopt(std::move(config));
    }

    const std::string& name() const { return name_; }

    /// The newest; nullptr: none has been published yet. Good until the worker's next event.
    const health::Topology* topology() const { return topology_.get(); }
    void take(health::TopologyPtr topology) {
        topology_ = std::move(topology);
        balance.take(*topology_);
    }

    /// As the configuration has it; nullptr: it is not there any more. Good as long.
    const config::Cluster* settings() const { return settings_; }
    /// The configuration from here on.
    void adopt(config::ConfigPtr config) {
        config_ = std::move(config);
        settings_ = config_->cluster(name_);
    }

    Balance balance;

private:
    const std::string name_;
    health::TopologyPtr topology_;
    config::ConfigPtr config_;  // that `settings_` is of
    const config::Cluster* settings_ = nullptr;
};

}  // namespace pgweir::proxy

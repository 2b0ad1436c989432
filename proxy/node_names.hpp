// Looking up the names that a cluster's nodes have, again and again.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "health/node_names.hpp"
#include "pool/net/task.hpp"
#include "pool/worker.hpp"

namespace pgweir::proxy {

/// Resource; of a cluster's watch, on its worker.
class NodeNames final : private net::Timer {
public:
    /// `changed`: nodes() may be others than before; not called from within.
    NodeNames(pool::Worker& worker, std::function<void()> changed)
        : net::Timer(worker.loop),
          worker_(worker),
          changed_(std::move(changed)) {}

    /// As the configuration lists them.
    void watch(std::vector<config::Node> nodes);
    /// Which nodes that is, for all that is known.
    std::vector<config::Node> nodes() const { return health::expand(wanted_, addresses_); }
    /// Names are looked up every second as long as there is trouble, else every dns_max_ttl.
    void trouble(bool is_there);

private:
    net::Task<void> look_up(std::vector<std::string> names);
    void expired() override;
    std::int64_t interval_us() const;

    pool::Worker& worker_;
    const std::function<void()> changed_;
    std::vector<config::Node> wanted_;
    health::NameAddresses addresses_;
    bool any_ = false;  // has a name
    bool trouble_ = false;
    net::Story story_;
};

}  // namespace pgweir::proxy

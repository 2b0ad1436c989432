// What other pgweir processes know of a cluster: failover.peers.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/cluster.hpp"
#include "health/fence.hpp"
#include "proxy/http_call.hpp"

namespace pgweir::proxy {

/// Where the fence of that cluster is, among the pages of admin.http.
std::string fence_path(const std::string& cluster);

/// Resource; of a cluster's watch, on its worker. Asks every peer again and again.
class FencePeers final : private net::Timer {
public:
    struct Heard {
        std::function<void(const health::Fence& fence)> fence;
        /// Every peer has answered, or has failed to, for the first time.
        std::function<void()> all;
    };
    FencePeers(pool::Worker& worker, const config::Cluster& cluster, Heard heard);

private:
    struct Peer {
        std::string name;  // for the log
        HttpCall::Request question;
        std::unique_ptr<HttpCall> call;
        bool busy = false, told = false;  // told: that it fails
        bool asked = false;
    };

    void expired() override;
    void answered(Peer& peer, const protocol::Result<std::string>& body);

    const std::string cluster_;
    const std::int64_t interval_us_, timeout_us_;
    const Heard heard_;
    std::vector<std::unique_ptr<Peer>> peers_;
    bool all_asked_ = false;
};

}  // namespace pgweir::proxy

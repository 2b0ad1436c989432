// Asking Patroni who leads.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "health/patroni.hpp"
#include "proxy/http_call.hpp"

namespace pgweir::proxy {

/// Resource; of a cluster's watch, on its worker. Asks one endpoint again and again, the next one
/// when that fails.
class PatroniWatch final : private net::Timer {
public:
    /// `tell` hears of every answer: the leader, if there is one.
    using Tell = std::function<void(const std::optional<health::Leader>&)>;

    PatroniWatch(pool::Worker& worker, const config::Cluster& cluster, Tell tell);

private:
    void expired() override;
    void answered(const protocol::Result<std::string>& body);

    const std::string cluster_;
    const std::vector<std::string> urls_;
    const std::string ca_file_;
    const std::int64_t interval_us_, timeout_us_;
    const Tell tell_;
    HttpCall call_;
    std::string at_;            // who was asked last
    std::size_t next_ = 0;      // place in urls_
    std::size_t failures_ = 0;  // in a row
};

}  // namespace pgweir::proxy

// What Patroni's REST API says of a cluster: who is the leader.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/cluster.hpp"
#include "protocol/error.hpp"

namespace pgweir::health {

struct Leader {
    config::Endpoint at;         // as Patroni has it
    std::uint32_t timeline = 0;  // 0 = it does not say

    friend bool operator==(const Leader&, const Leader&) = default;
};

/// The leader in the answer to GET /cluster; nullopt: it names none that runs.
/// Errors   F0000: it is no such answer.
protocol::Result<std::optional<Leader>> read_patroni_cluster(std::string_view json);

/// The host and port of "http://host:port/…"; nullopt: not such a URL. Without a port: 8008.
std::optional<config::Endpoint> patroni_endpoint(std::string_view url);

}  // namespace pgweir::health

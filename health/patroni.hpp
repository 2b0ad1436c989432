// Patroni's REST API: what it says of a cluster, and what it is told.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/cluster.hpp"
#include "protocol/error.hpp"

namespace pgweir::health {

struct Leader {
    config::Endpoint at;         // as Patroni has it
    std::uint32_t timeline = 0;  // 0 = it does not say

    friend bool operator==(const Leader&, const Leader&) = default;
};

/// One node as Patroni knows it. Value.
struct Member {
    std::string name{};
    config::Endpoint at{};
    std::uint32_t timeline = 0;  // 0 = it does not say
    bool leads = false;          // and runs
};

/// The members in the answer to GET /cluster that have an address.
/// Errors   F0000: it is no such answer.
protocol::Result<std::vector<Member>> read_patroni_members(std::string_view json);

/// The leader in the answer to GET /cluster; nullopt: it names none that runs.
/// Errors   F0000: it is no such answer.
protocol::Result<std::optional<Leader>> read_patroni_cluster(std::string_view json);

/// The body of POST /switchover.
/// Errors   F0000 when `from` does not lead, or Patroni does not know one of them.
protocol::Result<std::string> patroni_switchover(const std::vector<Member>& members,
                                                 const config::Endpoint& from,
                                                 const config::Endpoint& to);

/// Where somebody is asked over HTTP. Value.
struct RestUrl {
    config::Endpoint at{};
    bool tls = false;             // https
    std::string user_password{};  // for what changes something; "" = none

    friend bool operator==(const RestUrl&, const RestUrl&) = default;
};

/// Of "http://user:password@host:port/…" or "https://…", of which only the host is necessary;
/// nullopt: not such a URL.
std::optional<RestUrl> rest_url(std::string_view url, int default_port);
inline std::optional<RestUrl> patroni_url(std::string_view url) { return rest_url(url, 8008); }

}  // namespace pgweir::health

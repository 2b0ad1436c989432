#include "health/patroni.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

// The library's own code, so that nothing has to be linked.
#include <boost/json/src.hpp>

namespace pgweir::health {

namespace json = boost::json;

namespace {

protocol::Error bad(std::string text) {
    return {protocol::sqlstate::config_file_error, protocol::Origin::server, std::move(text)};
}

std::string_view text_of(const json::object& object, std::string_view key) {
    const json::value* const value = object.if_contains(key);
    const json::string* const text = value ? value->if_string() : nullptr;
    return text ? std::string_view(*text) : std::string_view();
}

/// 0 when there is none that fits.
std::uint32_t number_of(const json::object& object, std::string_view key) {
    const json::value* const value = object.if_contains(key);
    const std::int64_t* const number = value ? value->if_int64() : nullptr;
    return number && *number > 0 && *number <= UINT32_MAX ? static_cast<std::uint32_t>(*number) : 0;
}

}  // namespace

protocol::Result<std::vector<Member>> read_patroni_members(std::string_view text) {
    json::error_code failure;
    const json::value whole = json::parse(text, failure);
    const json::object* const object = failure ? nullptr : whole.if_object();
    const json::value* const members = object ? object->if_contains("members") : nullptr;
    const json::array* const list = members ? members->if_array() : nullptr;
    if (!list) return bad("expected the members of a cluster from Patroni");
    std::vector<Member> found;
    for (const json::value& one : *list) {
        const json::object* const member = one.if_object();
        if (!member || text_of(*member, "host").empty()) continue;
        const std::string_view role = text_of(*member, "role"), state = text_of(*member, "state");
        const bool leads = role == "leader" || role == "master" || role == "primary";
        const std::uint32_t port = number_of(*member, "port");
        found.push_back(
            {.name = std::string(text_of(*member, "name")),
             .at = {std::string(text_of(*member, "host")), static_cast<int>(port ? port : 5432)},
             .timeline = number_of(*member, "timeline"),
             .leads = leads && (state == "running" || state.empty())});
    }
    return found;
}

protocol::Result<std::optional<Leader>> read_patroni_cluster(std::string_view text) {
    const auto members = read_patroni_members(text);
    if (members.has_error()) return members.error();
    const auto leader = std::ranges::find_if(*members, &Member::leads);
    if (leader == members->end()) return std::optional<Leader>();
    return std::optional(Leader{leader->at, leader->timeline});
}

protocol::Result<std::string> patroni_switchover(const std::vector<Member>& members,
                                                 const config::Endpoint& from,
                                                 const config::Endpoint& to) {
    const auto leader = std::ranges::find_if(members, &Member::leads);
    const auto candidate = std::ranges::find(members, to, &Member::at);
    if (leader == members.end()) return bad("Patroni knows of no leader");
    if (leader->at != from) {
        return bad(fmt::format("Patroni's leader is {}:{}, not {}:{}", leader->at.host,
                               leader->at.port, from.host, from.port));
    }
    if (candidate == members.end())
        return bad(fmt::format("Patroni does not know {}:{}", to.host, to.port));
    return json::serialize(json::object{{"leader", leader->name}, {"candidate", candidate->name}});
}

std::optional<RestUrl> rest_url(std::string_view url, int default_port) {
    constexpr std::string_view plain = "http://", secure = "https://";
    RestUrl found;
    found.tls = url.starts_with(secure);
    if (!found.tls && !url.starts_with(plain)) return std::nullopt;
    url.remove_prefix(found.tls ? secure.size() : plain.size());
    url = url.substr(0, url.find('/'));
    if (const std::size_t sign = url.rfind('@'); sign != std::string_view::npos) {
        found.user_password = url.substr(0, sign);
        url.remove_prefix(sign + 1);
    }
    found.at = {std::string(url), default_port};
    const std::size_t colon = url.rfind(':');
    if (colon != std::string_view::npos && !url.ends_with(']')) {
        const std::string_view port = url.substr(colon + 1);
        const auto read = std::from_chars(port.data(), port.data() + port.size(), found.at.port);
        if (read.ec != std::errc() || read.ptr != port.data() + port.size()) return std::nullopt;
        found.at.host = url.substr(0, colon);
    }
    std::string& host = found.at.host;
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (host.empty()) return std::nullopt;
    return found;
}

}  // namespace pgweir::health

#include "health/patroni.hpp"

#include <charconv>

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

protocol::Result<std::optional<Leader>> read_patroni_cluster(std::string_view text) {
    json::error_code failure;
    const json::value whole = json::parse(text, failure);
    const json::object* const object = failure ? nullptr : whole.if_object();
    const json::value* const members = object ? object->if_contains("members") : nullptr;
    const json::array* const list = members ? members->if_array() : nullptr;
    if (!list) return bad("expected the members of a cluster from Patroni");
    for (const json::value& one : *list) {
        const json::object* const member = one.if_object();
        if (!member) continue;
        const std::string_view role = text_of(*member, "role"), state = text_of(*member, "state");
        const bool leads = role == "leader" || role == "master" || role == "primary";
        if (!leads || (state != "running" && !state.empty())) continue;
        const std::uint32_t port = number_of(*member, "port");
        Leader leader{{std::string(text_of(*member, "host")), static_cast<int>(port ? port : 5432)},
                      number_of(*member, "timeline")};
        if (!leader.at.host.empty()) return leader;
    }
    return std::optional<Leader>();
}

std::optional<config::Endpoint> patroni_endpoint(std::string_view url) {
    constexpr std::string_view scheme = "http://";
    if (!url.starts_with(scheme)) return std::nullopt;
    url.remove_prefix(scheme.size());
    url = url.substr(0, url.find('/'));
    config::Endpoint at{std::string(url), 8008};
    const std::size_t colon = url.rfind(':');
    if (colon != std::string_view::npos && !url.ends_with(']')) {
        const std::string_view port = url.substr(colon + 1);
        const auto read = std::from_chars(port.data(), port.data() + port.size(), at.port);
        if (read.ec != std::errc() || read.ptr != port.data() + port.size()) return std::nullopt;
        at.host = url.substr(0, colon);
    }
    if (at.host.starts_with('[') && at.host.ends_with(']'))
        at.host = at.host.substr(1, at.host.size() - 2);
    if (at.host.empty()) return std::nullopt;
    return at;
}

}  // namespace pgweir::health

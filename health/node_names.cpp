#include "health/node_names.hpp"

#include <algorithm>
#include <array>

#include <arpa/inet.h>

namespace pgweir::health {

bool is_name(const config::Endpoint& at) {
    const std::string& host = at.host;
    std::array<unsigned char, sizeof(in6_addr)> number;
    return !host.empty() && !host.starts_with('/') && !host.starts_with('@') &&
           inet_pton(AF_INET, host.c_str(), number.data()) != 1 &&
           inet_pton(AF_INET6, host.c_str(), number.data()) != 1;
}

std::vector<config::Node> expand(const std::vector<config::Node>& nodes,
                                 const NameAddresses& addresses) {
    const auto known = [&](const config::Node& node) { return addresses.find(node.at.host); };
    const bool several = std::ranges::any_of(nodes, [&](const config::Node& node) {
        return is_name(node.at) && known(node) != addresses.end() && known(node)->second.size() > 1;
    });
    std::vector<config::Node> found;
    const auto add = [&found](config::Node node) {
        if (std::ranges::find(found, node.at, &config::Node::at) == found.end())
            found.push_back(std::move(node));
    };
    for (const config::Node& node : nodes) {
        if (!is_name(node.at)) {
            add(node);
        } else if (const auto its = known(node); its != addresses.end()) {
            if (!several || its->second.empty()) add(node);
            for (const std::string& address : its->second) {
                config::Node one = node;
                one.at.host = address;
                if (several) add(std::move(one));
            }
        }
    }
    return found;
}

}  // namespace pgweir::health

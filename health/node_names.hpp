// Which nodes a configuration means where its hosts are names.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/cluster.hpp"

namespace pgweir::health {

/// Is the host a name that has to be looked up? Else it is a number, or a socket.
bool is_name(const config::Endpoint& at);

/// What names stand for, as numbers; none: it could not be looked up.
using NameAddresses = std::map<std::string, std::vector<std::string>>;

/// A name with one address is a node, whoever answers there. Where a name has several, each of them
/// is a node, and so are those of the other names: a server that several names stand for is one
/// node, as the first of them describes it. Names that `addresses` has not are left out.
std::vector<config::Node> expand(const std::vector<config::Node>& nodes,
                                 const NameAddresses& addresses);

}  // namespace pgweir::health

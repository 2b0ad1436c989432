// What the system's resolver can beside getaddrinfo().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <netinet/in.h>

namespace pgweir::net {

/// The IPv4 addresses of the "nameserver" lines of such a file's text; the first three, as the
/// system does.
std::vector<in_addr> name_servers_of(std::string_view resolv_conf);

/// While it is there this thread asks the name servers of another file than /etc/resolv.conf.
/// Resource; at most one a thread.
class NameServers {
public:
    /// `resolv_conf`: the file's name; empty, or one that names no servers: the system's are asked.
    explicit NameServers(const std::string& resolv_conf);
    ~NameServers();
    NameServers(const NameServers&) = delete;
    NameServers& operator=(const NameServers&) = delete;

private:
    bool others_ = false;
};

/// The serial number of the zone that this name is in, by its SOA record. Blocking.
/// Returns  nullopt: there is no such name, or nobody could be asked.
std::optional<std::uint32_t> zone_serial(const std::string& name);
/// The same from an answer as name servers send it.
std::optional<std::uint32_t> serial_in(std::string_view answer);

}  // namespace pgweir::net

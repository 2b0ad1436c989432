#include "pool/net/resolver.hpp"

#include <array>
#include <fstream>
#include <sstream>

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <resolv.h>

namespace pgweir::net {

namespace {

constexpr std::size_t servers_max = MAXNS;

std::string read_whole(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return std::move(text).str();
}

}  // namespace

std::vector<in_addr> name_servers_of(std::string_view resolv_conf) {
    std::vector<in_addr> servers;
    std::istringstream lines{std::string(resolv_conf)};
    for (std::string line; std::getline(lines, line) && servers.size() < servers_max;) {
        std::istringstream words(line);
        std::string keyword, address;
        in_addr server{};
        const bool named = words >> keyword >> address && keyword == "nameserver";
        if (named && inet_pton(AF_INET, address.c_str(), &server) == 1) servers.push_back(server);
    }
    return servers;
}

/// getaddrinfo() goes by the thread's _res where the program has changed that.
NameServers::NameServers(const std::string& resolv_conf) {
    if (resolv_conf.empty()) return;
    const std::vector<in_addr> servers = name_servers_of(read_whole(resolv_conf));
    if (servers.empty() || res_init() != 0) return;
    others_ = true;
    _res.nscount = 0;
    for (const in_addr& server : servers) {
        sockaddr_in& at = _res.nsaddr_list[_res.nscount++];
        at = {};
        at.sin_family = AF_INET;
        at.sin_port = htons(NAMESERVER_PORT);
        at.sin_addr = server;
    }
}

NameServers::~NameServers() {
    if (others_) res_init();
}

std::optional<std::uint32_t> serial_in(std::string_view answer) {
    ns_msg message;
    const auto* const bytes =
        static_cast<const unsigned char*>(static_cast<const void*>(answer.data()));
    if (ns_initparse(bytes, static_cast<int>(answer.size()), &message) != 0) return std::nullopt;
    // A name that is no zone's own has the zone's record in the section about authority.
    for (const ns_sect section : {ns_s_an, ns_s_ns}) {
        for (int i = 0; i < ns_msg_count(message, section); ++i) {
            ns_rr record;
            if (ns_parserr(&message, section, i, &record) != 0) return std::nullopt;
            if (ns_rr_type(record) != ns_t_soa) continue;
            // Two names, and five numbers of which the first is the serial.
            constexpr int numbers_size = 5 * 4;
            if (ns_rr_rdlen(record) < numbers_size) return std::nullopt;
            return ns_get32(ns_rr_rdata(record) + ns_rr_rdlen(record) - numbers_size);
        }
    }
    return std::nullopt;
}

std::optional<std::uint32_t> zone_serial(const std::string& name) {
    if ((_res.options & RES_INIT) == 0 && res_init() != 0) return std::nullopt;
    std::array<unsigned char, NS_PACKETSZ> question;
    std::array<unsigned char, NS_MAXMSG> answer;
    const int asked = res_nmkquery(&_res, ns_o_query, name.c_str(), ns_c_in, ns_t_soa, nullptr, 0,
                                   nullptr, question.data(), question.size());
    if (asked <= 0) return std::nullopt;
    const int got = res_nsend(&_res, question.data(), asked, answer.data(), answer.size());
    if (got <= 0) return std::nullopt;
    return serial_in({static_cast<const char*>(static_cast<const void*>(answer.data())),
                      static_cast<std::size_t>(got)});
}

}  // namespace pgweir::net

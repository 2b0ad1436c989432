#include "proxy/admin/show.hpp"

#include "protocol/vars.hpp"

namespace pgweir::proxy::admin {

namespace {

constexpr std::string_view help =
    "\n\tSHOW HELP|CONFIG|DATABASES|POOLS|CLIENTS|SERVERS|USERS|VERSION"
    "\n\tSHOW PEERS|PEER_POOLS"
    "\n\tSHOW FDS|SOCKETS|ACTIVE_SOCKETS|LISTS|MEM|STATE"
    "\n\tSHOW DNS_HOSTS|DNS_ZONES"
    "\n\tSHOW PINS"
    "\n\tSHOW NODES|EVENTS|POOL_NODES"
    "\n\tSHOW QUERIES|ROUTES"
    "\n\tSHOW STATS|STATS_TOTALS|STATS_AVERAGES|TOTALS"
    "\n\tSET key = arg"
    "\n\tRELOAD"
    "\n\tPAUSE [<db>]"
    "\n\tRESUME [<db>]"
    "\n\tDISABLE <db>"
    "\n\tENABLE <db>"
    "\n\tRECONNECT [<db>]"
    "\n\tKILL [<db>]"
    "\n\tKILL_CLIENT <client_id>"
    "\n\tRESET QUERIES"
    "\n\tEXPLAIN ROUTE [<db>] <sql>"
    "\n\tSUSPEND"
    "\n\tSHUTDOWN"
    "\n\tSHUTDOWN WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS"
    "\n\tWAIT_CLOSE [<db>]"
    "\n\tNODE DRAIN|RESUME|DETACH|SWITCHOVER|UPGRADE <host:port>";

}  // namespace

std::array<std::span<const Show>, 6> all_shows() {
    return {connection_shows(), pool_shows(),  stats_shows(),
            node_shows(),       query_shows(), process_shows()};
}

const Show* find_show(std::string_view name) {
    for (const auto section : all_shows()) {
        for (const Show& show : section) {
            if (protocol::same_name(show.name, name)) return &show;
        }
    }
    return nullptr;
}

Answer answer_show(const Show& show, const Snapshot& snapshot) {
    Answer answer = done("SHOW");
    if (show.columns.empty()) {
        answer.notice = "Console usage";
        answer.detail = help;
    } else {
        answer.rows = show.rows(snapshot);
    }
    return answer;
}

}  // namespace pgweir::proxy::admin

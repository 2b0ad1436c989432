// What is where: the status page and its /api/status, /metrics, /healthz, /readyz, /fence/….
#pragma once

#include <memory>
#include <string>

#include "proxy/http/feed.hpp"
#include "proxy/http/server.hpp"

namespace pgweir::proxy::http {

/// Resource; made and ended on the main thread. Its server's thread reads nothing of the process
/// but what is atomic and what snapshots have.
class Site {
public:
    /// `socket` listens; it is the site's.
    Site(Process& process, int socket);

    int socket() const { return server_.socket(); }

private:
    void handle(const Request& request, Server::Reply reply);
    void answer_health(const Server::Reply& reply) const;
    void answer_readiness(Server::Reply reply) const;
    void answer_fence(std::string path, Server::Reply reply) const;
    using Show = std::function<Response(const admin::Snapshot&)>;
    void answer_snapshot(unsigned parts, Server::Reply reply, Show show) const;
    bool is_meant(const std::string& host) const;

    Process& process_;
    const bool loopback_only_;
    std::shared_ptr<Feed> feed_;
    Server server_;  // last: its thread uses the others
};

}  // namespace pgweir::proxy::http

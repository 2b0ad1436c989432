#include "proxy/http/site.hpp"

#include <fmt/format.h>

#include "config/listen_address.hpp"
#include "config/units.hpp"
#include "pool/net/address.hpp"
#include "proxy/http/metrics.hpp"
#include "proxy/http/page.hpp"
#include "proxy/http/readiness.hpp"
#include "proxy/http/status.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy::http {

namespace {

constexpr const char* json = "application/json";

/// Nothing here is for another site's pages, nor to be kept.
Headers headers() {
    return {{"Server", "pgweir"},
            {"Cache-Control", "no-store"},
            {"X-Content-Type-Options", "nosniff"},
            {"X-Frame-Options", "DENY"},
            {"Referrer-Policy", "no-referrer"},
            {"Cross-Origin-Resource-Policy", "same-origin"},
            {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"}};
}

bool is_loopback(int socket) {
    const auto address = config::parse_address(net::local_address(socket).host());
    return address && config::is_loopback(*address);
}

/// What `host` names, without its port and brackets.
std::string name_in(const std::string& host) {
    if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
    return host.substr(0, host.rfind(':'));
}

using admin::Snapshot;
constexpr unsigned both_parts =
    Snapshot::pools_part | Snapshot::figures_part | Snapshot::nodes_part | Snapshot::state_part;
constexpr unsigned metrics_parts = both_parts | Snapshot::databases_part | Snapshot::users_part |
                                   Snapshot::routes_part | Snapshot::queries_part;
constexpr unsigned status_parts = both_parts | Snapshot::waiting_part | Snapshot::queries_part;

Response show_metrics(const admin::Snapshot& snapshot) {
    return {.type = "text/plain; version=0.0.4; charset=utf-8",
            .body = exposition(metrics(snapshot, process_figures()))};
}

Response show_status(const admin::Snapshot& snapshot) {
    return {.type = json, .body = status_json(snapshot)};
}

Response show_page() {
    return {.type = "text/html; charset=utf-8",
            .body = std::string(status_page()),
            .headers = {{"Content-Security-Policy", status_page_policy()}}};
}

/// How long a worker may take for one turn before it counts as hung.
constexpr std::int64_t hung_us = 10'000'000;

}  // namespace

Site::Site(Process& process, int socket)
    : process_(process),
      loopback_only_(is_loopback(socket)),
      feed_(std::make_shared<Feed>(process)),
      server_(socket,
              [this](const Request& request, Server::Reply reply) {
                  handle(request, std::move(reply));
              },
              headers(), {}) {}

/// On a loopback address the only names that are meant are addresses and localhost: a page that
/// gives a name of its own our address must not read what its visitors could.
bool Site::is_meant(const std::string& host) const {
    if (!loopback_only_ || host.empty()) return true;
    const std::string name = name_in(host);
    return config::same_word(name, "localhost") || config::parse_address(name);
}

void Site::handle(const Request& request, Server::Reply reply) {
    if (!is_meant(request.host))
        return reply([] { return Response{421, {}, "not a name of this host\n"}; });
    if (request.path == "/healthz") return answer_health(reply);
    if (request.path == "/readyz") return answer_readiness(std::move(reply));
    if (request.path == "/metrics")
        return answer_snapshot(metrics_parts, std::move(reply), show_metrics);
    if (request.path == "/api/status")
        return answer_snapshot(status_parts, std::move(reply), show_status);
    if (request.path.starts_with("/fence/")) return answer_fence(request.path, std::move(reply));
    if (request.path == "/") return reply(show_page);
    reply([] { return Response{404, {}, "there is /, /metrics, /healthz and /readyz\n"}; });
}

void Site::answer_health(const Server::Reply& reply) const {
    const std::int64_t now_us = net::monotonic_us();
    for (const auto& shard : process_.shards()) {
        const std::int64_t ticked_us = shard->ticked_us.load(std::memory_order_relaxed);
        if (ticked_us == 0 || now_us - ticked_us < hung_us) continue;
        const std::string text = fmt::format("worker {} has not come round for {} s\n",
                                             shard->worker.index, (now_us - ticked_us) / 1'000'000);
        return reply([text] { return Response{503, {}, text}; });
    }
    reply([] { return Response{200, {}, "ok\n"}; });
}

void Site::answer_readiness(Server::Reply reply) const {
    process_.main().worker.loop.post(
        [this, alive = std::weak_ptr(feed_), reply = std::move(reply)] {
            if (alive.expired()) return;
            admin::take_snapshot(
                process_, Snapshot::nodes_part | Snapshot::figures_part,
                [reply](const Snapshot& snapshot) {
                    const Readiness found = readiness(snapshot);
                    reply([found] {
                        return Response{found.ready ? 200u : 503u, json, to_json(found)};
                    });
                });
        });
}

/// For other processes: failover.peers.
void Site::answer_fence(std::string path, Server::Reply reply) const {
    process_.main().worker.loop.post(
        [this, alive = std::weak_ptr(feed_), path = std::move(path), reply = std::move(reply)] {
            if (alive.expired()) return;
            const std::optional<std::string> found = process_.monitor().fence_at(path);
            reply([found] {
                return found ? Response{200, "text/plain; charset=utf-8", *found}
                             : Response{404, {}, "no such cluster\n"};
            });
        });
}

/// `show` runs on the server's thread.
void Site::answer_snapshot(unsigned parts, Server::Reply reply, Show show) const {
    process_.main().worker.loop.post(
        [alive = std::weak_ptr(feed_), parts, reply = std::move(reply), show = std::move(show)] {
            const auto feed = alive.lock();
            if (!feed) return;
            feed->ask(parts, [reply, show](const Feed::SnapshotPtr& snapshot) {
                reply([snapshot, show] { return show(*snapshot); });
            });
        });
}

}  // namespace pgweir::proxy::http

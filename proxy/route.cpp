#include "proxy/route.hpp"

#include <ostream>

#include "config/load.hpp"
#include "pool/registry.hpp"
#include "pool/tls_contexts.hpp"
#include "proxy/catalog_reader.hpp"
#include "proxy/explain_route.hpp"
#include "router/router.hpp"

namespace pgweir::proxy {

namespace {

using router::Verdict;

void print(const Verdict& verdict, std::ostream& out) {
    out << place_text(verdict) << ": " << reason_text(verdict.reason);
    if (!verdict.detail.empty()) out << " (" << verdict.detail << ")";
    out << "\n";
}

void print_each(std::string_view sql, const Judge& judge, std::ostream& out) {
    for (const Verdict& verdict : judge_each(sql, judge)) print(verdict, out);
}

/// Somebody to read the catalog as.
std::optional<pool::ServerCredentials> credentials(const config::Config& config,
                                                   const config::Database& entry) {
    const auto known = [&](const std::string& user, const std::string& password) {
        const config::Credential* const credential = config.credential(user);
        const bool own = !password.empty() || !credential;
        return pool::ServerCredentials{.user = user,
                                       .secret = own ? password : credential->secret,
                                       .client_key = {},
                                       .server_key = {}};
    };
    if (entry.user) return known(*entry.user, entry.password.value_or(""));
    const config::Cluster* const cluster = config.cluster(entry.cluster);
    if (cluster) return known(cluster->health.user, cluster->health.password);
    return std::nullopt;
}

/// Just enough of a process for one connection.
class Reading {
public:
    Reading(const config::ConfigPtr& config, pool::TlsContextsPtr tls)
        : worker_(0, shared_, config) {
        worker_.tls = std::move(tls);
    }
    ~Reading() {
        shared_.offload.stop();
        shared_.catalogs.stop();
    }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

    protocol::Result<router::CatalogPtr> run(const config::Database& entry,
                                             const pool::ServerCredentials& as,
                                             const router::CatalogLists& lists) {
        pool::Registry registry({&worker_});
        pool::Totals totals;
        config::Database any_node = entry;
        any_node.cluster.clear();  // nobody watches it here
        pool::Pool pool(registry, {entry.name, as.user, {}},
                        pool::make_pool_settings(*worker_.config, any_node, as.user), totals,
                        totals);
        pool.internal = true;
        pool.set_credentials(as);
        net::Story story;
        story.start(worker_.loop, read(pool, lists));
        worker_.loop.run();
        return *std::move(result_);
    }

private:
    net::Task<> read(pool::Pool& pool, router::CatalogLists lists) {
        {
            CatalogReader reader(worker_, pool, CatalogReader::Way::own);
            result_ = co_await reader.load(std::move(lists));
        }
        worker_.loop.stop();
    }

    pool::Shared shared_;
    pool::Worker worker_;
    std::optional<protocol::Result<router::CatalogPtr>> result_;
};

/// The catalog as the first node that answers has it.
protocol::Result<router::CatalogPtr> read_catalog(const config::ConfigPtr& config,
                                                  config::Database entry,
                                                  const pool::ServerCredentials& as) {
    const auto tls = pool::make_tls_contexts(*config);
    if (tls.has_error()) return tls.error();
    router::CatalogLists lists;
    if (const config::Cluster* const cluster = config->cluster(entry.cluster)) {
        lists = {.replica_safe_functions = cluster->reads.replica_safe_functions,
                 .primary_functions = cluster->reads.primary_functions,
                 .foreign_tables = cluster->reads.foreign_tables};
    }
    std::optional<protocol::Result<router::CatalogPtr>> result;
    for (const config::Endpoint& node : std::vector(entry.endpoints)) {
        entry.endpoints = {node};
        result = Reading(config, *tls).run(entry, as, lists);
        if (result->has_value()) break;
    }
    return *std::move(result);
}

}  // namespace

void print_routes(const std::string& sql, std::ostream& out) {
    print_each(
        sql, [](std::string_view text) { return router::presume(text); }, out);
}

int print_routes(const std::string& config_path, const std::string& database,
                 const std::string& sql, std::ostream& out, std::ostream& errors) {
    const config::Loaded loaded = config::load(config_path);
    for (const auto& problem : loaded.problems) errors << config::text(problem) << "\n";
    if (!loaded.config) return 1;
    const auto entry = loaded.config->entry_for(database);
    const auto as = entry ? credentials(*loaded.config, *entry) : std::nullopt;
    if (!as) {
        errors << "pgweir: "
               << (entry ? "the entry has neither a user nor a cluster: " : "no such entry: ")
               << database << "\n";
        return 1;
    }
    const auto catalog = read_catalog(loaded.config, *entry, *as);
    if (catalog.has_error()) {
        errors << "pgweir: cannot read the catalog: " << catalog.error().message << "\n";
        return 1;
    }
    for (const std::string& remark : (*catalog)->remarks()) errors << "remark: " << remark << "\n";
    router::Router router;
    const router::Conditions conditions{.catalog = catalog->get(), .user = as->user};
    print_each(
        sql, [&](std::string_view text) { return *router.judge(text, conditions); }, out);
    return 0;
}

}  // namespace pgweir::proxy

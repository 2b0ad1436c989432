#include "proxy/admin/explain.hpp"

#include "proxy/explain_route.hpp"
#include "proxy/process.hpp"
#include "router/lexer.hpp"

namespace pgweir::proxy::admin {

namespace {

using router::Verdict;

constexpr Column columns[] = {{"route"}, {"reason"}, {"detail"}, {"node"}};

/// The entry of a cluster whose name stands in front, and what stands behind.
struct Asked {
    const config::Database* entry = nullptr;
    const config::Cluster* cluster = nullptr;
    std::string_view sql;
};

Asked asked(const config::Config& config, std::string_view text) {
    router::Lexer lexer(text);
    const router::Token word = lexer.next();
    const router::Token next = lexer.next();
    const bool name = word.kind == router::TokenKind::identifier ||
                      word.kind == router::TokenKind::quoted_identifier;
    if (!name || next.kind == router::TokenKind::end) return {.sql = text};
    const config::Database* const entry = config.database(router::identifier_name(word));
    const config::Cluster* const cluster = entry ? config.cluster(entry->cluster) : nullptr;
    if (!cluster) return {.sql = text};
    return {entry, cluster, text.substr(static_cast<std::size_t>(next.begin - text.data()))};
}

/// The nodes that may get it now.
std::string nodes_for(const health::Topology& topology, bool replica) {
    std::string nodes;
    for (std::size_t i = 0; i < topology.nodes.size(); ++i) {
        const health::NodeView& node = topology.nodes[i];
        const bool leads = topology.primary == i;
        if (replica ? leads || !node.eligible : !leads) continue;
        if (!nodes.empty()) nodes += ", ";
        nodes += pool::node_name(node.node.at);
    }
    return nodes;
}

/// What the entry says beside the statement.
std::optional<Cause> overruling(const Asked& asked, const Verdict& verdict) {
    if (!asked.cluster) return std::nullopt;
    if (asked.entry->role != config::TargetRole::any) return Cause::entry_role;
    if (verdict.read && !asked.cluster->reads.split) return Cause::split_off;
    return std::nullopt;
}

Row row_of(const Asked& asked, const Verdict& verdict, const health::Topology* topology) {
    std::string_view route = place_text(verdict);
    RouteReason why{Cause::verdict, verdict.reason};
    const bool of_nodes = route == "primary" || route == "replica";
    const auto overruled = of_nodes ? overruling(asked, verdict) : std::nullopt;
    if (overruled) {
        const bool replica = asked.entry->role == config::TargetRole::replica;
        route = replica ? "replica" : "primary";
        why = {*overruled};
    }
    const bool shows = !overruled && !verdict.detail.empty();
    Cell nodes;
    if (of_nodes && topology) nodes = nodes_for(*topology, route == "replica");
    return {text(route), text(why.text()), shows ? Cell(verdict.detail) : Cell(), nodes};
}

}  // namespace

Columns explain_columns() { return columns; }

void run_explain(Process& process, const Command& command, const Tell& tell) {
    Shard& here = process.main();
    const config::ConfigPtr config = process.config();
    const Asked what = asked(*config, command.value);
    Judge judge = [](std::string_view sql) { return router::presume(sql); };
    const health::Topology* topology = nullptr;
    if (what.entry) {
        topology = here.cluster(what.cluster->name).topology();
        const std::string& dbname =
            what.entry->dbname.empty() ? what.entry->name : what.entry->dbname;
        const KnownCatalog& known = here.catalog({what.cluster->name, dbname});
        const std::optional<std::string>& user = what.entry->user;
        const router::Conditions conditions{
            .catalog = known.catalog.get(),
            .user = user ? std::string_view(*user) : std::string_view(),
            .suspect = known.suspect()};
        judge = [&here, conditions](std::string_view sql) {
            return *here.router.judge(sql, conditions);
        };
    }
    Answer answer = done("EXPLAIN");
    for (const Verdict& verdict : judge_each(what.sql, judge))
        answer.rows.push_back(row_of(what, verdict, topology));
    tell(std::move(answer));
}

}  // namespace pgweir::proxy::admin

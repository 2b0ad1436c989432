#include "proxy/upgrade.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "proxy/cluster_watch.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

Upgrade::Upgrade(ClusterWatch& watch, config::Endpoint target, Monitor::Done done)
    : PrimaryChange(watch, "upgrade", std::move(target), std::move(done)),
      databases_(find_databases()) {}

/// Those that the configuration names, and those that somebody has come for.
std::set<std::string> Upgrade::find_databases() const {
    std::set<std::string> found;
    for (const auto& [name, entry] : watch().process().config()->databases) {
        if (entry.cluster == watch().config().name && name != "*") found.insert(entry.dbname);
    }
    for (const pool::Pool* const pool : watch().process().registry().pools()) {
        if (pool->cluster() == watch().config().name && !pool->internal)
            found.insert(pool->server_database());
    }
    return found;
}

net::Task<Trouble> Upgrade::carry_out() {
    if (Trouble trouble = co_await check()) co_return trouble;
    Drain drain(watch());
    Trouble trouble = co_await drain.run(left_us() / 3);
    if (!trouble) trouble = co_await wait_for_subscribers(drain.over_us());
    for (const std::string& database : databases_) {
        if (!trouble) trouble = co_await set_sequences(database);
    }
    if (!trouble) trouble = co_await drain.run_reads(left_us() / 3);
    if (trouble) co_return trouble;
    if (!watch().adopt(target())) co_return health::name_of(target()) + " does not answer any more";
    co_return co_await wait_for_primary();
}

net::Task<Upgrade::Answer> Upgrade::rows_of(config::Endpoint at, std::string database,
                                            std::string sql) {
    if (sql.empty()) co_return subscriptions::Rows();
    auto answer = co_await ask(at, database, std::move(sql));
    if (answer && !answer->error) co_return std::move(answer->rows);
    co_return protocol::Error{not_in_state, protocol::Origin::server,
                              fmt::format("{}, database \"{}\": {}", health::name_of(at), database,
                                          answer ? answer->error->message : "no answer in time")};
}

// ---------------------------------------------------------------- before anybody waits

net::Task<Trouble> Upgrade::check() {
    if (databases_.empty()) co_return "no database is known that clients use";
    const Answer found = co_await rows_of(target(), watch().config().health.dbname,
                                          subscriptions::subscriptions_sql());
    if (found.has_error()) co_return found.error().message;
    all_ = subscriptions::read_subscriptions(*found);
    std::erase_if(all_, [this](const auto& one) { return !databases_.contains(one.database); });
    if (Trouble trouble = subscriptions::find_unsubscribed(all_, databases_)) co_return trouble;
    const Answer slots =
        co_await rows_of(old(), watch().config().health.dbname, subscriptions::slots_sql(all_));
    if (slots.has_error()) co_return slots.error().message;
    Trouble trouble = subscriptions::find_inactive(all_, *slots);
    for (const std::string& database : databases_) {
        if (!trouble) trouble = co_await check_database(database);
    }
    co_return trouble;
}

net::Task<Trouble> Upgrade::check_database(std::string database) {
    const Answer tables = co_await rows_of(old(), database, subscriptions::tables_sql());
    if (tables.has_error()) co_return tables.error().message;
    const Answer subscribed = co_await rows_of(target(), database, subscriptions::subscribed_sql());
    if (subscribed.has_error()) co_return subscribed.error().message;
    if (Trouble trouble = subscriptions::find_unready(database, *tables, *subscribed))
        co_return trouble;
    const Answer rows = co_await rows_of(old(), database, subscriptions::sequences_sql());
    if (rows.has_error()) co_return rows.error().message;
    const auto sequences = subscriptions::read_sequences(*rows);
    if (Trouble trouble = subscriptions::find_unreadable(database, sequences)) co_return trouble;
    const Answer unsettable =
        co_await rows_of(target(), database, subscriptions::unsettable_sql(sequences));
    if (unsettable.has_error()) co_return unsettable.error().message;
    co_return subscriptions::find_unsettable(database, *unsettable);
}

// ---------------------------------------------------------------- while clients wait

net::Task<Trouble> Upgrade::wait_for_subscribers(std::int64_t drained_us) {
    while (true) {
        const health::TopologyPtr topology = watch().topology();
        const health::NodeView* const primary = topology->primary_node();
        if (!primary || primary->node.at != old())
            co_return fmt::format("{} is not the primary any more", health::name_of(old()));
        const auto last = std::ranges::find_if(
            topology->samples, [&](const health::Sample& one) { return one.sent_us > drained_us; });
        Trouble behind = "the position of its log is not known yet";
        if (last != topology->samples.end()) {
            const Answer slots = co_await rows_of(old(), watch().config().health.dbname,
                                                  subscriptions::slots_sql(all_));
            if (slots.has_error()) co_return slots.error().message;
            behind = subscriptions::find_inactive(all_, *slots);
            if (behind) co_return behind;
            behind = subscriptions::find_behind(*slots, last->lsn);
        }
        if (!behind) co_return std::nullopt;
        if (left_us() <= 0) co_return behind;
        co_await look_again();
    }
}

net::Task<Trouble> Upgrade::set_sequences(std::string database) {
    const Answer rows = co_await rows_of(old(), database, subscriptions::sequences_sql());
    if (rows.has_error()) co_return rows.error().message;
    const auto sequences = subscriptions::read_sequences(*rows);
    const auto used = std::ranges::count_if(
        sequences, [](const subscriptions::Sequence& one) { return !one.last.empty(); });
    const Answer set = co_await rows_of(target(), database, subscriptions::set_sql(sequences));
    if (set.has_error()) co_return set.error().message;
    if (set->size() == static_cast<std::size_t>(used)) co_return std::nullopt;
    co_return fmt::format("database \"{}\": {} of {} sequences are there", database, set->size(),
                          used);
}

net::Task<Trouble> Upgrade::wait_for_primary() {
    while (true) {
        const health::NodeView* const primary = watch().topology()->primary_node();
        if (primary && primary->node.at == target()) co_return std::nullopt;
        if (left_us() <= 0)
            co_return fmt::format("{} has been taken over to and does not answer",
                                  health::name_of(target()));
        co_await look_again();
    }
}

}  // namespace pgweir::proxy

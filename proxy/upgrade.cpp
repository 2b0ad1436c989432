#include "proxy/upgrade.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "proxy/cluster_watch.hpp"
#include "proxy/node_query.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

namespace {

constexpr std::int64_t look_us = 5'000;  // between two looks at what is being waited for
constexpr protocol::Sqlstate not_in_state{"55000"};

}  // namespace

Upgrade::Upgrade(ClusterWatch& watch, config::Endpoint target, Monitor::Done done)
    : watch_(watch),
      loop_(watch.process().main().worker.loop),
      target_(std::move(target)),
      done_(std::move(done)) {}

Upgrade::~Upgrade() {
    if (done_ && !watch_.process().loops_live().expired())
        finish("the cluster is not watched any more");
}

void Upgrade::start() {
    began_us_ = net::monotonic_us();
    old_ = watch_.topology()->primary_node()->node.at;
    databases_ = find_databases();
    story_.start(loop_, run());
}

std::int64_t Upgrade::left_us() const {
    const std::int64_t limit_us = watch_.config().failover.switchover_timeout.count();
    return began_us_ + limit_us - net::monotonic_us();
}

/// Those that the configuration names, and those that somebody has come for.
std::set<std::string> Upgrade::find_databases() const {
    std::set<std::string> found;
    for (const auto& [name, entry] : watch_.process().config()->databases) {
        if (entry.cluster == watch_.config().name && name != "*") found.insert(entry.dbname);
    }
    for (const pool::Pool* const pool : watch_.process().registry().pools()) {
        if (pool->cluster() == watch_.config().name && !pool->internal)
            found.insert(pool->server_database());
    }
    return found;
}

net::Task<void> Upgrade::run() {
    co_await net::Sleep(loop_, 1);
    watch_.tell(target_, fmt::format("upgrade from {} begins", health::name_of(old_)));
    const Trouble trouble = co_await carry_out();
    watch_.tell(target_, trouble ? "upgrade failed: " + *trouble : "upgrade is done");
    finish(trouble);
}

void Upgrade::finish(const Trouble& trouble) {
    const Monitor::Done done = std::exchange(done_, {});
    if (!done) return;
    if (!trouble) return done(std::nullopt);
    done(protocol::Error{not_in_state, protocol::Origin::proxy, "upgrade failed: " + *trouble});
}

net::Task<Trouble> Upgrade::carry_out() {
    if (Trouble trouble = co_await check()) co_return trouble;
    Drain drain(watch_);
    Trouble trouble = co_await drain.run(left_us() / 3);
    if (!trouble) trouble = co_await wait_for_subscribers(drain.over_us());
    for (const std::string& database : databases_) {
        if (!trouble) trouble = co_await set_sequences(database);
    }
    if (!trouble) trouble = co_await drain.run_reads(left_us() / 3);
    if (trouble) co_return trouble;
    if (!watch_.adopt(target_)) co_return health::name_of(target_) + " does not answer any more";
    co_return co_await wait_for_primary();
}

net::Task<Upgrade::Answer> Upgrade::ask(config::Endpoint at, std::string database,
                                        std::string sql) {
    if (sql.empty()) co_return subscriptions::Rows();
    const auto answer = std::make_shared<std::optional<pool::Backend::OwnAnswer>>();
    NodeQuery query(watch_.process().registry(), watch_.process().main().worker, watch_.config(),
                    {.at = at, .dbname = database, .sql = std::move(sql)},
                    [answer](pool::Backend::OwnAnswer got) { *answer = std::move(got); });
    query.start();
    while (!*answer && left_us() > 0) co_await net::Sleep(loop_, 1'000);
    const auto failed = [&](const std::string& why) {
        return protocol::Error{
            not_in_state, protocol::Origin::server,
            fmt::format("{}, database \"{}\": {}", health::name_of(at), database, why)};
    };
    if (!*answer) co_return failed("no answer in time");
    if ((*answer)->error) co_return failed((*answer)->error->message);
    co_return std::move((*answer)->rows);
}

// ---------------------------------------------------------------- before anybody waits

net::Task<Trouble> Upgrade::check() {
    if (databases_.empty()) co_return "no database is known that clients use";
    const Answer found =
        co_await ask(target_, watch_.config().health.dbname, subscriptions::subscriptions_sql());
    if (found.has_error()) co_return found.error().message;
    all_ = subscriptions::read_subscriptions(*found);
    std::erase_if(all_, [this](const auto& one) { return !databases_.contains(one.database); });
    if (Trouble trouble = subscriptions::find_unsubscribed(all_, databases_)) co_return trouble;
    const Answer slots =
        co_await ask(old_, watch_.config().health.dbname, subscriptions::slots_sql(all_));
    if (slots.has_error()) co_return slots.error().message;
    Trouble trouble = subscriptions::find_inactive(all_, *slots);
    for (const std::string& database : databases_) {
        if (!trouble) trouble = co_await check_database(database);
    }
    co_return trouble;
}

net::Task<Trouble> Upgrade::check_database(std::string database) {
    const Answer tables = co_await ask(old_, database, subscriptions::tables_sql());
    if (tables.has_error()) co_return tables.error().message;
    const Answer subscribed = co_await ask(target_, database, subscriptions::subscribed_sql());
    if (subscribed.has_error()) co_return subscribed.error().message;
    if (Trouble trouble = subscriptions::find_unready(database, *tables, *subscribed))
        co_return trouble;
    const Answer rows = co_await ask(old_, database, subscriptions::sequences_sql());
    if (rows.has_error()) co_return rows.error().message;
    const auto sequences = subscriptions::read_sequences(*rows);
    if (Trouble trouble = subscriptions::find_unreadable(database, sequences)) co_return trouble;
    const Answer unsettable =
        co_await ask(target_, database, subscriptions::unsettable_sql(sequences));
    if (unsettable.has_error()) co_return unsettable.error().message;
    co_return subscriptions::find_unsettable(database, *unsettable);
}

// ---------------------------------------------------------------- while clients wait

net::Task<Trouble> Upgrade::wait_for_subscribers(std::int64_t drained_us) {
    while (true) {
        const health::TopologyPtr topology = watch_.topology();
        const health::NodeView* const primary = topology->primary_node();
        if (!primary || primary->node.at != old_)
            co_return fmt::format("{} is not the primary any more", health::name_of(old_));
        const auto last = std::ranges::find_if(
            topology->samples, [&](const health::Sample& one) { return one.sent_us > drained_us; });
        Trouble behind = "the position of its log is not known yet";
        if (last != topology->samples.end()) {
            const Answer slots =
                co_await ask(old_, watch_.config().health.dbname, subscriptions::slots_sql(all_));
            if (slots.has_error()) co_return slots.error().message;
            behind = subscriptions::find_inactive(all_, *slots);
            if (behind) co_return behind;
            behind = subscriptions::find_behind(*slots, last->lsn);
        }
        if (!behind) co_return std::nullopt;
        if (left_us() <= 0) co_return behind;
        watch_.ask_all();
        co_await net::Sleep(loop_, look_us);
    }
}

net::Task<Trouble> Upgrade::set_sequences(std::string database) {
    const Answer rows = co_await ask(old_, database, subscriptions::sequences_sql());
    if (rows.has_error()) co_return rows.error().message;
    const auto sequences = subscriptions::read_sequences(*rows);
    const auto used = std::ranges::count_if(
        sequences, [](const subscriptions::Sequence& one) { return !one.last.empty(); });
    const Answer set = co_await ask(target_, database, subscriptions::set_sql(sequences));
    if (set.has_error()) co_return set.error().message;
    if (set->size() == static_cast<std::size_t>(used)) co_return std::nullopt;
    co_return fmt::format("database \"{}\": {} of {} sequences are there", database, set->size(),
                          used);
}

net::Task<Trouble> Upgrade::wait_for_primary() {
    while (true) {
        const health::NodeView* const primary = watch_.topology()->primary_node();
        if (primary && primary->node.at == target_) co_return std::nullopt;
        if (left_us() <= 0)
            co_return fmt::format("{} has been taken over to and does not answer",
                                  health::name_of(target_));
        watch_.ask_all();
        co_await net::Sleep(loop_, look_us);
    }
}

}  // namespace pgweir::proxy

#include "proxy/switchover.hpp"

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

Switchover::Switchover(ClusterWatch& watch, config::Endpoint target, Monitor::Done done)
    : watch_(watch),
      loop_(watch.process().main().worker.loop),
      target_(std::move(target)),
      done_(std::move(done)),
      command_(loop_) {}

Switchover::~Switchover() {
    if (done_ && !watch_.process().loops_live().expired())
        finish("the cluster is not watched any more");
}

void Switchover::start() {
    began_us_ = net::monotonic_us();
    old_ = watch_.topology()->primary_node()->node.at;
    story_.start(loop_, run());
}

std::int64_t Switchover::left_us() const {
    const std::int64_t limit_us = watch_.config().failover.switchover_timeout.count();
    return began_us_ + limit_us - net::monotonic_us();
}

net::Task<void> Switchover::run() {
    co_await net::Sleep(loop_, 1);
    watch_.tell(target_, fmt::format("switchover from {} begins", health::name_of(old_)));
    const Trouble trouble = co_await carry_out();
    watch_.tell(target_, trouble ? "switchover failed: " + *trouble : "switchover is done");
    finish(trouble);
}

void Switchover::finish(const Trouble& trouble) {
    const Monitor::Done done = std::exchange(done_, {});
    if (!done) return;
    if (!trouble) return done(std::nullopt);
    done(protocol::Error{not_in_state, protocol::Origin::proxy, "switchover failed: " + *trouble});
}

net::Task<Trouble> Switchover::carry_out() {
    const config::Cluster& cluster = watch_.config();
    if (cluster.failover.switchover_command.empty() && !cluster.health.patroni.empty()) {
        patroni_ =
            std::make_unique<PatroniSwitchover>(watch_.process().main().worker, cluster.health);
        if (Trouble trouble = co_await patroni_->prepare(old_, target_)) co_return trouble;
    }
    Drain drain(watch_);
    Trouble trouble = co_await drain.run(left_us() / 3);
    drained_us_ = drain.over_us();
    if (!trouble) trouble = co_await wait_for_replay();
    if (!trouble) trouble = co_await promote();
    if (!trouble) trouble = co_await wait_for_promotion();
    co_return trouble;
}

// ---------------------------------------------------------------- the target takes over

net::Task<Trouble> Switchover::wait_for_replay() {
    while (true) {
        const health::TopologyPtr topology = watch_.topology();
        const health::NodeView* const primary = topology->primary_node();
        if (!primary || primary->node.at != old_)
            co_return fmt::format("{} is not the primary any more", health::name_of(old_));
        const auto last = std::ranges::find_if(topology->samples, [&](const health::Sample& one) {
            return one.sent_us > drained_us_;
        });
        const auto place = topology->find(target_);
        if (!place) co_return "the node has been removed from the configuration";
        const health::NodeView& node = topology->nodes[*place];
        const bool known = last != topology->samples.end();
        if (known && node.timeline == topology->epoch.timeline && node.lsn >= last->lsn)
            co_return std::nullopt;
        if (left_us() <= 0) {
            co_return fmt::format("{} has not replayed what {} has written: {} bytes are missing",
                                  health::name_of(target_), health::name_of(old_), node.lag_bytes);
        }
        watch_.ask_all();
        co_await net::Sleep(loop_, look_us);
    }
}

net::Task<Trouble> Switchover::promote() {
    if (!watch_.config().failover.switchover_command.empty()) co_return co_await run_command();
    if (patroni_) {
        patroni_->begin(left_us());
        co_return std::nullopt;
    }
    const auto answer = std::make_shared<std::optional<pool::Backend::OwnAnswer>>();
    NodeQuery query(watch_.process().registry(), watch_.process().main().worker, watch_.config(),
                    {.at = target_, .sql = "select pg_catalog.pg_promote(false)"},
                    [answer](pool::Backend::OwnAnswer got) { *answer = std::move(got); });
    query.start();
    while (!*answer && left_us() > 0) co_await net::Sleep(loop_, 1'000);
    if (!*answer) co_return "no answer to pg_promote()";
    if ((*answer)->error) co_return "pg_promote(): " + (*answer)->error->message;
    co_return std::nullopt;
}

net::Task<Trouble> Switchover::run_command() {
    const auto end = std::make_shared<std::optional<std::string>>();
    const health::TopologyPtr topology = watch_.topology();
    command_.run(
        watch_.config().failover.switchover_command,
        {"PGWEIR_CLUSTER=" + watch_.config().name, "PGWEIR_NODE=" + health::name_of(target_),
         "PGWEIR_PRIMARY=" + health::name_of(old_),
         fmt::format("PGWEIR_TIMELINE={}", topology->epoch.timeline)},
        [end](std::string trouble) { *end = std::move(trouble); });
    while (!*end && left_us() > 0) co_await net::Sleep(loop_, look_us);
    if (!*end) {
        command_.kill();
        co_return "failover.switchover_command has not ended in time";
    }
    if (!(*end)->empty()) co_return "failover.switchover_command: " + **end;
    co_return std::nullopt;
}

net::Task<Trouble> Switchover::wait_for_promotion() {
    while (true) {
        const health::TopologyPtr topology = watch_.topology();
        const health::NodeView* const primary = topology->primary_node();
        if (primary && primary->node.at == target_ && !topology->primary_suspect)
            co_return std::nullopt;
        if (primary && primary->node.at != old_) {
            co_return fmt::format("{} is the primary now", health::name_of(primary->node.at));
        }
        if (patroni_ && patroni_->trouble()) co_return patroni_->trouble();
        if (left_us() <= 0) {
            co_return fmt::format("{} has been told to take over and has not",
                                  health::name_of(target_));
        }
        watch_.ask_all();
        co_await net::Sleep(loop_, look_us);
    }
}

}  // namespace pgweir::proxy

#include "proxy/switchover.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "proxy/cluster_watch.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

Switchover::Switchover(ClusterWatch& watch, config::Endpoint target, Monitor::Done done)
    : PrimaryChange(watch, "switchover", std::move(target), std::move(done)),
      command_(loop()) {}

net::Task<Trouble> Switchover::carry_out() {
    const config::Cluster& cluster = watch().config();
    if (cluster.failover.switchover_command.empty() && !cluster.health.patroni.empty()) {
        patroni_ =
            std::make_unique<PatroniSwitchover>(watch().process().main().worker, cluster.health);
        if (Trouble trouble = co_await patroni_->prepare(old(), target())) co_return trouble;
    }
    Drain drain(watch());
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
        const health::TopologyPtr topology = watch().topology();
        const health::NodeView* const primary = topology->primary_node();
        if (!primary || primary->node.at != old())
            co_return fmt::format("{} is not the primary any more", health::name_of(old()));
        const auto last = std::ranges::find_if(topology->samples, [&](const health::Sample& one) {
            return one.sent_us > drained_us_;
        });
        const auto place = topology->find(target());
        if (!place) co_return "the node has been removed from the configuration";
        const health::NodeView& node = topology->nodes[*place];
        const bool known = last != topology->samples.end();
        if (known && node.timeline == topology->epoch.timeline && node.lsn >= last->lsn)
            co_return std::nullopt;
        if (left_us() <= 0) {
            co_return fmt::format("{} has not replayed what {} has written: {} bytes are missing",
                                  health::name_of(target()), health::name_of(old()),
                                  node.lag_bytes);
        }
        co_await look_again();
    }
}

net::Task<Trouble> Switchover::promote() {
    if (!watch().config().failover.switchover_command.empty()) co_return co_await run_command();
    if (patroni_) {
        patroni_->begin(left_us());
        co_return std::nullopt;
    }
    const auto answer =
        co_await ask(target(), std::string(), "select pg_catalog.pg_promote(false)");
    if (!answer) co_return "no answer to pg_promote()";
    if (answer->error) co_return "pg_promote(): " + answer->error->message;
    co_return std::nullopt;
}

net::Task<Trouble> Switchover::run_command() {
    const auto end = std::make_shared<std::optional<std::string>>();
    const health::TopologyPtr topology = watch().topology();
    command_.run(
        watch().config().failover.switchover_command,
        {"PGWEIR_CLUSTER=" + watch().config().name, "PGWEIR_NODE=" + health::name_of(target()),
         "PGWEIR_PRIMARY=" + health::name_of(old()),
         fmt::format("PGWEIR_TIMELINE={}", topology->epoch.timeline)},
        [end](std::string trouble) { *end = std::move(trouble); });
    while (!*end && left_us() > 0) co_await net::Sleep(loop(), 5'000);
    if (!*end) {
        command_.kill();
        co_return "failover.switchover_command has not ended in time";
    }
    if (!(*end)->empty()) co_return "failover.switchover_command: " + **end;
    co_return std::nullopt;
}

net::Task<Trouble> Switchover::wait_for_promotion() {
    while (true) {
        const health::TopologyPtr topology = watch().topology();
        const health::NodeView* const primary = topology->primary_node();
        if (primary && primary->node.at == target() && !topology->primary_suspect)
            co_return std::nullopt;
        if (primary && primary->node.at != old()) {
            co_return fmt::format("{} is the primary now", health::name_of(primary->node.at));
        }
        if (patroni_ && patroni_->trouble()) co_return patroni_->trouble();
        if (left_us() <= 0) {
            co_return fmt::format("{} has been told to take over and has not",
                                  health::name_of(target()));
        }
        co_await look_again();
    }
}

}  // namespace pgweir::proxy

#include "proxy/primary_change.hpp"

#include <cassert>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "proxy/cluster_watch.hpp"
#include "proxy/node_query.hpp"
#include "proxy/process.hpp"

namespace pgweir::proxy {

namespace {

constexpr std::int64_t look_us = 5'000;  // between two looks at what is being waited for

}  // namespace

PrimaryChange::PrimaryChange(ClusterWatch& watch, std::string what, config::Endpoint target,
                             Monitor::Done done)
    : watch_(watch),
      loop_(watch.process().main().worker.loop),
      what_(std::move(what)),
      target_(std::move(target)),
      done_(std::move(done)) {}

PrimaryChange::~PrimaryChange() { assert(!running()); }

void PrimaryChange::start() {
    began_us_ = net::monotonic_us();
    old_ = watch_.topology()->primary_node()->node.at;
    story_.start(loop_, run());
}

void PrimaryChange::end() {
    story_.cancel();
    if (done_ && !watch_.process().loops_live().expired())
        finish("the cluster is not watched any more");
}

net::Task<void> PrimaryChange::run() {
    co_await net::Sleep(loop_, 1);
    watch_.tell(target_, fmt::format("{} from {} begins", what_, health::name_of(old_)));
    const Trouble trouble = co_await carry_out();
    watch_.tell(target_, trouble ? fmt::format("{} failed: {}", what_, *trouble)
                                 : fmt::format("{} is done", what_));
    finish(trouble);
}

void PrimaryChange::finish(const Trouble& trouble) {
    const Monitor::Done done = std::exchange(done_, {});
    if (!done) return;
    if (!trouble) return done(std::nullopt);
    done(protocol::Error{not_in_state, protocol::Origin::proxy,
                         fmt::format("{} failed: {}", what_, *trouble)});
}

std::int64_t PrimaryChange::left_us() const {
    const std::int64_t limit_us = watch_.config().failover.switchover_timeout.count();
    return began_us_ + limit_us - net::monotonic_us();
}

net::Task<std::optional<pool::Backend::OwnAnswer>> PrimaryChange::ask(config::Endpoint at,
                                                                      std::string dbname,
                                                                      std::string sql) {
    const auto answer = std::make_shared<std::optional<pool::Backend::OwnAnswer>>();
    NodeQuery query(watch_.process().registry(), watch_.process().main().worker, watch_.config(),
                    {.at = std::move(at), .dbname = std::move(dbname), .sql = std::move(sql)},
                    [answer](pool::Backend::OwnAnswer got) { *answer = std::move(got); });
    query.start();
    while (!*answer && left_us() > 0) co_await net::Sleep(loop_, 1'000);
    co_return std::move(*answer);
}

net::Sleep PrimaryChange::look_again() const {
    watch_.ask_all();
    return {loop_, look_us};
}

}  // namespace pgweir::proxy

// NODE SWITCHOVER: another node becomes the primary, and clients wait for a moment.
#pragma once

#include <memory>

#include "proxy/hooks.hpp"
#include "proxy/patroni_switchover.hpp"
#include "proxy/primary_change.hpp"

namespace pgweir::proxy {

/// One switchover.
///
/// The primary gets nothing new; when what is under way there has ended and the target has replayed
/// all of it, the target is promoted, by the operator's command, by Patroni or by pg_promote().
/// What comes then is what comes of every promotion. If it fails before, the old primary serves
/// again.
class Switchover final : public PrimaryChange {
public:
    Switchover(ClusterWatch& watch, config::Endpoint target, Monitor::Done done);
    ~Switchover() override { end(); }

private:
    net::Task<Trouble> carry_out() override;
    net::Task<Trouble> wait_for_replay();
    net::Task<Trouble> promote();
    net::Task<Trouble> run_command();
    net::Task<Trouble> wait_for_promotion();

    std::int64_t drained_us_ = 0;
    Hooks command_;
    std::unique_ptr<PatroniSwitchover> patroni_;  // nullptr: it is not Patroni's business
};

}  // namespace pgweir::proxy

// Asking one node, again and again, over a connection of its own.
#pragma once

#include <functional>
#include <string>

#include "health/probe.hpp"
#include "pool/own_errand.hpp"
#include "pool/pool.hpp"

namespace pgweir::proxy {

/// Resource; of the monitor, on its worker. It asks when it is told to and says what came of it,
/// within health.timeout for connecting and logging in, and once more for the answer.
class Prober final : public pool::OwnErrand, private net::Timer {
public:
    /// Who hears of it. Called at most once for each ask(); failed() also when the connection ends
    /// in between. Either may be called from within ask(), and must not destroy the prober.
    class Listener {
    public:
        virtual void answered(const config::Endpoint& node, const health::Answer& answer,
                              std::int64_t sent_us) = 0;
        virtual void failed(const config::Endpoint& node, const health::Failure& failure) = 0;

    protected:
        ~Listener() = default;
    };

    Prober(Listener& listener, pool::Registry& registry, pool::Worker& on,
           const config::Cluster& cluster, const config::Endpoint& node);
    ~Prober() override;

    const config::Endpoint& node() const { return node_; }
    void ask();

    // pool::OwnErrand
    void granted(pool::Server& server) override;
    void own_done(pool::Backend::OwnAnswer answer) override;
    void lost(const protocol::Error& error) override;

private:
    void send_question();
    void hang_up();
    void expired() override;

    Listener& listener_;
    pool::Worker& worker_;
    const config::Endpoint node_;
    const std::int64_t timeout_us_;
    pool::Totals totals_;
    pool::Pool pool_;
    pool::Server* server_ = nullptr;  // logged in
    std::uint32_t server_id_ = 0;     // 0 = there is none, not even one that logs in
    std::int64_t sent_us_ = 0;
    bool timed_out_ = false;
};

}  // namespace pgweir::proxy

// One simulation: the real program on a simulated machine, a cluster, clients, what goes wrong, and
// what must hold all the same. All of it from one seed.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "config/config.hpp"
#include "proxy/process.hpp"
#include "tests/simulation/client.hpp"
#include "tests/simulation/cluster.hpp"
#include "tests/simulation/kernel.hpp"

namespace pgweir::simulation {

/// Resource. The invariants are in step(), quiet() and sending(), in what each client compares, and
/// in the accounts at the end.
class World final : private Kernel::Observer {
public:
    World(std::uint64_t seed, bool traced);
    ~World() override;

    /// All of it. Ends the process, with the seed and the reason, where something does not hold.
    void run();

    Kernel& kernel() { return kernel_; }
    std::uint64_t digest() const { return digest_; }
    /// Something has gone wrong that a client may notice.
    bool troubled() const { return troubled_; }
    /// Whether clients go away amid their work.
    bool clients_drop() const { return drops_; }
    /// Whether clients take what keeps their server with them.
    bool pins() const { return pins_; }
    /// Session pooling: RESET application_name gives the server's own there.
    bool session_mode() const { return session_mode_; }
    /// Whether clients LISTEN and NOTIFY.
    bool listens() const { return listens_; }
    /// What was notified on the primary there is.
    const std::vector<Notice>& notices() const { return cluster_->primary().notices; }
    void settle(const std::string& write, Fate fate);
    Fate fate(const std::string& write) const { return fates_.at(write); }
    [[noreturn]] void violation(const std::string& what) const;

    template <class... Arguments>
    void trace(fmt::format_string<Arguments...> text, Arguments&&... arguments) const {
        if (traced_) print_trace(fmt::format(text, std::forward<Arguments>(arguments)...));
    }

private:
    /// What a server on the shelf was compared with. The same again is not compared again.
    struct Shelved {
        const Backend* session;  // of a node's, which keeps them all
        std::uint64_t changes;   // of its variables
        protocol::Vars known;
    };

    void sending(const Wire& wire, std::string_view bytes) override;
    void step() override;
    void quiet() override;
    void connecting(const WirePtr& wire, const std::string& address) override;

    config::ConfigPtr make_config();
    void begin();
    void plan_trouble();
    void trouble();
    void outage();
    void chore();
    void heal();
    void resume();
    void look_whether_done();
    std::string pools_text() const;
    void check_pools();
    void check_shelved(const pool::Server& server);
    void check_pause(pool::Pool& pool);
    void check_pool(pool::Pool& pool) const;
    void check_accounts() const;
    void on_main(std::function<void()> job);
    void print_trace(const std::string& text) const;

    const std::uint64_t seed_;
    const bool traced_;
    Kernel kernel_;
    bool clustered_, session_mode_, drops_, pins_, listens_, calm_;
    unsigned threads_;
    int pool_size_;
    bool io_uring_;
    bool troubled_ = false, healed_ = false, ending_ = false;
    std::int64_t end_us_ = 0;
    std::unique_ptr<Cluster> cluster_;
    std::vector<std::unique_ptr<Client>> clients_;
    proxy::Process* process_ = nullptr;
    std::map<const pool::Pool*, std::set<std::uint32_t>> lent_at_pause_;  // when last looked at
    std::map<std::uint32_t, Shelved> shelved_;                            // by the server's id
    std::map<std::string, Fate> fates_;
    std::uint64_t digest_ = 0;
};

}  // namespace pgweir::simulation

// Addresses of hosts by name, remembered for a while.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "pool/net/address.hpp"
#include "pool/net/resolver.hpp"

namespace pgweir::net {

/// Thread-safe; lives as long as the process.
class Dns {
public:
    using Ask = std::function<Lookup(const std::string& host)>;  // may block
    using AskSerial = std::function<std::optional<std::uint32_t>(const std::string& zone)>;
    explicit Dns(Offload& offload, Ask ask = lookup, AskSerial ask_serial = zone_serial)
        : offload_(offload),
          ask_(std::move(ask)),
          ask_serial_(std::move(ask_serial)) {}

    /// For how long an answer holds, and one that there is no such name. 0: not at all.
    void set_times(std::int64_t found_us, std::int64_t not_found_us) {
        found_us_.store(found_us, std::memory_order_relaxed);
        not_found_us_.store(not_found_us, std::memory_order_relaxed);
    }

    /// How often the zones of the names are looked at, and their names looked up anew when a zone's
    /// serial number is another one. 0: not at all.
    void set_zone_period(std::int64_t period_us) {
        zone_period_us_.store(period_us, std::memory_order_relaxed);
    }
    /// The file with the name servers to ask; empty: the system's.
    void set_resolv_conf(std::string path);

    /// One of the host's addresses, each in its turn. Numbers are no names.
    /// Errors   08006, "server DNS lookup failed"
    Task<protocol::Result<Address>> resolve(Loop& loop, std::string host, int port);

    /// Is that one of the host's addresses, for all that is known? Also says that connections to
    /// the host are in use: its addresses are looked up again when they are too old.
    bool has(const std::string& host, const Address& address);
    /// Looks up what is in use and too old, and asks for zones that are due, in the background.
    void refresh(Loop& loop);

    struct Known {
        std::string host;
        std::int64_t ttl_us;             // for how long it still holds
        std::vector<Address> addresses;  // port 0
    };
    std::vector<Known> known(std::int64_t now_us) const;

    struct KnownZone {
        std::string zone;
        std::uint32_t serial;
        std::size_t hosts;
    };
    /// Those that are looked at.
    std::vector<KnownZone> zones() const;
    /// How many names are being looked up, or waited for.
    struct Pending {
        std::size_t hosts, zones;
    };
    Pending pending() const;

private:
    struct Host {
        std::vector<Address> addresses;  // port 0; the newest that there were
        bool missing = false;            // the last answer was that there is no such name
        bool asking = false, used = false;
        std::int64_t until_us = 0;
        std::size_t next = 0;
    };
    /// What names have in common behind their first label, as in PgBouncer.
    struct Zone {
        std::optional<std::uint32_t> serial;
        bool asking = false;
        std::int64_t next_us = 0;
    };
    Task<void> look_up(Loop& loop, std::string host);
    Task<void> look_at_zone(Loop& loop, std::string zone);
    std::vector<std::string> zones_due(std::int64_t now_us);
    void learn(const std::string& host, const Lookup& answer, std::int64_t now_us);
    protocol::Result<Address> pick(Host& host, int port);

    Offload& offload_;
    const Ask ask_;
    const AskSerial ask_serial_;
    std::atomic<std::int64_t> zone_period_us_ = 0;
    std::atomic<std::int64_t> found_us_ = 15'000'000, not_found_us_ = 15'000'000;
    mutable std::mutex mutex_;
    std::map<std::string, Host> hosts_;
    std::map<std::string, Zone> zones_;
    std::string resolv_conf_;
};

}  // namespace pgweir::net

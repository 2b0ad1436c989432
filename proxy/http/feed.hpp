// Snapshots for the HTTP server, which sees nothing else of the process.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "pool/net/loop.hpp"
#include "proxy/admin/snapshot.hpp"

namespace pgweir::proxy::http {

/// Resource; on the main thread. However many ask, the workers are asked at most twenty times a
/// second: who comes in between shares the next snapshot.
class Feed final : public std::enable_shared_from_this<Feed>, private net::Timer {
public:
    using SnapshotPtr = std::shared_ptr<const admin::Snapshot>;
    using Taken = std::function<void(SnapshotPtr)>;

    explicit Feed(Process& process);

    /// `taken` gets one that was begun after this call, on the main thread. It has `parts`
    /// (Snapshot::Parts), and may have more.
    void ask(unsigned parts, Taken taken);

private:
    void expired() override { begin(); }
    void begin();

    Process& process_;
    std::vector<Taken> waiting_, served_;
    unsigned parts_ = 0;  // that who waits has asked for
    bool running_ = false;
    std::int64_t began_us_ = 0;
};

}  // namespace pgweir::proxy::http

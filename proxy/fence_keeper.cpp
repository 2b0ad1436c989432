#include "proxy/fence_keeper.hpp"

#include <utility>

#include "pool/net/log.hpp"

namespace pgweir::proxy {

using net::log::Level;

FenceKeeper::FenceKeeper(net::Loop& loop, net::Offload& files, std::string cluster, Heard heard)
    : net::Timer(loop),
      loop_(loop),
      files_(files),
      cluster_(std::move(cluster)),
      heard_(std::move(heard)) {}

void FenceKeeper::set_file(std::string path, std::int64_t interval_us) {
    interval_us_ = interval_us;
    if (path != path_) written_ = {}, stamp_ = {};
    path_ = std::move(path);
    if (path_.empty()) return cancel();
    expire_in(interval_us_);
}

health::Fence FenceKeeper::read() {
    if (path_.empty()) {
        net::log::print(Level::log, {},
                        "cluster {}: no state file, the highest timeline is not kept over restarts "
                        "(failover.state_file)",
                        cluster_);
        return {};
    }
    const auto kept = read_state_file(path_, cluster_);
    if (kept.has_value()) {
        written_ = *kept;
        return *kept;
    }
    read_failed_ = true;
    net::log::print(Level::error, {},
                    "cluster {}: {}; going on without, a former primary may be taken for the "
                    "present one until the present one is seen",
                    cluster_, kept.error().message);
    return {};
}

void FenceKeeper::keep(const health::Fence& fence) {
    if (fence == written_ || story_.running()) return;
    if (path_.empty()) {
        written_ = fence;
        return heard_.kept(fence, {});
    }
    story_.start(loop_, write(fence));
}

net::Task<void> FenceKeeper::write(health::Fence fence) {
    using Written = protocol::Result<health::Fence>;
    auto work = [path = path_, cluster = cluster_, fence] {
        return write_state_file(path, cluster, fence);
    };
    const Written written = co_await files_.run<Written>(loop_, std::move(work));
    if (written.has_error() && !write_failed_) {
        net::log::print(Level::error, {},
                        "cluster {}: {}; going on, but a restart may not know the highest timeline",
                        cluster_, written.error().message);
    }
    write_failed_ = written.has_error();
    written_ = fence;
    heard_.kept(fence, written.has_error() ? health::Fence() : *written);
}

void FenceKeeper::expired() {
    expire_in(interval_us_);
    if (!story_.running()) story_.start(loop_, look());
}

net::Task<void> FenceKeeper::look() {
    auto work = [path = path_, cluster = cluster_, stamp = stamp_] {
        return read_if_changed(path, cluster, stamp);
    };
    const StateFileLook found = co_await files_.run<StateFileLook>(loop_, std::move(work));
    stamp_ = found.stamp;
    if (found.fence.has_error()) {
        if (!std::exchange(read_failed_, true))
            net::log::print(Level::error, {}, "cluster {}: {}", cluster_,
                            found.fence.error().message);
        co_return;
    }
    read_failed_ = false;
    heard_.others(*found.fence);
}

}  // namespace pgweir::proxy

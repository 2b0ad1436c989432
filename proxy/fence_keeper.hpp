// A cluster's fence in its file, which other processes may share.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "health/fence.hpp"
#include "pool/net/offload.hpp"
#include "pool/net/task.hpp"
#include "proxy/state_file.hpp"

namespace pgweir::proxy {

/// Resource; of a cluster's watch, on its loop's thread. What blocks is done by `files`.
class FenceKeeper final : private net::Timer {
public:
    /// What comes of it; not called from within a call but for keep() without a file.
    struct Heard {
        /// That is kept now, as well as can be; `known`: what the file had, if it was of use.
        std::function<void(const health::Fence& fence, const health::Fence& known)> kept;
        /// Another process has put this into the file.
        std::function<void(const health::Fence& fence)> others;
    };
    FenceKeeper(net::Loop& loop, net::Offload& files, std::string cluster, Heard heard);

    /// From here on it is that file, looked at so often; "" = none, nothing lasts.
    void set_file(std::string path, std::int64_t interval_us);
    const std::string& file() const { return path_; }
    /// What the file has; an empty one when that is of no use. Blocks.
    health::Fence read();
    /// Sees to it that this is in the file. What comes while that is under way is passed over: it
    /// is to be called again after each kept().
    void keep(const health::Fence& fence);

private:
    void expired() override;
    net::Task<void> write(health::Fence fence);
    net::Task<void> look();

    net::Loop& loop_;
    net::Offload& files_;
    const std::string cluster_;
    const Heard heard_;
    std::string path_;
    std::int64_t interval_us_ = 0;
    StateFileStamp stamp_;  // of what was last read
    health::Fence written_;
    bool write_failed_ = false, read_failed_ = false;
    net::Story story_;
};

}  // namespace pgweir::proxy

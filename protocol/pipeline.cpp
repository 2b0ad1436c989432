#include "protocol/pipeline.hpp"

#include <algorithm>

namespace pgweir::protocol {

void Pipeline::push(Outstanding outstanding) {
    if (outstanding.request == Request::sync) {
        if (copying_in_) {
            sync_in_copy_ = true;  // the server reads over it
            return;
        }
        skipping_ = false;
    } else if (skipping_) {
        undone_.insert(undone_.begin(), std::move(outstanding));
        return;
    }
    if (queue_.full()) grow();
    queue_.push_back(std::move(outstanding));
}

void Pipeline::push_copy_end() {
    if (copying_in_) {
        copying_in_ = sync_in_copy_ = false;
    } else if (!queue_.empty() && !skipping_) {
        push({Request::copy_end, Reply::skip, {}, {}});
    }
}

bool Pipeline::only_fakes() const {
    return std::all_of(queue_.begin(), queue_.end(),
                       [](const Outstanding& o) { return o.reply == Reply::fake; });
}

void Pipeline::fail_batch() {
    const auto sync = std::find_if(queue_.begin(), queue_.end(),
                                   [](const Outstanding& o) { return o.request == Request::sync; });
    for (auto it = sync; it != queue_.begin();) undone_.push_back(std::move(*--it));
    skipping_ = sync == queue_.end();
    queue_.erase(queue_.begin(), sync);
}

void Pipeline::begin_copy_in() {
    const auto end = std::find_if(queue_.begin() + 1, queue_.end(),
                                  [](const Outstanding& o) { return o.request == Request::copy_end; });
    copying_in_ = end == queue_.end();
    const auto is_sync = [](const Outstanding& o) { return o.request == Request::sync; };
    const auto kept = std::remove_if(queue_.begin() + 1, end, is_sync);
    queue_.erase(kept, copying_in_ ? end : end + 1);
}

void Pipeline::abort_copy_in() {
    doubtful_ = doubtful_ || (copying_in_ && sync_in_copy_);
    copying_in_ = sync_in_copy_ = false;
}

void Pipeline::grow() { queue_.set_capacity(std::max<std::size_t>(8, queue_.capacity() * 2)); }

}  // namespace pgweir::protocol

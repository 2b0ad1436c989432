#include "protocol/pipeline.hpp"

#include <algorithm>
#include <utility>

namespace pgweir::protocol {

void Renames::advance() {
    while (done < items.size() && items[done].effect == Effect::none) ++done;
    if (done < items.size()) ++done;
}

void Renames::answered() {
    for (const Item& item : items) {
        if (item.effect == Effect::none) continue;
        item.named->open = false;
        item.named->agreed = true;
    }
}

void Renames::end() { delete this; }

void Pipeline::push(Outstanding&& outstanding) {
    const Request request = outstanding.request;
    if (request == Request::sync) {
        if (copying_in_) {
            ++swallowed_;
            return;
        }
        skipping_ = open_ = false;
        ++batch_;
    } else if (skipping_) {
        undone_.insert(undone_.begin(), std::move(outstanding));
        return;
    } else if (outstanding.reply != Reply::fake) {
        open_ = is_of_batch(request);
    }
    if (queue_.full()) grow();
    queue_.push_back(std::move(outstanding));
}

void Pipeline::push(Request request) {
    if (copying_in_ || skipping_ || queue_.full()) return push({request, Reply::forward, {}, {}});
    open_ = is_of_batch(request);
    if (request == Request::sync) ++batch_;
    queue_.push_back({request, Reply::forward, {}, {}});
}

void Pipeline::push_copy_end() {
    if (copying_in_) {
        copying_in_ = false;
    } else if (!queue_.empty()) {
        push({Request::copy_end, Reply::fake, {}, {}});
    }
}

void Pipeline::pop() {
    const Request request = queue_.front().request;
    if (queue_.front().renames) queue_.front().renames->answered();
    if (request == Request::parse || request == Request::close) {
        if (NamedStatement* const named = queue_.front().named.get()) {
            named->open = false;
            named->agreed = true;
            named->before.reset();
        }
    }
    if (request == Request::sync) ++answered_;
    if (request == Request::query) surplus_ += std::exchange(swallowed_, 0);
    queue_.pop_front();
}

bool Pipeline::only_fakes() const {
    return std::all_of(queue_.begin(), queue_.end(),
                       [](const Outstanding& o) { return o.reply == Reply::fake; });
}

void Pipeline::begin_again(const StatementPtr& statement) {
    while (queue_.capacity() < queue_.size() + 3) grow();
    queue_.push_front({Request::parse, Reply::skip, {}, statement});
    queue_.push_front({Request::close, Reply::skip, {}, {}});
    queue_.push_front({Request::sync, Reply::skip, {}, {}});
    ++batch_;
}

bool Pipeline::front_is_unseen() const {
    const auto seen = std::find_if(queue_.begin(), queue_.end(), [](const Outstanding& o) {
        return o.request == Request::sync || o.reply != Reply::skip;
    });
    return seen != queue_.end() && seen->reply == Reply::skip;
}

bool Pipeline::only_own() const {
    return !open_ && surplus_ == 0 &&
           std::all_of(queue_.begin(), queue_.end(), [](const Outstanding& o) {
               return o.request == Request::query && o.reply == Reply::skip && !o.statement;
           });
}

void Pipeline::fail_batch() {
    const auto sync = std::find_if(queue_.begin(), queue_.end(),
                                   [](const Outstanding& o) { return o.request == Request::sync; });
    if (sync != queue_.begin()) queue_.front().failed = true;
    for (auto it = sync; it != queue_.begin();) undone_.push_back(std::move(*--it));
    skipping_ = sync == queue_.end();
    open_ = open_ || skipping_;
    surplus_ += std::exchange(swallowed_, 0);
    queue_.erase(queue_.begin(), sync);
}

void Pipeline::begin_copy_in() {
    const auto end = std::find_if(queue_.begin() + 1, queue_.end(), [](const Outstanding& o) {
        return o.request == Request::copy_end;
    });
    copying_in_ = end == queue_.end();
    const auto is_sync = [](const Outstanding& o) { return o.request == Request::sync; };
    const auto kept = std::remove_if(queue_.begin() + 1, end, is_sync);
    const auto syncs = static_cast<std::size_t>(end - kept);
    queue_.erase(kept, copying_in_ ? end : end + 1);
    swallowed_ += syncs;
    answered_ += syncs;
    const bool extended = queue_.front().request == Request::execute;
    open_ = open_ || (extended && std::none_of(queue_.begin(), queue_.end(), is_sync));
}

void Pipeline::end_copy() {
    copying_in_ = false;
    swallowed_ = 0;
}

void Pipeline::pop_surplus() {
    --surplus_;
    if (skipping_) skipping_ = open_ = false;  // so one of the Syncs has not been read over
}

void Pipeline::discard() {
    ++discards_;
    for (const Outstanding& o : queue_) {
        if (o.renames) discard(*o.renames);
        if (!o.named) continue;
        if (o.request == Request::parse) o.named->kept_at = discards_;
        if (o.request == Request::close && o.named->kept_at != discards_) o.named->gone = true;
    }
}

/// The same within a text.
void Pipeline::discard(const Renames& renames) const {
    for (std::size_t i = renames.done; i < renames.items.size(); ++i) {
        const Renames::Item& item = renames.items[i];
        NamedStatement& named = *item.named;
        if (item.effect == Renames::Effect::prepares) named.kept_at = discards_;
        if (item.effect == Renames::Effect::drops && named.kept_at != discards_) named.gone = true;
    }
}

void Pipeline::grow() { queue_.set_capacity(std::max<std::size_t>(8, queue_.capacity() * 2)); }

}  // namespace pgweir::protocol

#include "proxy/http/feed.hpp"

#include <utility>

#include "proxy/process.hpp"

namespace pgweir::proxy::http {

using admin::Snapshot;

namespace {

constexpr std::int64_t apart_us = 50'000;

}  // namespace

Feed::Feed(Process& process) : net::Timer(process.main().worker.loop), process_(process) {}

void Feed::ask(unsigned parts, Taken taken) {
    parts_ |= parts;
    waiting_.push_back(std::move(taken));
    if (running_ || waiting_.size() > 1) return;
    const std::int64_t due_us = began_us_ + apart_us - net::monotonic_us();
    if (began_us_ == 0 || due_us <= 0) {
        begin();
    } else {
        expire_in(due_us);
    }
}

void Feed::begin() {
    running_ = true;
    began_us_ = net::monotonic_us();
    served_.swap(waiting_);
    admin::take_snapshot(
        process_, std::exchange(parts_, 0), [weak = weak_from_this()](Snapshot snapshot) {
            const auto self = weak.lock();
            if (!self) return;
            self->running_ = false;
            const auto shared = std::make_shared<const Snapshot>(std::move(snapshot));
            std::vector<Taken> served;
            served.swap(self->served_);
            if (!self->waiting_.empty()) self->expire_in(apart_us);
            for (const Taken& taken : served) taken(shared);
        });
}

}  // namespace pgweir::proxy::http

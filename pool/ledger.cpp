#include "pool/ledger.hpp"

#include <algorithm>

namespace pgweir::pool {

ServerPlace* Ledger::take(unsigned worker, const void* wants) {
    auto& shelf = shelves_[worker];
    if (shelf.empty()) return nullptr;
    // Last in, first out keeps the working set warm and lets the rest time out.
    ServerPlace* chosen = limits_.round_robin ? &shelf.front() : &shelf.back();
    if (chosen->fits != wants && !limits_.round_robin) {
        constexpr int looked_at_max = 16;
        int looked_at = 0;
        for (auto it = shelf.rbegin(); it != shelf.rend() && looked_at < looked_at_max; ++it) {
            ++looked_at;
            if (it->fits != wants) continue;
            chosen = &*it;
            break;
        }
    }
    chosen->unlink();
    --idle_;
    return chosen;
}

Ledger::Checkout Ledger::checkout(WaiterPlace& waiter, std::int64_t now_us) {
    if (grants()) {
        if (ServerPlace* const server = take(waiter.worker, waiter.wants)) return {server, nullptr};
    }
    waiter.since_us = now_us;
    waiter.passed_over = 0;
    queues_[waiter.worker].push_back(waiter);
    ++waiting_;
    if (!grants() || idle_ == 0) return {};
    for (unsigned worker = 0; worker < shelves_.size(); ++worker) {
        if (ServerPlace* const server = take(worker, waiter.wants)) {
            begin_move(*server);
            return {nullptr, server};
        }
    }
    return {};
}

void Ledger::begin_move(ServerPlace& server) {
    server.moving = true;
    ++moving_;
}

/// Whom of the server's worker it serves, of whose waiters one is the oldest.
WaiterPlace& Ledger::next(WaiterPlace& oldest, const ServerPlace& server) {
    // As many turns of one server as there are servers take about one transaction's time.
    const auto passed_over_max = static_cast<unsigned>(std::max(4, total_));
    constexpr int looked_at_max = 16;
    // Who stands behind has been passed over less often.
    if (oldest.wants == server.fits || oldest.passed_over >= passed_over_max) return oldest;
    auto& queue = queues_[server.worker];
    int looked_at = 0;
    for (auto it = queue.begin(); it != queue.end() && looked_at < looked_at_max; ++it) {
        ++looked_at;
        if (it->wants != server.fits) continue;
        for (auto passed = queue.begin(); passed != it; ++passed) ++passed->passed_over;
        return *it;
    }
    return oldest;
}

Ledger::Checkin Ledger::checkin(ServerPlace& server, std::int64_t now_us) {
    const bool arrived = server.moving;
    if (arrived) {
        server.moving = false;
        --moving_;
    }
    server.idle_since_us = now_us;
    if (grants() && waiting_ > 0) {
        WaiterPlace* const local = oldest(server.worker);
        WaiterPlace* const eldest = oldest();
        const bool starves = local && !arrived && moving_ == 0 &&
                             eldest->since_us + limits_.handover_slack_us < local->since_us;
        if (local && !starves) {
            WaiterPlace& waiter = next(*local, server);
            stop_waiting(waiter);
            return {.waiter = &waiter};
        }
        if (starves || moving_ < waiting_) {
            begin_move(server);
            return {.move = true, .move_to = eldest->worker};
        }
    }
    shelves_[server.worker].push_back(server);
    ++idle_;
    return {};
}

bool Ledger::wants_server(std::int64_t now_us) const {
    if (!grants() || waiting_ <= opening_ + moving_ || opening_ >= limits_.opening_max)
        return false;
    const int count = total_ + apart_;
    if (limits_.size == 0 || count < limits_.size) return true;
    return limits_.reserve_timeout_us > 0 && count < limits_.size + limits_.reserve_size &&
           oldest()->since_us + limits_.reserve_timeout_us <= now_us;
}

bool Ledger::begin_apart() {
    if (limits_.size > 0 && total_ + apart_ >= limits_.size) return false;
    ++apart_;
    return true;
}

Ledger::Move Ledger::closed(ServerPlace& server) {
    if (server.is_linked()) withdraw(server);
    --total_;
    if (!server.moving) return {};
    --moving_;
    const WaiterPlace* const eldest = oldest();
    if (!grants() || !eldest || moving_ >= waiting_) return {};
    for (unsigned worker = 0; worker < shelves_.size(); ++worker) {
        if (ServerPlace* const other = take(worker, eldest->wants)) {
            begin_move(*other);
            return {other, eldest->worker};
        }
    }
    return {};
}

void Ledger::withdraw(ServerPlace& server) {
    server.unlink();
    --idle_;
}

Ledger::Match Ledger::match(unsigned worker) {
    WaiterPlace* const waiter = oldest(worker);
    if (!grants() || !waiter) return {};
    if (ServerPlace* const server = take(worker, waiter->wants)) {
        stop_waiting(*waiter);
        return {server, waiter};
    }
    for (unsigned other = 0; other < shelves_.size() && moving_ < waiting_; ++other) {
        if (ServerPlace* const server = take(other, waiter->wants)) {
            begin_move(*server);
            return {server, nullptr};
        }
    }
    return {};
}

void Ledger::stop_waiting(WaiterPlace& waiter) {
    if (!waiter.waiting()) return;
    waiter.unlink();
    --waiting_;
}

WaiterPlace* Ledger::oldest(unsigned worker) {
    auto& queue = queues_[worker];
    return queue.empty() ? nullptr : &queue.front();
}

WaiterPlace* Ledger::oldest() const {
    const WaiterPlace* eldest = nullptr;
    for (const auto& queue : queues_) {
        if (queue.empty()) continue;
        if (!eldest || queue.front().since_us < eldest->since_us) eldest = &queue.front();
    }
    return const_cast<WaiterPlace*>(eldest);
}

}  // namespace pgweir::pool

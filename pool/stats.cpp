#include "pool/stats.hpp"

namespace pgweir::pool {

namespace {

/// Adds every counter of `from`; `read` makes a number of one.
template <class Counters, class Read>
void add(PoolTotals& to, const Counters& from, Read read) {
    to.server_assignment_count += read(from.server_assignment_count);
    to.xact_count += read(from.xact_count);
    to.query_count += read(from.query_count);
    to.received += read(from.received);
    to.sent += read(from.sent);
    to.xact_time += read(from.xact_time);
    to.query_time += read(from.query_time);
    to.wait_time += read(from.wait_time);
    to.client_parse_count += read(from.client_parse_count);
    to.server_parse_count += read(from.server_parse_count);
    to.bind_count += read(from.bind_count);
    to.client_login_count += read(from.client_login_count);
    to.question_count += read(from.question_count);
    for (std::size_t i = 0; i < to.pin_counts.size(); ++i)
        to.pin_counts[i] += read(from.pin_counts[i]);
}

}  // namespace

PoolTotals& PoolTotals::operator+=(const PoolStats& stats) {
    add(*this, stats, [](const Counter& counter) { return counter.get(); });
    return *this;
}

PoolTotals& PoolTotals::operator+=(const PoolTotals& other) {
    add(*this, other, [](std::uint64_t number) { return number; });
    return *this;
}

PoolTotals averages(const PoolTotals& from, const PoolTotals& to, std::int64_t length_us) {
    using Sums = PoolTotals;
    using Field = std::uint64_t Sums::*;
    const auto change = [&](Field field) {
        return to.*field > from.*field ? to.*field - from.*field : 0;
    };
    const auto each = [&](Field time, Field count) {
        return change(count) > 0 ? change(time) / change(count) : 0;
    };
    PoolTotals mean;
    for (const Field field :
         {&Sums::server_assignment_count, &Sums::xact_count, &Sums::query_count, &Sums::received,
          &Sums::sent, &Sums::client_parse_count, &Sums::server_parse_count, &Sums::bind_count,
          &Sums::client_login_count, &Sums::question_count}) {
        const auto seconds_us = static_cast<std::uint64_t>(length_us);
        mean.*field = length_us > 0 ? change(field) * 1'000'000 / seconds_us : 0;
    }
    mean.xact_time = each(&Sums::xact_time, &Sums::xact_count);
    mean.query_time = each(&Sums::query_time, &Sums::query_count);
    mean.wait_time = each(&Sums::wait_time, &Sums::server_assignment_count);
    return mean;
}

}  // namespace pgweir::pool

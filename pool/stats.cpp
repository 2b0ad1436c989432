#include "pool/stats.hpp"

namespace pgweir::pool {

namespace {

/// Adds what both kinds have by the same name; `read` makes a number of one of theirs.
template <class Counters, class Read>
void add(PoolTotals& to, const Counters& from, Read read) {
    to.xact_count += read(from.xact_count);
    to.query_count += read(from.query_count);
    to.received += read(from.received);
    to.sent += read(from.sent);
    to.client_parse_count += read(from.client_parse_count);
    to.server_parse_count += read(from.server_parse_count);
    to.bind_count += read(from.bind_count);
    to.server_login_failures += read(from.server_login_failures);
    to.held_count += read(from.held_count);
    to.question_count += read(from.question_count);
    for (std::size_t i = 0; i < to.retry_counts.size(); ++i)
        to.retry_counts[i] += read(from.retry_counts[i]);
    for (std::size_t i = 0; i < to.pin_counts.size(); ++i)
        to.pin_counts[i] += read(from.pin_counts[i]);
    to.server_errors += from.server_errors;
    to.own_errors += from.own_errors;
}

}  // namespace

std::string_view retry_text(Retry why) {
    switch (why) {
        case Retry::server_lost: return "server_lost";
        case Retry::read_only: return "read_only";
        case Retry::replica: return "replica";
        case Retry::object_missing: return "object_missing";
    }
    return "";
}

PoolTotals& PoolTotals::operator+=(const PoolStats& stats) {
    add(*this, stats, [](const Counter& counter) { return counter.get(); });
    const Durations xacts = stats.xact_time.get(), queries = stats.query_time.get();
    const Durations waits = stats.wait_time.get(), logins = stats.client_login_time.get();
    xact_time += xacts.sum_us;
    query_time += queries.sum_us;
    wait_time += waits.sum_us;
    server_assignment_count += waits.count();
    client_login_count += logins.count();
    xact_times += xacts;
    query_times += queries;
    wait_times += waits;
    client_login_times += logins;
    server_connect_times += stats.server_connect_time.get();
    server_login_times += stats.server_login_time.get();
    return *this;
}

PoolTotals& PoolTotals::operator+=(const PoolTotals& other) {
    add(*this, other, [](std::uint64_t number) { return number; });
    server_assignment_count += other.server_assignment_count;
    client_login_count += other.client_login_count;
    xact_time += other.xact_time;
    query_time += other.query_time;
    wait_time += other.wait_time;
    xact_times += other.xact_times;
    query_times += other.query_times;
    wait_times += other.wait_times;
    client_login_times += other.client_login_times;
    server_connect_times += other.server_connect_times;
    server_login_times += other.server_login_times;
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

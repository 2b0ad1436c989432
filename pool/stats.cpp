#include "pool/stats.hpp"

namespace pgweir::pool {

PoolTotals& PoolTotals::operator+=(const PoolStats& stats) {
    server_assignment_count += stats.server_assignment_count.get();
    xact_count += stats.xact_count.get();
    query_count += stats.query_count.get();
    received += stats.received.get();
    sent += stats.sent.get();
    xact_time += stats.xact_time.get();
    query_time += stats.query_time.get();
    wait_time += stats.wait_time.get();
    client_parse_count += stats.client_parse_count.get();
    server_parse_count += stats.server_parse_count.get();
    bind_count += stats.bind_count.get();
    client_login_count += stats.client_login_count.get();
    return *this;
}

PoolTotals& PoolTotals::operator+=(const PoolTotals& other) {
    server_assignment_count += other.server_assignment_count;
    xact_count += other.xact_count;
    query_count += other.query_count;
    received += other.received;
    sent += other.sent;
    xact_time += other.xact_time;
    query_time += other.query_time;
    wait_time += other.wait_time;
    client_parse_count += other.client_parse_count;
    server_parse_count += other.server_parse_count;
    bind_count += other.bind_count;
    client_login_count += other.client_login_count;
    return *this;
}

}  // namespace pgweir::pool

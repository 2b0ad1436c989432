// What /metrics says: every family with its samples, from a snapshot. docs/metrics.md is made from
// the same book.
#pragma once

#include <string>

#include "proxy/admin/snapshot.hpp"
#include "proxy/http/book.hpp"
#include "proxy/http/process_figures.hpp"

namespace pgweir::proxy::http {

/// Pure. Every family is there, with or without samples.
Book metrics(const admin::Snapshot& snapshot, const ProcessFigures& process);

/// The book as /metrics has it: Prometheus's text format.
std::string exposition(Book book);

/// docs/metrics.md.
std::string metrics_page();

// Its parts.
void add_pools(const admin::Snapshot& snapshot, Book& to);
void add_traffic(const admin::Snapshot& snapshot, Book& to);
void add_times(const admin::Snapshot& snapshot, Book& to);
void add_routes(const admin::Snapshot& snapshot, Book& to);
void add_shapes(const admin::Snapshot& snapshot, Book& to);
void add_errors(const admin::Snapshot& snapshot, Book& to);
void add_limits(const admin::Snapshot& snapshot, Book& to);
void add_clusters(const admin::Snapshot& snapshot, Book& to);
void add_process(const admin::Snapshot& snapshot, const ProcessFigures& process, Book& to);

}  // namespace pgweir::proxy::http

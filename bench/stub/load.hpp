#pragma once

#include <cstdint>
#include <string>

namespace bench {

/// Whom the load asks, and what. A value.
struct LoadOptions {
    std::uint16_t port = 0;
    std::uint8_t hosts = 1;  // 127.0.0.1 to 127.0.0.this, in turn: each has its own range of ports
    std::string user, database;
    std::string protocol = "simple";  // simple | extended | prepared
    std::string query = "SELECT 1";
};

/// Clients in one thread, told what to do by lines on stdin, answering each with a line of JSON:
///
///     login N     log clients in, until there are N; "clients" and "seconds"
///     run         each asks, waits for the answer, asks again; {}
///     reset       forget what was counted so far; {}
///     report      "transactions", "seconds", latencies in microseconds, "least" and "most" of one
///                 client, "errors" and the text of the first; counting goes on
///     stop        ask no more; answers when the last answer is in
///     once S      each asks once, evenly over S seconds; a report when the last answer is in
///     ask N       each asks N times; a report when the last answer is in
///
/// Ends with stdin. A login that fails ends the program with what the server said.
void run_load(const LoadOptions& options);

}  // namespace bench

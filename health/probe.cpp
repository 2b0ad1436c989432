#include "health/probe.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>

namespace pgweir::health {

namespace {

enum Column : std::size_t {
    in_recovery,
    system,
    walfile,
    lsn,
    receiver,
    received_timeline,
    checkpoint_timeline,
    start,
    page,
    segment,
    received,
    columns,
};

template <class Number>
std::optional<Number> number(const std::optional<std::string>& text, int base = 10) {
    Number value{};
    if (!text) return std::nullopt;
    const char* const end = text->data() + text->size();
    const auto read = std::from_chars(text->data(), end, value, base);
    if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
    return value;
}

protocol::Error unexpected() {
    return {protocol::sqlstate::config_file_error, protocol::Origin::server,
            "unexpected answer to a probe"};
}

}  // namespace

/// The view of the WAL receiver shows its columns to members of pg_monitor only.
std::string_view probe_sql() {
    return "SELECT r.in_recovery, s.system_identifier,"
           " CASE WHEN NOT r.in_recovery THEN pg_walfile_name(pg_current_wal_lsn()) END,"
           " CASE WHEN r.in_recovery THEN pg_last_wal_replay_lsn()"
           " ELSE pg_current_wal_insert_lsn() END,"
           " CASE WHEN w.pid IS NOT NULL THEN coalesce(w.status, 'hidden') END, w.received_tli,"
           " c.timeline_id, (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint,"
           " current_setting('wal_block_size'),"
           " pg_size_bytes(current_setting('wal_segment_size')), pg_last_wal_receive_lsn()"
           " FROM (SELECT pg_is_in_recovery() AS in_recovery) r, pg_control_system() s,"
           " pg_control_checkpoint() c LEFT JOIN pg_stat_wal_receiver w ON true";
}

protocol::Result<Answer> read_answer(Values row) {
    if (row.size() != columns || !row[in_recovery]) return unexpected();
    Answer answer;
    answer.in_recovery = *row[in_recovery] == "t";
    const auto identifier = number<std::int64_t>(row[system]);  // bigint: it may look negative
    const auto checkpointed = number<std::uint32_t>(row[checkpoint_timeline]);
    const auto started = number<std::int64_t>(row[start]);
    const auto page_size = number<std::uint64_t>(row[page]);
    const auto segment_size = number<std::uint64_t>(row[segment]);
    if (!identifier || !checkpointed || !started || !page_size || !segment_size ||
        *page_size == 0 || *segment_size == 0) {
        return unexpected();
    }
    answer.system = static_cast<std::uint64_t>(*identifier);
    answer.timeline = *checkpointed;
    answer.start_us = *started;
    const auto position = row[lsn] ? protocol::parse_lsn(*row[lsn]) : protocol::Lsn{};
    if (!position) return unexpected();
    answer.lsn = *position;
    if (answer.in_recovery) {
        // After a restart it begins to receive before the point that it has replayed.
        const auto got = row[received] ? protocol::parse_lsn(*row[received]) : protocol::Lsn{};
        if (!got) return unexpected();
        answer.received = std::max(answer.lsn, *got);
        answer.receiving = row[receiver].has_value();
        answer.streaming = answer.receiving && *row[receiver] == "streaming";
        if (answer.streaming) {
            answer.timeline = std::max(answer.timeline,
                                       number<std::uint32_t>(row[received_timeline]).value_or(0));
        }
        return answer;
    }
    constexpr std::size_t timeline_digits = 8;
    const auto written = number<std::uint32_t>(
        row[walfile] ? std::optional(row[walfile]->substr(0, timeline_digits)) : std::nullopt, 16);
    if (!written) return unexpected();
    answer.timeline = *written;
    answer.lsn = protocol::before_page_header(answer.lsn, *page_size, *segment_size);
    return answer;
}

Failure failure_of(const protocol::Error& error) {
    const std::string_view code = error.sqlstate.view();
    if (code == "57P03") return {Failure::Kind::refused, error.message};
    if (code == "53300") return {Failure::Kind::busy, error.message};
    if (code != "08006" && !code.starts_with("57P")) return {Failure::Kind::error, error.message};
    // Nobody listens on the port, or there is no socket of that name.
    for (const int number : {ECONNREFUSED, ENOENT}) {
        if (error.message.ends_with(std::generic_category().message(number)))
            return {Failure::Kind::refused, error.message};
    }
    return {Failure::Kind::lost, error.message};
}

}  // namespace pgweir::health

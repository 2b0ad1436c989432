// The log: one event, one line, in PgBouncer's words and form (people grep it).
//
//   2026-11-21 04:30:12.345 UTC [1234] LOG C-0x55d0c8: app/alice@127.0.0.1:50112 closing …
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace pgweir::net::log {

enum class Level : std::uint8_t { fatal, error, warning, log, debug, noise };

/// Where lines go. Process-wide; set at start and again on reload, from one thread.
struct Sink {
    std::string file;  // "" = none; opened for appending
    bool standard_error = true;
    bool syslog = false;
    std::string syslog_ident = "pgbouncer";
    int syslog_facility = 0;  // LOG_DAEMON and so on
    int verbose = 0;          // 1 shows debug, 2 noise
    bool json = false;
};

/// Opens (or opens again, after a rotation) what the sink names. False and errno when it cannot:
/// then the old sink stays.
bool configure(const Sink& sink);

/// Would a line of this level be written?
bool enabled(Level level);

/// Writes one line. `context` says who it is about ("C-0x…: db/user@addr:port "), or is empty.
/// Control characters are made visible and an over-long line is cut: a client's input may be in it.
/// Any thread.
void write(Level level, std::string_view context, std::string_view text);

/// A fact of an event. Borrowed.
struct Field {
    std::string_view name, value;
    bool is_number = false;
};

/// The same with facts behind the text, as name=value; in JSON each is a member of its own.
void write(Level level, std::string_view context, std::string_view text,
           std::span<const Field> fields);

template <class... Args>
void print(Level level, std::string_view context, fmt::format_string<Args...> format,
           Args&&... args) {
    if (enabled(level)) write(level, context, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace pgweir::net::log

#include "pool/net/log.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>

#include <fcntl.h>
#include <pthread.h>
#include <sys/time.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "protocol/utf8.hpp"

namespace pgweir::net::log {

namespace {

constexpr std::size_t line_max = 8192;  // bytes

/// What lines of one second have in common.
struct Second {
    time_t time = -1;
    const char* format = nullptr;
    std::string text, zone;
    pid_t pid = 0;
};

struct State {
    std::mutex mutex;
    Sink sink;
    Second second;
    int fd = -1;
};

State& state() {
    static State one;
    return one;
}

std::atomic<int> level_max{static_cast<int>(Level::log)};

std::string_view level_name(Level level) {
    switch (level) {
        case Level::fatal: return "FATAL";
        case Level::error: return "ERROR";
        case Level::warning: return "WARNING";
        case Level::log: return "LOG";
        case Level::debug: return "DEBUG";
        case Level::noise: return "NOISE";
    }
    return "LOG";
}

int syslog_level(Level level) {
    switch (level) {
        case Level::fatal: return LOG_CRIT;
        case Level::error: return LOG_ERR;
        case Level::warning: return LOG_WARNING;
        case Level::log: return LOG_INFO;
        default: return LOG_DEBUG;
    }
}

std::string timestamp(Second& second, const char* format_seconds, bool zone) {
    timeval now{};
    gettimeofday(&now, nullptr);
    if (second.time != now.tv_sec || second.format != format_seconds) {
        tm local{};
        localtime_r(&now.tv_sec, &local);
        std::array<char, 32> text;
        second.text.assign(text.data(), strftime(text.data(), text.size(), format_seconds, &local));
        second.zone.assign(text.data(),
                           strftime(text.data(), text.size(), zone ? " %Z" : "%z", &local));
        second.time = now.tv_sec;
        second.format = format_seconds;
        second.pid = getpid();
    }
    return fmt::format("{}.{:03}{}", second.text, now.tv_usec / 1000, second.zone);
}

bool is_printable(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte != 0x7f;
}

/// The text with nothing in it that could forge a line or move a terminal's cursor.
std::string printable(std::string_view text) {
    bool all = text.size() <= line_max;
    for (const char c : text) all &= is_printable(c);  // without a branch: this is most lines
    if (all) return std::string(text);
    std::string safe;
    safe.reserve(text.size());
    for (const char c : text) {
        if (is_printable(c)) {
            safe += c;
        } else {
            safe += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        }
        if (safe.size() > line_max) return safe + " [cut]";
    }
    return safe;
}

/// A byte of no character becomes the four characters \xff, as it must be UTF-8.
std::string json_text(std::string_view text) {
    std::string quoted = "\"";
    while (!text.empty()) {
        const auto byte = static_cast<unsigned char>(text.front());
        const std::size_t size = protocol::character_size(text);
        if (byte == '"' || byte == '\\') {
            quoted += '\\';
            quoted += text.front();
        } else if (byte < 0x20) {
            quoted += fmt::format("\\u{:04x}", byte);
        } else if (size == 0) {
            quoted += fmt::format("\\\\x{:02x}", byte);
        } else {
            quoted += text.substr(0, size);
        }
        text.remove_prefix(std::max<std::size_t>(size, 1));
    }
    return quoted += '"';
}

std::string with_fields(std::string_view text, std::span<const Field> fields) {
    std::string all(text);
    for (const Field& field : fields) all += fmt::format(" {}={}", field.name, field.value);
    return all;
}

std::string json_line(Second& second, Level level, std::string_view context, std::string_view text,
                      std::span<const Field> fields) {
    const std::string time = timestamp(second, "%Y-%m-%dT%H:%M:%S", false);
    // What only parts a line of text from what follows it.
    if (context.ends_with(' ')) context.remove_suffix(1);
    if (!fields.empty() && text.ends_with(':')) text.remove_suffix(1);
    std::string line =
        fmt::format("{{\"time\":{},\"pid\":{},\"level\":{},\"context\":{},\"message\":{}",
                    json_text(time), second.pid, json_text(level_name(level)),
                    json_text(printable(context)), json_text(printable(text)));
    for (const Field& field : fields) {
        line += fmt::format(
            ",{}:{}", json_text(field.name),
            field.is_number ? std::string(field.value) : json_text(printable(field.value)));
    }
    return line += "}\n";
}

std::string line_of(State& s, Level level, std::string_view context, std::string_view text,
                    std::span<const Field> fields) {
    if (s.sink.json) return json_line(s.second, level, context, text, fields);
    const std::string time = timestamp(s.second, "%Y-%m-%d %H:%M:%S", true);
    return fmt::format("{} [{}] {} {}{}\n", time, s.second.pid, level_name(level),
                       printable(context), printable(with_fields(text, fields)));
}

/// The child of a fork() is another process within the second.
void note_forks() {
    [[maybe_unused]] static const int noted =
        pthread_atfork(nullptr, nullptr, [] { state().second.time = -1; });
}

}  // namespace

bool configure(const Sink& sink) {
    int fd = -1;
    if (!sink.file.empty()) {
        fd = ::open(sink.file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0) return false;
    }
    note_forks();
    State& s = state();
    const std::lock_guard lock(s.mutex);
    if (s.fd >= 0) ::close(s.fd);
    s.fd = fd;
    s.sink = sink;
    if (sink.syslog) openlog(s.sink.syslog_ident.c_str(), LOG_PID, sink.syslog_facility);
    level_max.store(static_cast<int>(Level::log) + sink.verbose, std::memory_order_relaxed);
    return true;
}

bool enabled(Level level) {
    return static_cast<int>(level) <= level_max.load(std::memory_order_relaxed);
}

void write(Level level, std::string_view context, std::string_view text) {
    write(level, context, text, {});
}

void write(Level level, std::string_view context, std::string_view text,
           std::span<const Field> fields) {
    if (!enabled(level)) return;
    State& s = state();
    const std::lock_guard lock(s.mutex);
    const std::string line = line_of(s, level, context, text, fields);
    [[maybe_unused]] ssize_t written = 0;
    if (s.fd >= 0) written = ::write(s.fd, line.data(), line.size());
    if (s.sink.standard_error) written = ::write(STDERR_FILENO, line.data(), line.size());
    if (s.sink.syslog) {
        ::syslog(syslog_level(level), "%s%s", std::string(context).c_str(),
                 printable(with_fields(text, fields)).c_str());
    }
}

}  // namespace pgweir::net::log

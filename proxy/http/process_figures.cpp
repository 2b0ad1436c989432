#include "proxy/http/process_figures.hpp"

#include <filesystem>
#include <fstream>

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pgweir::proxy::http {

namespace {

constexpr const char* fd_directory = "/proc/self/fd";

/// Newer kernels say it without being asked for each.
std::uint64_t count_fds() {
    struct stat about {};
    if (stat(fd_directory, &about) == 0 && about.st_size > 0)
        return static_cast<std::uint64_t>(about.st_size);
    std::error_code failure;
    std::uint64_t count = 0;
    for (auto entry = std::filesystem::directory_iterator(fd_directory, failure);
         !failure && entry != std::filesystem::directory_iterator(); entry.increment(failure)) {
        ++count;
    }
    return count > 0 ? count - 1 : 0;  // but for the one we look through
}

double seconds(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

ProcessFigures process_figures() {
    ProcessFigures figures;
    rusage usage{};
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        figures.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    std::uint64_t pages = 0, resident_pages = 0;
    if (std::ifstream("/proc/self/statm") >> pages >> resident_pages) {
        const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
        figures.virtual_bytes = pages * page;
        figures.resident_bytes = resident_pages * page;
    }
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) figures.max_fds = limit.rlim_cur;
    figures.open_fds = count_fds();
    return figures;
}

}  // namespace pgweir::proxy::http

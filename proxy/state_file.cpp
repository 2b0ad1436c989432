#include "proxy/state_file.hpp"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace pgweir::proxy {

namespace {

namespace fs = std::filesystem;

protocol::Error system_error(std::string_view what, const std::string& path) {
    return {protocol::sqlstate::config_file_error, protocol::Origin::proxy,
            fmt::format("cannot {} \"{}\": {}", what, path, std::strerror(errno))};
}

std::string file_name(std::string name) {
    for (char& c : name) {
        if (c == '/' || static_cast<unsigned char>(c) <= ' ') c = '_';
    }
    return name + ".state";
}

bool sync(const std::string& path, int flags) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC);
    if (fd < 0) return false;
    const bool synced = ::fsync(fd) == 0;
    const int failure = errno;
    ::close(fd);
    errno = failure;
    return synced;
}

/// The right to replace the file. Who cannot have it soon does without: a process that is stopped
/// in the middle of it must not keep others from a new primary.
class WriteLock {
public:
    WriteLock(const std::string& path, std::chrono::milliseconds wait)
        : fd_(::open((path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
        const auto until = std::chrono::steady_clock::now() + wait;
        while (fd_ >= 0 && ::flock(fd_, LOCK_EX | LOCK_NB) != 0 &&
               std::chrono::steady_clock::now() < until) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }
    ~WriteLock() {
        if (fd_ >= 0) ::close(fd_);
    }
    WriteLock(const WriteLock&) = delete;
    WriteLock& operator=(const WriteLock&) = delete;

private:
    const int fd_;
};

}  // namespace

std::string state_file_of(const config::Config& config, const config::Cluster& cluster) {
    if (!cluster.failover.state_file.empty()) return cluster.failover.state_file;
    if (const char* const given = std::getenv("STATE_DIRECTORY"); given && *given) {
        const std::string first(given, std::strcspn(given, ":"));
        return fs::path(first) / file_name(cluster.name);
    }
    if (config.settings.pidfile.empty()) return {};
    fs::path beside(config.settings.pidfile);
    if (beside.extension() == ".pid") beside.replace_extension();
    return beside.string() + "." + file_name(cluster.name);
}

protocol::Result<health::Fence> read_state_file(const std::string& path,
                                                const std::string& cluster) {
    errno = 0;
    std::ifstream in(path, std::ios::binary);
    if (!in) {
        if (errno == ENOENT) return health::Fence();
        return system_error("read", path);
    }
    const std::string text(std::istreambuf_iterator<char>(in), {});
    auto fence = health::parse_fence(text, cluster);
    if (fence.has_error()) {
        return protocol::Error{protocol::sqlstate::config_file_error, protocol::Origin::proxy,
                               fmt::format("\"{}\": {}", path, fence.error().message)};
    }
    return fence;
}

StateFileLook read_if_changed(const std::string& path, const std::string& cluster,
                              const StateFileStamp& before) {
    struct stat found = {};
    if (::stat(path.c_str(), &found) != 0) return {};
    const StateFileStamp stamp{
        found.st_ino, std::int64_t{found.st_mtim.tv_sec} * 1'000'000'000 + found.st_mtim.tv_nsec};
    if (stamp == before) return {stamp};
    return {stamp, read_state_file(path, cluster)};
}

protocol::Result<health::Fence> write_state_file(const std::string& path,
                                                 const std::string& cluster,
                                                 const health::Fence& fence,
                                                 std::chrono::milliseconds lock_wait) {
    static std::atomic<unsigned> number = 0;
    const WriteLock lock(path, lock_wait);
    const auto before = read_state_file(path, cluster);
    const health::Fence known = before.has_error() ? health::Fence() : *before;
    // Another process of this host may have seen more.
    const std::string text = health::format_fence(health::merged(fence, known), cluster);
    const std::string fresh = fmt::format("{}.{}.{}", path, ::getpid(), ++number);
    std::ofstream out(fresh, std::ios::binary | std::ios::trunc);
    out << text;
    out.close();
    if (!out || !sync(fresh, O_WRONLY) || ::rename(fresh.c_str(), path.c_str()) != 0) {
        const auto error = system_error("write", path);
        ::unlink(fresh.c_str());
        return error;
    }
    const std::string directory = fs::path(path).parent_path().string();
    if (!sync(directory.empty() ? "." : directory, O_RDONLY | O_DIRECTORY))
        return system_error("write", path);
    return known;
}

}  // namespace pgweir::proxy

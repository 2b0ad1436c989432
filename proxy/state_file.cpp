#include "proxy/state_file.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fcntl.h>
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

protocol::Result<health::Fence> write_state_file(const std::string& path,
                                                 const std::string& cluster,
                                                 const health::Fence& fence) {
    const auto before = read_state_file(path, cluster);
    const health::Fence known = before.has_error() ? health::Fence() : *before;
    // Another process of this host may have seen more.
    const std::string text = health::format_fence(health::merged(fence, known), cluster);
    const std::string fresh = fmt::format("{}.{}", path, ::getpid());
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

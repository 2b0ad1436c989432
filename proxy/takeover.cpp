#include "proxy/takeover.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <vector>

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pool/net/address.hpp"
#include "pool/net/log.hpp"
#include "protocol/bytes.hpp"
#include "protocol/cleanse.hpp"

namespace pgweir::proxy {

namespace {

using net::log::Level;

constexpr std::size_t header_size = 6;       // length of the body, kind, how many descriptors come
constexpr std::size_t body_max = 256 << 20;  // bytes

std::vector<int> descriptors_of(const TakeoverLink::Message& message) {
    std::vector<int> descriptors{message.fd, message.second_fd};
    std::erase(descriptors, -1);
    return descriptors;
}

std::string header_of(const TakeoverLink::Message& message) {
    std::string header(header_size, '\0');
    protocol::store_u32(header.data(), static_cast<std::uint32_t>(message.body.size()));
    header[4] = static_cast<char>(message.kind);
    header[5] = static_cast<char>('0' + descriptors_of(message).size());
    return header;
}

/// The descriptors go with the first byte.
ssize_t send_part(int to, std::string_view bytes, std::span<const int> descriptors) {
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(2 * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!descriptors.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
        cmsghdr* const rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(descriptors.size_bytes());
        std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size_bytes());
    }
    return ::sendmsg(to, &message, MSG_NOSIGNAL);
}

bool send_all(int to, std::string_view bytes, std::span<const int> descriptors) {
    while (!bytes.empty()) {
        const ssize_t sent = send_part(to, bytes, descriptors);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && errno == ETOOMANYREFS) {  // so many are on their way: the reader is slower
            constexpr int a_while_ms = 5;
            ::poll(nullptr, 0, a_while_ms);
            continue;
        }
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
        descriptors = {};
    }
    return true;
}

/// For a short message at least.
bool has_room(int to) {
    pollfd socket{to, POLLOUT, 0};
    return ::poll(&socket, 1, 0) == 1 && (socket.revents & POLLOUT) != 0;
}

}  // namespace

TakeoverLink::~TakeoverLink() {
    if (thread_.joinable()) {
        {
            const std::lock_guard lock(mutex_);
            ending_ = true;
        }
        wake();
        thread_.join();
        ::close(wakeup_fd_);
    }
    close_descriptors();
    if (fd_ >= 0) ::close(fd_);
}

std::unique_ptr<TakeoverLink> TakeoverLink::connect(const std::string& path) {
    const auto address = net::unix_address(path);
    if (address.has_error()) return nullptr;
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return nullptr;
    if (::connect(fd, address->raw(), address->size()) != 0) {
        ::close(fd);
        return nullptr;
    }
    return std::make_unique<TakeoverLink>(fd);
}

bool TakeoverLink::send_now(const Message& message) {
    return send_all(fd_, header_of(message), descriptors_of(message)) &&
           send_all(fd_, message.body, {});
}

std::optional<TakeoverLink::Message> TakeoverLink::receive_now() {
    while (true) {
        if (auto message = take_whole()) return message;
        if (!receive_some()) return std::nullopt;
    }
}

/// One that has come already.
std::optional<TakeoverLink::Message> TakeoverLink::take_whole() {
    if (input_.size() < header_size) return std::nullopt;
    const std::size_t size = protocol::load_u32(input_.data());
    if (size > body_max || input_.size() - header_size < size) return std::nullopt;
    Message message{static_cast<Kind>(input_[4]), input_.substr(header_size, size)};
    const int descriptors = input_[5] - '0';
    if (descriptors > 0) message.fd = take_descriptor();
    if (descriptors > 1) message.second_fd = take_descriptor();
    input_.erase(0, header_size + size);
    return message;
}

int TakeoverLink::take_descriptor() {
    if (descriptors_.empty()) return -1;
    const int descriptor = descriptors_.front();
    descriptors_.pop_front();
    return descriptor;
}

bool TakeoverLink::receive_some() {
    std::array<char, 64 * 1024> bytes;
    constexpr std::size_t descriptors_max = 64;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * descriptors_max)> control;
    iovec part{bytes.data(), bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t got;
    do {
        got = ::recvmsg(fd_, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) return false;
    input_.append(bytes.data(), static_cast<std::size_t>(got));
    for (cmsghdr* rights = CMSG_FIRSTHDR(&message); rights;
         rights = CMSG_NXTHDR(&message, rights)) {
        if (rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int descriptor;
            std::memcpy(&descriptor, CMSG_DATA(rights) + i * sizeof(int), sizeof descriptor);
            descriptors_.push_back(descriptor);
        }
    }
    if ((message.msg_flags & MSG_CTRUNC) == 0) return true;
    // Which of them are missing is not known: what is left would go to the wrong clients.
    net::log::print(net::log::Level::error, {},
                    "descriptors of the other process are lost: too many are open");
    close_descriptors();
    return false;
}

void TakeoverLink::close_descriptors() {
    for (const int descriptor : descriptors_) ::close(descriptor);
    descriptors_.clear();
}

void TakeoverLink::start(Callbacks callbacks) {
    callbacks_ = std::move(callbacks);
    wakeup_fd_ = ::eventfd(0, EFD_CLOEXEC);
    thread_ = std::thread([this] { run(); });
}

void TakeoverLink::send(Message message) {
    {
        const std::lock_guard lock(mutex_);
        queue_.push_back(std::move(message));
    }
    wake();
}

bool TakeoverLink::has_sent_all() {
    const std::lock_guard lock(mutex_);
    return queue_.empty() && !sending_;
}

void TakeoverLink::wake() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wakeup_fd_, &one, sizeof one);
}

void TakeoverLink::woken() {
    std::uint64_t count;
    [[maybe_unused]] const ssize_t got = ::read(wakeup_fd_, &count, sizeof count);
}

/// False: it is over, because we end or the other end has.
bool TakeoverLink::send_queued() {
    while (true) {
        Message message;
        {
            const std::lock_guard lock(mutex_);
            sending_ = !queue_.empty();
            if (!sending_) return !ending_;
            message = std::move(queue_.front());
            queue_.pop_front();
        }
        // Two processes that wait for each other to read would wait for ever. Anybody may ask for
        // a cancel, and nobody relies on it.
        if (message.kind == Kind::cancel && !has_room(fd_)) continue;
        if (!send_now(message)) {
            callbacks_.unsent(std::move(message));
            return false;
        }
        for (const int descriptor : descriptors_of(message)) ::close(descriptor);
    }
}

void TakeoverLink::run() {
    const protocol::Cleansing cleansing;  // what is handed over includes secrets
    std::array<pollfd, 2> watched{{{fd_, POLLIN, 0}, {wakeup_fd_, POLLIN, 0}}};
    while (send_queued()) {
        if (::poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) break;
        if (watched[1].revents != 0) woken();
        if (watched[0].revents == 0) continue;
        auto message = receive_now();
        if (!message) break;
        for (; message; message = take_whole()) callbacks_.received(std::move(*message));
    }
    bool ours;
    {
        const std::lock_guard lock(mutex_);
        ours = ending_;
    }
    // With it go the descriptors that are on their way here: somebody waits at their other ends.
    close_descriptors();
    ::close(std::exchange(fd_, -1));
    if (!ours) callbacks_.ended();
    // The other end is gone: until we end what we are given goes back to who gave it.
    while (true) {
        std::deque<Message> left;
        bool ending;
        {
            const std::lock_guard lock(mutex_);
            left.swap(queue_);
            ending = ending_;
            sending_ = !left.empty();
        }
        for (Message& message : left) callbacks_.unsent(std::move(message));
        {
            const std::lock_guard lock(mutex_);
            sending_ = false;
        }
        if (ending) return;
        woken();  // waits for it: the descriptor blocks
    }
}

TakeoverDoor::TakeoverDoor(net::Loop& loop, int fd, std::string path,
                           std::function<void(std::unique_ptr<TakeoverLink>)> knocked)
    : loop_(loop),
      fd_(fd),
      path_(std::move(path)),
      knocked_(std::move(knocked)) {
    loop_.watch(fd_, *this);
}

TakeoverDoor::~TakeoverDoor() {
    loop_.forget(fd_, *this);
    ::close(fd_);
    if (!path_.empty()) ::unlink(path_.c_str());
}

protocol::Result<std::unique_ptr<TakeoverDoor>> TakeoverDoor::open(
    net::Loop& loop, const std::string& path,
    std::function<void(std::unique_ptr<TakeoverLink>)> knocked) {
    const auto address = net::unix_address(path);
    if (address.has_error()) return address.error();
    const auto failed = [&](const char* what) {
        return protocol::Error{protocol::sqlstate::connection_failure, protocol::Origin::proxy,
                               fmt::format("{}: {}: {}", path, what, std::strerror(errno))};
    };
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return failed("socket");
    auto door = std::make_unique<TakeoverDoor>(loop, fd, std::string(), std::move(knocked));
    ::unlink(path.c_str());
    const mode_t mask = ::umask(0177);  // the owner only, from the first moment
    const int bound = ::bind(fd, address->raw(), address->size());
    ::umask(mask);
    constexpr int backlog = 4;
    if (bound != 0) return failed("bind");
    door->path_ = path;
    if (::listen(fd, backlog) != 0) return failed("listen");
    return door;
}

void TakeoverDoor::ready(std::uint32_t) {
    while (true) {
        const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0 && errno == EINTR) continue;
        if (fd < 0) return;
        ucred peer{};
        socklen_t size = sizeof peer;
        const bool known = ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
        if (!known || peer.uid != ::geteuid()) {
            net::log::print(Level::warning, {}, "takeover refused: uid {} is not ours", peer.uid);
            ::close(fd);
            continue;
        }
        net::log::print(Level::log, {}, "process {} takes over", peer.pid);
        knocked_(std::make_unique<TakeoverLink>(fd));
    }
}

std::string takeover_path(const config::Settings& settings) {
    const std::string& directory = settings.unix_socket_dir;
    if (directory.starts_with('/'))
        return fmt::format("{}/.s.PGWEIR.{}", directory, settings.listen_port);
    return settings.pidfile.empty() ? std::string() : settings.pidfile + ".takeover";
}

}  // namespace pgweir::proxy

#include "pool/net/socket.hpp"

#include <array>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "pool/net/syscalls.hpp"

namespace pgweir::net {

void Socket::open(Loop& loop, int fd) {
    fd_ = fd;
    readable_ = hangup_ = eof_ = false;
    held_ = 0;
    error_ = 0;
    join(loop);
}

void Socket::close() {
    if (fd_ < 0) return;
    if (tls_ && !eof_ && !error_) tls_->say_goodbye();
    leave();
    ::close(fd_);
    fd_ = -1;
    tls_.reset();
    readable_ = false;
    outbox_.clear();
    outbox_.shrink_to_fit();
    outbox_sent_ = 0;
}

void Socket::leave() {
    send_batch();
    unlink();
    if (loop_) loop_->forget(fd_, *this);
    loop_ = nullptr;
}

int Socket::release() {
    leave();
    readable_ = false;
    return std::exchange(fd_, -1);
}

void Socket::join(Loop& loop) {
    loop_ = &loop;
    watching_output_ = false;
    loop.watch(fd_, *this);
    if (blocked()) {
        watching_output_ = true;
        loop.watch_output(fd_, *this);
    }
    // What TLS has taken from the kernel already is no event on the new loop, nor is an error that
    // was found on leaving the old one.
    if (error_ || (tls_ && readable_)) yield();
}

void Socket::start_tls(TlsContextPtr context, std::string_view host, Bytes early) {
    tls_ = std::make_unique<Tls>(*this, std::move(context), host, early);
}

Tls::Step Socket::handshake() {
    // It takes a millisecond, for which nobody's query is to wait.
    if (loop_) loop_->submit_batch();
    const Tls::Step step = tls_->handshake();
    // The peer's next words may have come with its last of the handshake.
    if (step == Tls::Step::done) readable_ = true;
    return step;
}

std::size_t Socket::receive(char* to, std::size_t room) {
    if (error_) {
        eof_ = true;
        return 0;
    }
    if (tls_) [[unlikely]]
        return receive_tls(to, room);
    const ssize_t got = receive_now(fd_, to, room);
    if (got > 0) {
        // A short read has drained the socket; what comes later is a new edge.
        if (static_cast<std::size_t>(got) < room && !hangup_) readable_ = false;
        return static_cast<std::size_t>(got);
    }
    nothing_read(got);
    return 0;
}

std::size_t Socket::receive_tls(char* to, std::size_t room) {
    std::size_t got = 0;
    switch (tls_->read(to, room, got)) {
        case Tls::Input::more: readable_ = true; break;
        case Tls::Input::none: break;
        case Tls::Input::end:
            hangup_ = readable_ = true;  // it is told again when what came before has been used
            eof_ = got == 0;
            break;
        case Tls::Input::broken:
            if (!error_) error_ = EPROTO;
            hangup_ = readable_ = true;
            eof_ = got == 0;
            break;
    }
    return got;
}

ssize_t Socket::take_input(char* to, std::size_t room) {
    if (!readable_) {
        errno = EAGAIN;
        return -1;
    }
    ssize_t got;
    do {
        got = receive_now(fd_, to, room);
    } while (got < 0 && errno == EINTR);
    if (got > 0 && static_cast<std::size_t>(got) < room && !hangup_) readable_ = false;
    if (got < 0 && errno == EAGAIN) {
        readable_ = hangup_ = false;
    } else if (got < 0) {
        error_ = errno;
    }
    return got;
}

void Socket::nothing_read(ssize_t result) {
    if (result < 0 && errno == EINTR) return;
    if (result < 0 && errno == EAGAIN) {
        readable_ = hangup_ = false;
        return;
    }
    if (result < 0) error_ = errno;
    eof_ = true;
}

Pipe::Pipe() {
    int ends[2];
    if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return;
    out_ = ends[0];
    in_ = ends[1];
    constexpr int size = 1 << 20;  // bytes; what an ordinary user may have
    ::fcntl(in_, F_SETPIPE_SZ, size);
}

Pipe::~Pipe() {
    if (!usable()) return;
    ::close(out_);
    ::close(in_);
}

std::size_t Socket::move(Socket& to, Pipe& pipe, std::size_t size) {
    if (error_) {
        eof_ = true;
        return 0;
    }
    const ssize_t got =
        ::splice(fd_, nullptr, pipe.in_, nullptr, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (got <= 0) {
        nothing_read(got);
        return 0;
    }
    to.send_from(pipe, static_cast<std::size_t>(got));
    return static_cast<std::size_t>(got);
}

void Socket::send_from(Pipe& pipe, std::size_t size) {
    send_batch();
    while (size > 0 && is_open() && !error_ && !blocked()) {
        const ssize_t sent =
            ::splice(pipe.out_, nullptr, fd_, nullptr, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && errno != EAGAIN) fail(errno);
        if (sent <= 0) break;
        size -= static_cast<std::size_t>(sent);
    }
    // What this socket cannot take now is kept like any other output; the pipe is left empty.
    std::array<char, 64 * 1024> rest;
    while (size > 0) {
        const ssize_t got = ::read(pipe.out_, rest.data(), std::min(size, rest.size()));
        if (got <= 0) return;
        size -= static_cast<std::size_t>(got);
        if (is_open() && !error_) keep({rest.data(), static_cast<std::size_t>(got)});
    }
}

void Socket::let_go(std::uint8_t reason) {
    if ((held_ & reason) == 0) return;
    held_ = static_cast<std::uint8_t>(held_ & ~reason);
    if (readable() && loop_) loop_->defer(*this);
}

void Socket::yield() {
    if (loop_) loop_->defer(*this);
}

void Socket::run() {
    if (readable()) owner_.on_readable();
}

void Socket::ready(std::uint32_t events) {
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) hangup_ = readable_ = true;
    if (events & EPOLLIN) readable_ = true;
    if ((events & EPOLLOUT) && watching_output_) {
        const bool was_blocked = blocked();
        flush();
        if (was_blocked && !blocked() && is_open()) owner_.on_drained();
    }
    if (!is_open()) return;
    if (held_ != 0 && hangup_) return owner_.on_hangup();
    if (readable()) owner_.on_readable();
}

void Socket::send(Bytes bytes) {
    if (!is_open() || error_) return;
    if (tls_) [[unlikely]]
        return send_tls(bytes);
    send_plain(bytes);
}

void Socket::send_tls(Bytes bytes) {
    if (!tls_->write(bytes)) fail(EPROTO);
}

void Socket::send_tls(const Segments& segments) {
    constexpr std::size_t record_max = 16 * 1024;
    std::array<char, record_max> record;
    std::size_t size = 0;
    for (Bytes slice : segments.slices()) {
        while (!slice.empty()) {
            const std::size_t part = std::min(slice.size(), record_max - size);
            if (part == record_max) {
                send_tls(slice.substr(0, part));
            } else {
                size += slice.copy(record.data() + size, part);
            }
            slice.remove_prefix(part);
            if (size < record_max) continue;
            send_tls({record.data(), size});
            size = 0;
        }
    }
    send_tls({record.data(), size});
}

void Socket::send_plain(Bytes bytes) {
    if (!is_open() || error_) return;
    if (char* const to = place(bytes.size())) {
        bytes.copy(to, bytes.size());
        return;
    }
    if (error_) return;
    if (blocked()) return keep(bytes);
    const ssize_t result = send_now(fd_, bytes.data(), bytes.size());
    took(bytes, result < 0 ? -errno : result);
}

/// What the kernel has made of a send: how many bytes it took, or -errno.
void Socket::took(Bytes bytes, ssize_t result) {
    if (result == static_cast<ssize_t>(bytes.size())) return;
    if (result < 0 && result != -EAGAIN && result != -EINTR) return fail(static_cast<int>(-result));
    keep(bytes.substr(result < 0 ? 0 : static_cast<std::size_t>(result)));
}

/// Where to put what goes out with the batch; nullptr: it is to be sent now, if error() allows.
char* Socket::place(std::size_t size) {
    SendBatch* const batch = loop_ && !blocked() ? loop_->batch() : nullptr;
    return batch ? batch->add(*this, size) : nullptr;
}

/// What has become of what was in the batch.
void Socket::sent(const Send& send) {
    batched_ = false;
    took({send.from, send.size}, send.result);
}

void Socket::send_batch() {
    if (batched_) loop_->submit_batch();
}

void Socket::send(const Segments& segments) {
    const auto& slices = segments.slices();
    if (slices.size() == 1) return send(slices.front());
    if (!is_open() || error_) return;
    if (tls_) [[unlikely]]
        return send_tls(segments);
    // Small pieces are put together, in the batch or here: for less than the kernel takes to read
    // their list.
    constexpr std::size_t gathered_max = 1024;
    std::array<char, gathered_max> gathered;
    char* const placed = place(segments.size());
    if (error_) return;
    if (placed || segments.size() <= gathered_max) {
        char* end = placed ? placed : gathered.data();
        for (const Bytes slice : slices) end += slice.copy(end, slice.size());
        if (!placed) send_plain({gathered.data(), segments.size()});
        return;
    }

    constexpr std::size_t slices_max = 64;
    std::array<iovec, slices_max> vector;
    std::size_t next = 0;
    while (next < slices.size() && !blocked()) {
        const std::size_t count = std::min(slices.size() - next, slices_max);
        std::size_t total = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const Bytes slice = slices[next + i];
            vector[i] = {const_cast<char*>(slice.data()), slice.size()};
            total += slice.size();
        }
        msghdr message{};
        message.msg_iov = vector.data();
        message.msg_iovlen = count;
        const ssize_t result = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
        if (result < 0 && errno != EAGAIN && errno != EINTR) return fail(errno);
        std::size_t sent = result < 0 ? 0 : static_cast<std::size_t>(result);
        const bool all = sent == total;
        for (std::size_t i = 0; i < count && !all; ++i) {
            const Bytes slice = slices[next + i];
            const std::size_t gone = std::min(sent, slice.size());
            sent -= gone;
            if (gone < slice.size()) keep(slice.substr(gone));
        }
        next += count;
    }
    for (; next < slices.size(); ++next) keep(slices[next]);
}

void Socket::keep(Bytes unsent) {
    outbox_.append(unsent);
    if (!watching_output_ && loop_) {
        watching_output_ = true;
        loop_->watch_output(fd_, *this);
    }
}

void Socket::flush() {
    while (blocked()) {
        const ssize_t sent =
            send_now(fd_, outbox_.data() + outbox_sent_, outbox_.size() - outbox_sent_);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && errno == EAGAIN) return;
        if (sent < 0) return fail(errno);
        outbox_sent_ += static_cast<std::size_t>(sent);
        if (outbox_sent_ < outbox_.size()) continue;
        outbox_ = std::string();  // an idle connection holds no memory
        outbox_sent_ = 0;
    }
}

void Socket::fail(int error) {
    error_ = error;
    outbox_ = std::string();
    outbox_sent_ = 0;
    // The owner hears of it as the end of input, and not from inside its own send.
    hangup_ = readable_ = true;
    yield();
}

Bytes Inbox::fill(Socket& socket, char* page, std::size_t page_size) {
    if (rest_.size() < page_size / 2) {
        rest_.copy(page, rest_.size());
        const std::size_t got = socket.receive(page + rest_.size(), page_size - rest_.size());
        const Bytes all(page, rest_.size() + got);
        return all;
    }
    // A message that must be whole and is larger than the page grows here.
    const std::size_t before = rest_.size();
    rest_.resize(before + page_size);
    const std::size_t got = socket.receive(rest_.data() + before, page_size);
    rest_.resize(before + got);
    return rest_;
}

void Inbox::keep_some(Bytes unused) {
    if (unused.empty()) {
        if (rest_.capacity() > 64) rest_ = std::string();
        rest_.clear();
    } else if (unused.data() >= rest_.data() && unused.data() <= rest_.data() + rest_.size()) {
        rest_.erase(0, rest_.size() - unused.size());
    } else {
        rest_.assign(unused);
    }
}

}  // namespace pgweir::net

#include "bench/stub/relay.hpp"

#include "bench/stub/loop.hpp"

namespace bench {

namespace {

/// One of the two sockets of a connection. Either side's end ends both.
class Side : public Handler {
public:
    Side(Loop& loop, Fd fd) : loop_(loop), fd_(std::move(fd)) {}

    int descriptor() const { return fd_.number(); }
    void set_other(Side& other) { other_ = &other; }

    void on_event(std::uint32_t events) override {
        if ((events & EPOLLOUT) != 0) {
            if (!outbox_.flush(descriptor())) return close();
            if (outbox_.is_empty()) watch();
            if (outbox_.is_empty()) other_->watch();
            return;
        }
        const auto [bytes, gone] = receive(descriptor());
        if (gone) return close();
        if (bytes.empty()) return;
        if (!other_->outbox_.send(other_->descriptor(), bytes)) return close();
        if (!other_->outbox_.is_empty()) {
            other_->watch();
            watch();
        }
    }

private:
    /// Reads unless the other side has not taken yet what was read before.
    void watch() {
        std::uint32_t events = 0;
        if (!outbox_.is_empty()) events |= EPOLLOUT;
        if (other_->outbox_.is_empty()) events |= EPOLLIN;
        loop_.modify(descriptor(), events, *this);
    }

    void close() {
        loop_.drop(*other_);
        loop_.drop(*this);
    }

    Loop& loop_;
    Fd fd_;
    Side* other_ = nullptr;
    Outbox outbox_;
};

class Door : public Handler {
public:
    Door(Loop& loop, Fd fd, std::uint16_t backend)
        : loop_(loop),
          fd_(std::move(fd)),
          backend_(backend) {}

    void on_event(std::uint32_t /*events*/) override {
        for (;;) {
            Fd fd = accept_from(fd_.number());
            if (fd.number() < 0) return;
            auto client = std::make_unique<Side>(loop_, std::move(fd));
            auto server = std::make_unique<Side>(loop_, connect_to(1, backend_));
            client->set_other(*server);
            server->set_other(*client);
            const int near = client->descriptor(), far = server->descriptor();
            loop_.add(near, EPOLLIN, std::move(client));
            loop_.add(far, EPOLLIN, std::move(server));
        }
    }

private:
    Loop& loop_;
    Fd fd_;
    std::uint16_t backend_;
};

}  // namespace

void run_relay(std::uint16_t port, std::uint16_t backend) {
    Loop loop;
    Fd listener = listen_on(port);
    const int descriptor = listener.number();
    loop.add(descriptor, EPOLLIN, std::make_unique<Door>(loop, std::move(listener), backend));
    loop.run();
}

}  // namespace bench

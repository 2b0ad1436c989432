// A non-blocking stream socket on a worker's loop: the only place that reads and writes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "pool/net/loop.hpp"
#include "pool/net/tls.hpp"
#include "protocol/frame.hpp"

namespace pgweir::net {

using protocol::Bytes;
using protocol::Segments;

/// A kernel buffer for moving bytes between sockets without bringing them into the process.
/// Resource; one a worker, empty between uses.
class Pipe {
public:
    Pipe();
    ~Pipe();
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;

    /// False when the system gave us none: then nothing is moved this way.
    bool usable() const { return in_ >= 0; }

private:
    friend class Socket;
    int out_ = -1, in_ = -1;
};

/// Resource; belongs to one client or server, on one worker at a time.
///
/// Reading is edge-triggered: the owner is called once, and then reads until readable() is false. A
/// read that came back short has drained the socket, so no recv is ever made to hear EAGAIN; a FIN
/// is told apart by EPOLLRDHUP. Writing is tried at once, or with what others write in this turn
/// (SendBatch). What the kernel does not take goes to the outbox, and the owner is told when that
/// is empty again. Whoever produces for this socket stops reading its own side while blocked():
/// that bounds the outbox by what two reads bring.
///
/// Under TLS the same holds of what is in the records; the outbox holds records.
class Socket final : private Watcher, private Deferred {
public:
    /// Who is told.
    class Owner {
    public:
        /// There is input (or the end of it), and reading is not paused.
        virtual void on_readable() = 0;
        /// The outbox is empty again.
        virtual void on_drained() = 0;
        /// The peer has gone (or will send no more) while reading is paused: there may be input
        /// left.
        virtual void on_hangup() {}

    protected:
        ~Owner() = default;
    };

    explicit Socket(Owner& owner) : owner_(owner) {}
    ~Socket() { close(); }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;

    /// Takes over a connected (or connecting) non-blocking fd.
    void open(Loop& loop, int fd);
    void close();
    bool is_open() const { return fd_ >= 0; }
    int fd() const { return fd_; }

    /// Moves to another worker: take off here, put on there. Nothing is lost in between: input that
    /// comes meanwhile is an event on the new loop.
    void leave();
    void join(Loop& loop);
    /// Gives the descriptor away: to another process. What came meanwhile stays in the kernel.
    int release();

    /// From here on all goes through TLS, beginning with the handshake; see Tls for the arguments.
    void start_tls(TlsContextPtr context, std::string_view host, Bytes early = {});
    Tls::Step handshake();
    /// nullptr: what goes over the wire is plain.
    const Tls* tls() const { return tls_.get(); }

    bool readable() const { return readable_ && held_ == 0; }
    /// There may be something to be read, when it is held no more.
    bool has_input() const { return readable_; }
    /// Reads up to `room` bytes. 0 with readable() still true means the end: eof() tells.
    std::size_t receive(char* to, std::size_t room);
    /// Moves up to `size` bytes of input on to another socket, in the kernel. Returns what was
    /// moved; 0 as receive() does. Not where either socket has TLS.
    bool can_move_to(const Socket& to) const { return !tls_ && !to.tls_; }
    std::size_t move(Socket& to, Pipe& pipe, std::size_t size);
    /// The peer has closed its side, or the connection broke (error() says how), and all was read.
    bool eof() const { return eof_; }
    int error() const { return error_; }  // errno, 0 for an orderly end

    /// While paused the owner is not told of input; it is when resumed.
    void pause() { held_ |= paused; }
    void resume() { let_go(paused); }
    /// The same for other reasons, each on top of the others.
    enum Held : std::uint8_t { paused = 1, suspended = 2, doubted = 4 };
    void hold(Held why, bool held) { held ? void(held_ |= why) : let_go(why); }
    bool is_held(Held why) const { return (held_ & why) != 0; }
    /// Has the owner called again after others had their turn.
    void yield();

    /// Sends, or keeps what cannot be sent now. A broken connection shows up as the end of input.
    void send(const Segments& segments);
    void send(Bytes bytes);
    /// Something waits in the outbox.
    bool blocked() const { return !outbox_.empty(); }
    /// The kernel has all that was sent: nothing waits, for the end of the turn neither.
    bool all_sent() {
        send_batch();
        return !blocked();
    }
    std::size_t outbox_size() const { return outbox_.size() - outbox_sent_; }

private:
    friend class Tls;
    friend class SendBatch;

    void ready(std::uint32_t events) override;
    void run() override;
    /// As recv(), but asks the kernel only while it may have something.
    ssize_t take_input(char* to, std::size_t room);
    std::size_t receive_tls(char* to, std::size_t room);
    void send_plain(Bytes bytes);
    char* place(std::size_t size);
    void sent(const Send& send);
    void took(Bytes bytes, ssize_t result);
    void send_batch();
    void send_tls(Bytes bytes);
    void send_tls(const Segments& segments);
    void flush();
    void let_go(std::uint8_t reason);
    void keep(Bytes unsent);
    void fail(int error);
    void nothing_read(ssize_t result);
    void send_from(Pipe& pipe, std::size_t size);

    Owner& owner_;
    Loop* loop_ = nullptr;
    std::unique_ptr<Tls> tls_;
    int fd_ = -1;
    int error_ = 0;
    bool readable_ = false;
    bool hangup_ = false;  // EPOLLRDHUP seen: there is an end to be read
    bool eof_ = false;
    std::uint8_t held_ = 0;  // why the owner is not told of input
    bool watching_output_ = false;
    bool batched_ = false;  // some output is in the loop's batch, and none in the outbox
    std::string outbox_;
    std::size_t outbox_sent_ = 0;
};

/// Input memory of one connection. Value. At rest it holds nothing: bytes are read into the
/// worker's page and normally used up at once; only what is left over is kept here.
class Inbox {
public:
    /// Reads once. The view holds what was left before and what came now, and is valid until keep()
    /// or the next fill() of anybody on this worker.
    Bytes fill(Socket& socket, char* page, std::size_t page_size);
    /// What was kept, when nothing new is to be read.
    Bytes kept() const { return rest_; }
    /// Keeps the unused tail of the last view for the next fill().
    void keep(Bytes unused) {
        if (!unused.empty() || !rest_.empty()) keep_some(unused);
    }
    bool empty() const { return rest_.empty(); }
    std::size_t size() const { return rest_.size(); }

private:
    void keep_some(Bytes unused);

    std::string rest_;
};

}  // namespace pgweir::net

// One server connection: its socket, its rules, its place in the pool.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "pool/backend.hpp"
#include "pool/conversation.hpp"
#include "pool/handed_server.hpp"
#include "pool/net/socket.hpp"
#include "pool/peer.hpp"
#include "pool/worker.hpp"
#include "protocol/vars.hpp"

namespace pgweir::pool {

class Pool;
struct PoolSettings;

/// Where a server connection stands; the words are PgBouncer's, see docs/architecture.md.
enum class ServerState : std::uint8_t {
    login,      // connecting, authenticating
    idle,       // on the shelf
    active,     // lent
    tested,     // reset query running, nobody holds it
    canceling,  // free, but a cancel request for it is still under way
    closed,     // severed; destroyed at the end of the turn
};

std::string_view state_text(ServerState state);

/// Resource. Owned by its worker's table; a pool lends it to a Peer of the same worker.
class Server final : public ServerPlace, private net::Socket::Owner {
public:
    /// `startup`: variables for its start-up packet, apart from the database entry's own.
    Server(Worker& worker, Pool& pool, std::uint32_t id, protocol::Vars startup);
    ~Server();

    /// Connects and logs in; the pool hears of the end, either way.
    void open();
    /// Lends it. If the holder's variables differ they are set first, and a server that has been
    /// idle long is checked: the holder hears own_done() then, and must not send before. True when
    /// neither is due.
    bool lend(Peer& peer);
    /// The holder lets go. Called by Pool::give_back().
    void release() {
        peer_ = nullptr;
        backend_.hear(nullptr);
    }
    /// It is for this peer only, from the start, and not in its pool's books.
    void keep_apart(Peer& peer) { peer_ = &peer, apart_ = true; }
    bool apart() const { return apart_; }

    /// Sends the client's requests; what they ask has been pushed on backend().pipeline() already.
    void send(const protocol::Segments& requests) { socket_.send(requests); }
    /// Where requests may be moved to directly.
    net::Socket& input() { return socket_; }
    /// The outbox is full: stop reading the client until server_drained().
    bool full() const { return socket_.blocked(); }
    /// The holder can take replies again.
    void resume() { socket_.resume(); }
    /// Statement pooling has no transaction blocks.
    void obey(const PoolSettings& settings);
    /// SUSPEND and RESUME: whether what it sends is left alone.
    void suspend(bool suspended) { socket_.hold(net::Socket::suspended, suspended); }
    /// Its node may be the primary no more: until that is known what it sends is left alone, and it
    /// is sent nothing new.
    void doubt(bool doubted);
    std::int64_t doubted_since_us() const { return doubted_since_us_; }  // 0: it is not
    /// Its holder waits for an answer, or for being heard. Our own questions are not what it asked.
    bool awaited() const;
    /// Runs SQL of our own, whose replies nobody sees; the holder hears own_done().
    void run_own(std::string_view sql);
    /// A query of ours is all that is under way.
    bool busy_with_own() const { return own_running_ && backend_.only_own(); }
    /// Runs the reset query with nobody holding the server, then goes back to the pool.
    void tidy(std::string_view sql);
    /// The same with DISCARD ALL, when what is under way has been answered: the holder has left
    /// something behind, or nobody knows whether.
    void tidy_all();

    /// Severs: the socket is closed, the holder hears lost(), the pool takes it off the books.
    void close(std::string_view reason);
    void close(const protocol::Error& error);

    /// Moves to another worker: depart() on the old one, arrive() on the new one.
    std::unique_ptr<Server> depart();
    static Server& arrive(std::unique_ptr<Server> server, Worker& worker);

    // Online restart: to another process, together with its holder.
    /// Between transactions, a plain connection, and nothing under way on it?
    bool can_move();
    /// What the next process has to know of it. Its connection is the caller's, and it is gone.
    std::pair<HandedServer, int> move_out();
    /// Instead of open(): another process's server goes on here, lent to this peer.
    void move_in(const HandedServer& handed, int fd, Peer& holder);

    /// Is this how it was turned away at its log-in, in its own words?
    bool refused_login(const protocol::Error& error) const;

    Backend& backend() { return backend_; }
    const Backend& backend() const { return backend_; }
    Pool& pool() const { return pool_; }
    Worker& worker() const { return *worker_; }
    ServerState state() const { return state_; }
    void set_state(ServerState state) { state_ = state; }
    Peer* peer() const { return peer_; }
    const protocol::Vars& vars() const { return vars_; }
    void set_vars(protocol::Vars vars) { vars_ = std::move(vars); }
    /// What its variables were when it was new, and are after a DISCARD ALL.
    const protocol::Vars& fresh_vars() const { return fresh_vars_; }
    /// The holder leaves what has to be tidied away, or cannot be: then the server ends.
    void soil(bool spoilt) { soiled_ = true, close_needed |= spoilt; }
    bool soiled() const { return soiled_; }
    const protocol::Vars& startup() const { return startup_; }
    /// The value of that start-up parameter; nullptr for an ordinary connection.
    const std::string* replication() const { return startup_->find("replication"); }
    std::uint32_t id() const { return id_; }

    /// What a cancel request needs, and how many are under way for this server.
    const net::Address& address() const { return address_; }
    const std::string& host() const { return host_; }
    /// "host:port", as the configuration has it.
    std::string node_text() const;
    std::uint32_t backend_pid() const { return backend_pid_; }
    const std::string& cancel_key() const { return cancel_key_; }
    int cancels = 0;

    std::int64_t connected_us() const { return connected_us_; }
    std::int64_t request_us = 0;    // when the holder got it
    std::uint64_t reply_bytes = 0;  // for holders, since it was last set to 0
    bool close_needed = false;      // RECONNECT, changed configuration: close when free
    const std::uint32_t epoch;      // Pool::epoch() when it was opened
    std::string log_context() const;
    int fd() const { return socket_.fd(); }
    /// nullptr: the connection is plain.
    const net::Tls* tls() const { return socket_.tls(); }
    /// Bytes read and not used yet, and bytes that the kernel has not taken yet.
    std::size_t kept_bytes() const { return inbox_.size(); }
    std::size_t unsent_bytes() const { return socket_.outbox_size(); }

private:
    friend class ServerLogin;

    void on_readable() override;
    void on_drained() override;
    void on_hangup() override;
    /// Moves what remains of a large message past us. False when there is nothing (more) to move
    /// so.
    bool move_past();
    /// False when the server must not be touched any more.
    bool take(Bytes input);
    void report_findings();
    void own_done();
    void logged_in();
    void login_failed(const protocol::Error& error);

    Worker* worker_;
    Pool& pool_;
    Peer* peer_ = nullptr;
    net::Socket socket_{*this};
    net::Inbox inbox_;
    Backend backend_;
    protocol::Vars vars_, fresh_vars_;
    const protocol::Vars startup_;
    ServerState state_ = ServerState::login;
    bool own_running_ = false;
    bool lending_ = false;  // own_running_ makes it what its holder was promised
    bool soiled_ = false;
    bool apart_ = false;
    std::uint32_t id_;
    std::uint32_t backend_pid_ = 0;
    std::string cancel_key_;
    net::Address address_;
    std::string host_;  // whose address that is, as the configuration has it
    std::int64_t connected_us_ = 0;
    std::int64_t doubted_since_us_ = 0;
    std::unique_ptr<class ServerLogin> login_;
};

}  // namespace pgweir::pool

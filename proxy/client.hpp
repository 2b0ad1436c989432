// One client connection: its socket, its rules, what it was promised, and the server it holds.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "pool/net/log.hpp"
#include "pool/net/socket.hpp"
#include "pool/pool.hpp"
#include "proxy/attendant.hpp"
#include "proxy/frontend.hpp"
#include "proxy/handed_client.hpp"
#include "proxy/listening.hpp"
#include "proxy/query_log.hpp"
#include "proxy/routing.hpp"
#include "proxy/shard.hpp"
#include "router/router.hpp"

namespace pgweir::proxy {

class Login;
class Console;
class Relay;
class Hub;

/// Where a client stands; the words of SHOW CLIENTS, see docs/architecture.md.
enum class ClientState : std::uint8_t {
    login,    // start-up, authentication
    idle,     // holds no server
    waiting,  // in a pool's queue
    active,   // holds a server
    closed,   // severed; destroyed at the end of the turn
};

std::string_view state_text(ClientState state);

/// What kind of connection its start-up packet asks for.
enum class Replication : std::uint8_t { none, logical, physical };

/// Resource. Owned by its shard's table, lives on that shard's thread, as does the server it holds.
class Client final : public pool::Peer, private net::Socket::Owner {
public:
    Client(Shard& shard, std::uint32_t id, int fd, net::Address address);
    ~Client();

    /// Begins the log-in.
    void start();

    /// Tells the client why (unless there is nothing to tell) and closes. A server it holds goes
    /// back to its pool, which closes it if it is not clean.
    void close(const protocol::Error& error);
    /// Closes without a word to the client; an empty reason is not logged either.
    void hang_up(std::string_view reason);

    /// A request to cancel what this client is running or waiting for; `hold` is let go when it is
    /// through.
    void cancel(pool::CancelHold hold);
    /// The cancel request that this connection was made for is through; what became of it.
    void cancel_passed_on(std::string_view outcome);
    /// Limits that pass with time: called every 100 ms while any is set.
    void check_timeouts(std::int64_t now_us);
    /// The server it has had since its log-in goes back to the pool. False when there is none, or
    /// it is used.
    bool give_up();
    /// Its database's settings changed.
    void refresh();
    // Online restart, in client_moves.cpp.
    /// Between transactions, with nothing but what encode() can say?
    bool can_move();
    /// What the next process has to know of it. The connections are the caller's, and it is gone.
    struct Moved {
        HandedClient client;
        int fd = -1, server_fd = -1;
    };
    Moved move_out();
    /// Instead of start(): another process's client goes on here. The connection to its server, if
    /// it has one, is ours from here on.
    void move_in(const HandedClient& handed, int server_fd);
    /// Its predecessor, which still listens for it, has heard something, or is done with that.
    void hear_from_predecessor(const HandedNotification& heard);
    /// … or is gone.
    void predecessor_gone() { hear_from_predecessor({.client = {}, .said = {}, .missed = true}); }
    /// Its read has waited for a replica that shows enough: there may be one now, or it has waited
    /// enough. Or it waits for the primary, which takes nothing now, and a replica may do.
    void look_for_replica();
    // From the hub that listens for it.
    /// It listens to what it was told with this number.
    void hub_ready(std::uint64_t number);
    /// It had been lost for a while.
    void hub_missed();
    void hear(const std::vector<Heard>& all);

    std::uint32_t id() const { return id_; }
    ClientState state() const { return state_; }
    const std::string& user() const { return user_; }
    const std::string& database() const { return database_; }
    const net::Address& address() const { return address_; }
    pool::Pool* pool() const { return pool_; }
    /// That it has now, or that is its own; nullptr: none.
    pool::Server* server() const { return attendant_ ? attendant_->server() : server_; }
    Replication replication() const { return replication_; }
    const protocol::Vars& vars() const override { return session_ ? session_->vars() : vars_; }
    /// What it may rely on beyond a transaction; nullptr: not kept (session_state = "off", session
    /// pooling, the console).
    const Session* session() const { return session_.get(); }
    const protocol::Vars& startup() const override { return startup_; }
    const Frontend& frontend() const { return frontend_; }
    Shard& shard() const { return shard_; }
    std::int64_t connected_us() const { return connected_us_; }
    std::int64_t request_us() const { return request_us_; }
    /// When the query began that is under way or waits for a server; 0: none.
    std::int64_t query_began_us() const { return query_began_us_; }
    /// When the transaction began that is open; 0: none.
    std::int64_t xact_began_us() const { return xact_began_us_; }
    /// Bytes read and not used yet, and bytes that the kernel has not taken yet.
    std::size_t kept_bytes() const { return inbox_.size(); }
    std::size_t unsent_bytes() const { return socket_.outbox_size(); }
    /// Of memory that it can make grow, about.
    std::size_t held_bytes() const;
    /// What keeps its server with it between transactions; 0: nothing.
    router::Traces pins() const { return pins_; }
    /// Since when something does; 0: nothing.
    std::int64_t pinned_since_us() const { return pinned_since_us_; }
    std::int64_t waiting_since_us() const { return state_ == ClientState::waiting ? since_us : 0; }
    /// It counts in the limits on clients from now on.
    void count() { counted_ = true; }
    bool is_console() const;
    /// SUSPEND and RESUME: whether what it sends is left alone.
    void suspend(bool suspended) { socket_.hold(net::Socket::suspended, suspended); }
    int fd() const { return socket_.fd(); }
    /// nullptr: the connection is plain.
    const net::Tls* tls() const { return socket_.tls(); }
    std::string log_context() const;
    /// The W3C traceparent of what it does now: of the statement that is under way, that waits, or
    /// was the last of an open transaction; else of its application_name. Empty: there is none.
    std::string_view traceparent() const;
    /// A line of the log about it; as JSON with its traceparent.
    template <class... Args>
    void log(net::log::Level level, fmt::format_string<Args...> format, Args&&... args) const {
        if (!net::log::enabled(level)) return;
        write_log(level, fmt::format(format, std::forward<Args>(args)...), {});
    }

    // pool::Peer
    void granted(pool::Server& server) override;
    void refused(const protocol::Error& error) override;
    void deliver(const protocol::Segments& replies) override;
    bool full() const override { return socket_.blocked(); }
    net::Socket* output() override { return &socket_; }
    void parameter(std::string_view name, std::string_view value) override;
    void undone(std::vector<protocol::Outstanding>& requests) override {
        frontend_.statements().undo(requests);
    }
    void discarded_all() override;
    void schema_changed(bool functions) override;
    void settled() override;
    void own_done(pool::Backend::OwnAnswer answer) override;
    void notified(const std::vector<pool::Notification>& kept,
                  const std::vector<pool::Notification>& echoes) override;
    void server_drained() override { socket_.resume(); }
    void server_doubted(bool doubted) override { socket_.hold(net::Socket::doubted, doubted); }
    bool is_asking() const override { return login_ || socket_.has_input() || !inbox_.empty(); }
    void lost(const protocol::Error& error) override;

private:
    friend class Login;
    friend class Console;
    friend class Relay;

    void on_readable() override;
    void on_drained() override;
    void on_hangup() override;
    /// Moves what remains of a large message past us. False when there is nothing (more) to move
    /// so.
    bool move_past();
    /// Takes what the client sent, with a server or without. What is unused is kept.
    void consume(Bytes input);
    /// What needs no server is answered; false when a server is needed (or nothing is left to do).
    bool answer_alone(Bytes& input);
    void forward(Bytes input, std::size_t size, const Unit* first = nullptr);
    void drop_waiting(const protocol::Error& error);
    // In a cluster, in client_routes.cpp …
    void set_up_routing();
    router::Conditions conditions() const;
    Judged judge(std::string_view sql, std::uint64_t number);
    Unit look_at(Bytes input);
    Routing::Defaults transaction_defaults() const { return routing_->variables(vars()).defaults; }
    void route(Bytes input);
    bool answer_here(const Unit& unit, Bytes input);
    bool explains(const Unit& unit) const;
    LocalAnswer explain_route(std::string_view sql);
    std::optional<health::Token> causal_token();
    void claim_token();
    NodeLoad* find_replica(const Unit& unit, RouteReason& why);
    pool::Pool* choose_pool(const Unit& unit);
    bool wait_for_replica(std::int64_t until_us);
    void leave_primary();
    void read_lost();
    void forward_routed(Bytes input);
    bool amid_request() const;
    void forward_unit(Bytes input, std::size_t size, const Unit* unit);
    void note_sent(Bytes input);
    void note_route(const Unit& unit, RouteReason why);
    void begin_unit(const Unit& unit, Bytes input);
    void begun_there(const std::optional<protocol::Error>& error);
    bool may_stay(const Unit& unit) const;
    void leave_replica(Bytes input);
    void refuse_on_replica();
    void left_replica();
    void note_acknowledged();
    void note_unit_done();
    // … and client_again.cpp.
    bool withhold(const protocol::Segments& replies);
    void withhold_no_more();
    bool is_refusal(Bytes error);
    void run_again();
    void count_retry(pool::Retry why);
    void forget_names(Bytes request);
    void lost_in_cluster(pool::Server& server);
    void revert_session();
    void fail_requests(const std::vector<protocol::Outstanding>& undone, bool in_transaction);
    bool checkout();
    bool take_server(pool::Server& server, std::int64_t waited_us);
    void aim_at(pool::Pool& pool);
    void count_error(const protocol::Error& error);
    void begin_request();
    void note_query(const QueryNotes& notes);
    void note_answered(std::int64_t took_us);
    void log_slow(std::int64_t took_us) const;
    bool logs_json() const;
    /// `traceparent`: empty: its own.
    void write_log(net::log::Level level, std::string_view text,
                   std::string_view traceparent) const;
    void end_request(bool transaction_over);
    /// Nothing is asked any more: the server goes back, if it may.
    void rest();
    /// See Peer::server_doubted().
    bool in_doubt() const { return socket_.is_held(net::Socket::doubted); }
    bool is_pooled_by_statement() const;
    void refuse_block();
    void publish_schema_change();
    /// The server's answer about what the client's statements have left.
    void learn(pool::Backend::OwnAnswer answer);
    void own_over(bool waited);
    // LISTEN and NOTIFY, in client_listen.cpp.
    void start_listening();
    void note_notifier();
    void restore_listening();
    /// What comes next may be about channels, and the hub hears for the client.
    bool may_want_channels(Bytes input) const;
    /// … and the server that it has kept does not listen.
    bool lacks_channels(Bytes input) const;
    void listen_first(Bytes input);
    void learn_channels();
    /// Takes a step towards a server that does not listen for the client; false: none is due.
    bool hand_over();
    void handed_over(const pool::Backend::OwnAnswer& answer);
    void deliver_due();
    void deliver_servers_due();
    void tell(Bytes due);
    /// What was put off until an answer had come is looked at again.
    void consume_kept();
    void go_on();
    void release_server();
    void release_unused();
    /// A cancel request has met a query of ours: it was meant for the client's own, of before.
    static bool is_cancelled(const protocol::Error& error) {
        return error.sqlstate == protocol::sqlstate::query_canceled;
    }
    void share_names(pool::Backend* server);
    // Online restart, in client_moves.cpp.
    bool server_can_move();
    void move_if_due();
    void leave_hub(HandedClient& handed);
    void enter_hub(const HandedClient::Channels& channels);
    void take_route(const HandedClient::Route& route);
    void take_statements(const HandedClient& handed);
    void hold_server(const HandedClient& handed, int fd);
    void sever();
    void finish_close(std::string_view reason);
    /// `server`: what it begins with, session pooling only. The rest: as begin_session().
    void welcome_done(pool::Pool* pool, pool::Server* server, protocol::Vars own,
                      const Routing::Settings& settings);
    /// Gives it a key to cancel by, with this pid (0: any).
    void write_cancel_key(std::string& out, std::uint32_t pid);
    /// It is the pool's client from here on. `own`: those of its vars_ that new servers have not.
    /// `settings`: ours that it begins with.
    void begin_session(protocol::Vars own, bool session_mode, const Routing::Settings& settings);
    void set_unasked(bool unasked);
    RequestRules rules() const;
    void check_login(std::int64_t now_us);
    config::Duration idle_timeout(const config::PoolLimits& limits) const;
    void notify_waiting(std::int64_t now_us);
    void give_way(std::int64_t now_us);
    /// The session's pins are others than they were.
    void note_pins();
    void warn_pinned(std::int64_t now_us);

    Shard& shard_;
    net::Socket socket_{*this};
    net::Inbox inbox_;
    Frontend frontend_;
    pool::Pool* pool_ = nullptr;
    pool::Pool* target_ = nullptr;      // of whose servers it gets one: pool_, or one for reads
    pool::PoolStats* stats_ = nullptr;  // of target_; nullptr: it is no pool's client yet
    std::unique_ptr<Routing> routing_;  // of a cluster's entry
    const KnownCatalog* catalog_ = nullptr;  // of its database, where routing_ is
    RouteCounts* routes_ = nullptr;          // of its entry, likewise
    pool::Server* server_ = nullptr;
    protocol::Vars vars_;
    protocol::Vars startup_;  // session mode: what the client asked for in its start-up packet
    std::unique_ptr<Session> session_;
    std::unique_ptr<Listening> listening_;  // made when it may LISTEN for the first time
    Hub* hub_ = nullptr;                    // that listens for it
    Listening::Due handing_over_ = Listening::Due::nothing;  // runs on the server
    bool restoring_ = false;       // the server is to listen before it is the client's
    bool noted_notifier_ = false;  // that it is who notifies through its server
    ClientState state_ = ClientState::login;
    bool session_mode_ = false;
    bool preparing_ =
        false;               // has a server, which is being given the client's variables or checked
    bool awaiting_ = false;  // the answer to a question, for which what comes next has to wait
    bool schema_changed_ = false;   // by statements of the present transaction
    bool undecided_ = false;        // what comes next hangs on an answer of the server's
    bool notified_ = false;         // of waiting, this time
    bool pin_warned_ = false;       // this time
    bool wants_token_ = false;      // what comes next waits for the primary's log position
    bool unasked_ = false;          // has its server since its log-in, and has not used it
    bool counted_ = false;          // in max_client_conn and the caps
    bool long_cancel_key_ = false;  // it speaks protocol 3.2
    Replication replication_ = Replication::none;
    std::uint32_t id_;
    std::string user_, database_;
    net::Address address_;
    std::int64_t connected_us_ = 0;
    std::int64_t request_us_ = 0;      // when the last request began
    std::int64_t query_began_us_ = 0;  // 0: nothing outstanding
    std::int64_t xact_began_us_ = 0;   // 0: no transaction
    router::Traces pins_ = 0;          // when the last transaction was over
    QueryBook::Id query_;              // what is under way; of several the last
    std::int64_t waited_us_ = 0;       // for its server
    std::unique_ptr<QueryDetails> query_details_;
    std::int64_t pinned_since_us_ = 0;
    CancelKeys::Id cancel_key_ = 0;  // 0: none given out
    std::unique_ptr<Login> login_;
    std::unique_ptr<Attendant> attendant_;  // takes what it sends; nullptr: its pool does
};

}  // namespace pgweir::proxy

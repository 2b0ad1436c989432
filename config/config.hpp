// What the operator wrote, as one immutable value. Whatever the file's format was (pgbouncer.ini or
// TOML), the program reads only this. Names are PgBouncer's where PgBouncer has the setting.
// (Members end in {} so that g++ lets a designated initializer leave them out.)
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/cluster.hpp"
#include "config/network.hpp"

namespace pgweir::config {

enum class PoolMode : std::uint8_t { session, transaction, statement };
enum class AuthType : std::uint8_t {
    any,
    trust,
    plain,
    md5,
    scram_sha_256,
    cert,
    hba,
    ldap,
    pam,
    peer
};
enum class SslMode : std::uint8_t { disable, allow, prefer, require, verify_ca, verify_full };
/// How TLS begins with a server: asked for first, or at once (PostgreSQL 17).
enum class SslNegotiation : std::uint8_t { postgres, direct };
enum class SessionState : std::uint8_t { off, track };
enum class LoadBalanceHosts : std::uint8_t { round_robin, disable };
enum class LogFormat : std::uint8_t { text, json };
enum class LogLevel : std::uint8_t { debug, info, warning, error };
/// Over which connections a server may be told a password in clear.
enum class Cleartext : std::uint8_t { always, local, tls };
/// Which node of a cluster a database entry may use: any = reads are split.
enum class TargetRole : std::uint8_t { any, primary, replica };

/// TLS towards one side.
struct Tls {
    SslMode sslmode = SslMode::disable;
    std::string ca_file{}, cert_file{}, key_file{};
    std::string ciphers = "default", tls13_ciphers{};
    std::string protocols = "secure";
    std::string dheparams = "auto", ecdhcurve = "auto";
    // Only the native TOML can say what follows, and an entry of [databases] the first.
    SslNegotiation negotiation = SslNegotiation::postgres;  // with servers
    /// What clients are shown who ask for this name, "db.example" or "*.example".
    struct Certificate {
        std::string cert_file{}, key_file{};
        friend bool operator==(const Certificate&, const Certificate&) = default;
    };
    std::map<std::string, Certificate, std::less<>> names{};

    friend bool operator==(const Tls&, const Tls&) = default;
};

/// The [pgbouncer] section, and the TOML keys that mean the same. Defaults are PgBouncer 1.25's.
/// config/settings.hpp names each member once for every reader and for SHOW CONFIG.
struct Settings {
    std::vector<std::string> admin_users, stats_users;
    bool application_name_add_host = false;
    std::string auth_dbname, auth_file, auth_hba_file, auth_ident_file, auth_ldap_options;
    std::string auth_query =
        "SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END "
        "FROM pg_authid WHERE rolname=$1 AND rolcanlogin";
    AuthType auth_type = AuthType::md5;
    std::string auth_user;
    Duration autodb_idle_timeout = std::chrono::seconds(3600);
    Duration cancel_wait_timeout = std::chrono::seconds(10);
    Duration client_idle_timeout{0};
    Duration client_login_timeout = std::chrono::seconds(60);
    Tls client_tls;
    std::string conffile;
    int default_pool_size = 20;
    bool disable_pqexec = false;
    Duration dns_max_ttl = std::chrono::seconds(15);
    Duration dns_nxdomain_ttl = std::chrono::seconds(15);
    Duration dns_zone_check_period{0};
    Duration idle_transaction_timeout{0};
    std::vector<std::string> ignore_startup_parameters;
    std::string job_name = "pgbouncer";
    std::vector<std::string> listen_addr;
    int listen_backlog = 128;
    int listen_port = 6432;
    bool log_connections = true, log_disconnections = true;
    bool log_pooler_errors = true, log_stats = true;
    std::string logfile;
    std::string login_notify_message;
    int max_client_conn = 100;
    int max_db_client_connections = 0;
    int max_db_connections = 0;
    std::int64_t max_packet_size = 2147483647;
    int max_prepared_statements = 200;
    int max_user_client_connections = 0;
    int max_user_connections = 0;
    int min_pool_size = 0;
    int peer_id = 0;
    std::string pidfile;
    int pkt_buf = 4096;
    PoolMode pool_mode = PoolMode::session;
    Duration pool_idle_timeout{0};
    Duration query_timeout{0};
    Duration query_wait_notify = std::chrono::seconds(5);
    Duration query_wait_timeout = std::chrono::seconds(120);
    int reserve_pool_size = 0;
    Duration reserve_pool_timeout = std::chrono::seconds(5);
    std::string resolv_conf;
    int sbuf_loopcnt = 5;
    int scram_iterations = 4096;
    Duration server_check_delay = std::chrono::seconds(30);
    std::string server_check_query = "<empty>";
    Duration server_connect_timeout = std::chrono::seconds(15);
    bool server_fast_close = false;
    Duration server_idle_timeout = std::chrono::seconds(600);
    Duration server_lifetime = std::chrono::seconds(3600);
    Duration server_login_retry = std::chrono::seconds(15);
    std::string server_reset_query = "DISCARD ALL";
    bool server_reset_query_always = false;
    bool server_round_robin = false;
    Tls server_tls{.sslmode = SslMode::prefer};
    bool so_reuseport = false;
    Duration stats_period = std::chrono::seconds(60);
    Duration suspend_timeout = std::chrono::seconds(10);
    bool syslog = false;
    std::string syslog_facility = "daemon", syslog_ident = "pgbouncer";
    bool tcp_defer_accept = true;
    bool tcp_keepalive = true;
    int tcp_keepcnt = 0;
    Duration tcp_keepidle{0}, tcp_keepintvl{0};
    int tcp_socket_buffer = 0;
    Duration tcp_user_timeout{0};
    std::vector<std::string> track_extra_parameters{"IntervalStyle"};
    Duration transaction_timeout{0};
    std::string unix_socket_dir = "/tmp";
    std::string unix_socket_group;
    int unix_socket_mode = 0777;
    std::string user;
    int verbose = 0;

    /// How the operator spelled the lists, by setting: SHOW CONFIG repeats it while it still holds.
    std::map<std::string, std::string, std::less<>> list_texts;
    /// What SET gave to settings that have no default, by setting: see reload().
    std::map<std::string, std::string, std::less<>> set_texts;

    friend bool operator==(const Settings&, const Settings&) = default;
};

/// What only the native TOML (or the companion of an ini) can say.
struct Native {
    int threads = 0;                               // [workers] threads; 0 = number of cores
    bool core_dumps = false;                       // [workers]
    std::int64_t client_memory_limit = 256 << 20;  // [workers], bytes; 0 = off
    std::int64_t memory_limit = 0;                 // likewise, of all clients together
    bool io_uring = true;                          // [workers]
    SessionState session_state = SessionState::track;
    bool cache_unnamed = true;
    Duration pin_warn_after = std::chrono::seconds(60);  // 0 = off
    LogFormat log_format = LogFormat::text;
    LogLevel log_level = LogLevel::info;
    Duration slow_query = std::chrono::seconds(1);  // 0 = off
    bool slow_query_literals = false;               // its text as the client sent it
    Duration auth_failure_delay{0};                 // 0 = off
    Cleartext server_cleartext = Cleartext::local;  // [auth]
    Networks proxy_protocol;                        // [listen]: who begins with a PROXY header
    std::string http;                               // [admin] http; "" = off
    int query_shapes = 1000;                        // [admin]; 0 = SHOW QUERIES shows nothing

    friend bool operator==(const Native&, const Native&) = default;
};

/// One entry of [databases]. An empty optional means "what the global setting says".
struct Database {
    std::string name{};    // what clients connect to; "*" for the fallback entry
    std::string dbname{};  // at the server
    /// Names, addresses, "/dir", "@abstract"; empty = Unix socket in unix_socket_dir.
    std::vector<std::string> hosts{};
    int port = 5432;
    /// Where to connect: every host with its port, or the cluster's nodes. The loader fills it,
    /// never empty; `hosts` and `port` say the same as far as one port can.
    std::vector<Endpoint> endpoints{};
    std::optional<std::string> user{};  // forced user: one pool for the whole entry
    std::optional<protocol::Secret> password{};
    std::optional<std::string> auth_user{}, auth_query{}, auth_dbname{};
    std::optional<int> pool_size{}, min_pool_size{}, reserve_pool_size{};
    std::optional<PoolMode> pool_mode{};
    std::optional<int> max_db_connections{}, max_db_client_connections{};
    std::optional<Duration> server_lifetime{}, query_wait_timeout{};
    std::string connect_query{};
    // Only the native TOML ([databases.X.pool]) can say these.
    std::optional<Duration> server_idle_timeout{}, reserve_pool_timeout{}, query_timeout{},
        transaction_timeout{}, idle_transaction_timeout{}, client_idle_timeout{};
    std::optional<SessionState> session_state{};
    // TLS with its servers, where it is not as server_tls says.
    std::optional<SslMode> sslmode{};
    std::optional<SslNegotiation> sslnegotiation{};
    std::optional<std::string> sslrootcert{}, sslcert{}, sslkey{};
    std::optional<std::string> ssl_protocols{}, ssl_ciphers{}, ssl_tls13_ciphers{};
    LoadBalanceHosts load_balance_hosts = LoadBalanceHosts::round_robin;
    /// Sent in the server's startup packet: client_encoding, datestyle, timezone, application_name.
    std::map<std::string, std::string> startup_parameters{};
    std::string cluster{};  // name of the [clusters] entry it was made from; "" = hosts above
    TargetRole role = TargetRole::any;
    bool auto_database = false;  // made on the fly from "*"

    friend bool operator==(const Database&, const Database&) = default;
};

/// One entry of [users].
struct User {
    std::string name{};
    std::optional<int> pool_size{}, reserve_pool_size{};
    std::optional<PoolMode> pool_mode{};
    std::optional<int> max_user_connections{}, max_user_client_connections{};
    std::optional<Duration> query_timeout{}, query_wait_timeout{}, idle_transaction_timeout{},
        transaction_timeout{}, client_idle_timeout{};
    std::optional<SessionState> session_state{};

    friend bool operator==(const User&, const User&) = default;
};

/// One entry of [peers].
struct Peer {
    int id = 0;
    std::string host{};
    int port = 6432;
    std::optional<int> pool_size{};

    friend bool operator==(const Peer&, const Peer&) = default;
};

/// One line of userlist.txt.
struct Credential {
    std::string name;
    protocol::Secret secret;  // plain text, "md5" + 32 hex digits, or "SCRAM-SHA-256$…"

    friend bool operator==(const Credential&, const Credential&) = default;
};

struct Hba;  // config/hba.hpp

struct Config {
    Settings settings;
    Native native;
    std::map<std::string, Database, std::less<>> databases;  // "*" is under its own name
    std::map<std::string, User, std::less<>> users;
    std::map<int, Peer> peers;
    std::map<std::string, Credential, std::less<>> userlist;
    std::map<std::string, Cluster, std::less<>> clusters;
    std::shared_ptr<const Hba> hba;  // nullptr unless the authentication method is hba

    /// The entry of that name, without falling back to "*"; nullptr when there is none.
    const Database* database(std::string_view name) const;
    /// What clients of this name get: the entry, else one made from "*", else nothing.
    std::optional<Database> entry_for(std::string_view name) const;
    const User* user(std::string_view name) const;
    const Credential* credential(std::string_view name) const;
    const Cluster* cluster(std::string_view name) const;
};

using ConfigPtr = std::shared_ptr<const Config>;

/// What applies to one pool (a database entry and a user), after PgBouncer's precedence:
/// user over database over global for the sizes and modes, see reference in docs/settings.md.
struct PoolLimits {
    PoolMode mode = PoolMode::session;
    int size = 0;  // 0 = no limit
    int min_size = 0;
    int reserve_size = 0;
    Duration reserve_timeout{0};
    Duration query_wait_timeout{0}, query_timeout{0};
    Duration transaction_timeout{0}, idle_transaction_timeout{0}, client_idle_timeout{0};
    Duration server_lifetime{0}, server_idle_timeout{0};
    SessionState session_state = SessionState::track;
    int max_db_connections = 0, max_user_connections = 0;
    int max_db_client_connections = 0, max_user_client_connections = 0;

    friend bool operator==(const PoolLimits&, const PoolLimits&) = default;
};

/// `user` is nullptr for a user without an entry in [users].
PoolLimits limits_of(const Config& config, const Database& database, const User* user);

/// TLS with the servers of an entry: its own settings over the global ones.
Tls server_tls(const Settings& settings, const Database& database);

/// Is there a limit on any client's queries, transactions or idleness, or another reason to look
/// at all of them often?
bool clients_may_end_soon(const Config& config);

}  // namespace pgweir::config

// The table itself; config/settings.hpp says what its columns mean.
#include <limits>

#include "config/settings.hpp"

namespace pgweir::config {

namespace {

using S = Settings;
using View = std::string_view;
constexpr int int_max = std::numeric_limits<int>::max();

constexpr Setting flag(View name, View toml, bool S::*member, View preset, View help) {
    return {.name = name, .toml = toml, .member = member, .preset = preset, .help = help};
}

constexpr Setting whole(View name, View toml, int S::*member, int min, int max, View preset,
                        View help) {
    return {.name = name,
            .toml = toml,
            .member = member,
            .min = min,
            .max = max,
            .preset = preset,
            .help = help};
}

constexpr Setting count(View name, View toml, int S::*member, View preset, View help) {
    return whole(name, toml, member, 0, int_max, preset, help);
}

constexpr Setting bytes(View name, View toml, int S::*member, int min, View preset, View help) {
    return {.name = name,
            .toml = toml,
            .member = member,
            .unit = Unit::bytes,
            .min = min,
            .max = int_max,
            .preset = preset,
            .help = help};
}

constexpr Setting seconds(View name, View toml, Duration S::*member, View preset, View help) {
    return {.name = name,
            .toml = toml,
            .member = member,
            .unit = Unit::seconds,
            .preset = preset,
            .help = help};
}

constexpr Setting text(View name, View toml, std::string S::*member, View preset, View help) {
    return {.name = name, .toml = toml, .member = member, .preset = preset, .help = help};
}

constexpr Setting nullable(View name, View toml, std::string S::*member, View help) {
    return {.name = name, .toml = toml, .member = member, .unit = Unit::nullable, .help = help};
}

constexpr Setting path(View name, View toml, std::string S::*member, View help) {
    return {.name = name,
            .toml = toml,
            .member = member,
            .unit = Unit::path,
            .preset = "",
            .help = help};
}

constexpr Setting nullable_path(View name, View toml, std::string S::*member, View help) {
    return {
        .name = name, .toml = toml, .member = member, .unit = Unit::nullable_path, .help = help};
}

constexpr Setting list(View name, View toml, std::vector<std::string> S::*member, View preset,
                       View help) {
    return {.name = name, .toml = toml, .member = member, .preset = preset, .help = help};
}

constexpr Setting tls(View name, View toml, TlsMember<std::string> member, View preset, View help) {
    return {.name = name, .toml = toml, .member = member, .preset = preset, .help = help};
}

constexpr Setting tls_path(View name, View toml, TlsMember<std::string> member, View help) {
    return {.name = name,
            .toml = toml,
            .member = member,
            .unit = Unit::path,
            .preset = "",
            .help = help};
}

constexpr Setting tls_nullable(View name, View toml, TlsMember<std::string> member, View help) {
    return {.name = name, .toml = toml, .member = member, .unit = Unit::nullable, .help = help};
}

constexpr Setting tls_mode(View name, View toml, TlsMember<SslMode> member, View preset,
                           View help) {
    return {.name = name, .toml = toml, .member = member, .preset = preset, .help = help};
}

/// The same, but its text must be one of `words`.
constexpr Setting among(View words, Setting setting) {
    setting.words = words;
    return setting;
}

/// The same, but read at start only.
constexpr Setting fixed(Setting setting) {
    setting.changeable = false;
    return setting;
}

constexpr TlsMember<std::string> client(std::string Tls::*member) {
    return {&S::client_tls, member};
}
constexpr TlsMember<std::string> server(std::string Tls::*member) {
    return {&S::server_tls, member};
}

constexpr View auth_query_preset =
    "SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END "
    "FROM pg_authid WHERE rolname=$1 AND rolcanlogin";
constexpr View facilities =
    "auth authpriv daemon user local0 local1 local2 local3 local4 local5 local6 local7";

constexpr Setting table[] = {
    list("admin_users", "admin.users", &S::admin_users, "",
         "users who may run every console command"),
    flag("application_name_add_host", "pool.application_name_add_host",
         &S::application_name_add_host, "0", "append the client's address to application_name"),
    nullable("auth_dbname", "auth.dbname", &S::auth_dbname,
             "entry of [databases] in which auth_query runs; unset = the client's own"),
    nullable_path("auth_file", "auth.file", &S::auth_file,
                  "names and secrets of users, in the form of userlist.txt"),
    path("auth_hba_file", "auth.hba_file", &S::auth_hba_file,
         "rules by address, user and database; used when the method is hba"),
    nullable_path("auth_ident_file", "auth.ident_file", &S::auth_ident_file,
                  "user name maps for map= in HBA lines"),
    nullable("auth_ldap_options", "auth.ldap_options", &S::auth_ldap_options,
             "LDAP options when the method is ldap"),
    text("auth_query", "auth.query", &S::auth_query, auth_query_preset,
         "query that finds the secret of user $1; run as auth_user"),
    {.name = "auth_type",
     .toml = "auth.method",
     .member = &S::auth_type,
     .preset = "md5",
     .help = "how clients prove who they are"},
    nullable("auth_user", "auth.user", &S::auth_user,
             "user that runs auth_query; unset = no look-up"),
    seconds("autodb_idle_timeout", "pool.autodb_idle_timeout", &S::autodb_idle_timeout, "3600",
            "a database made from \"*\" is forgotten, with its statistics, when nobody has used it "
            "for so long; 0 = never"),
    seconds("cancel_wait_timeout", "pool.cancel_wait_timeout", &S::cancel_wait_timeout, "10",
            "how long a cancel request may take to get through"),
    seconds("client_idle_timeout", "pool.client_idle_timeout", &S::client_idle_timeout, "0",
            "close clients idle this long; 0 = never"),
    seconds("client_login_timeout", "auth.login_timeout", &S::client_login_timeout, "60",
            "close clients that have not logged in after this long"),
    tls_nullable("client_tls13_ciphers", "tls.client.tls13_ciphers", client(&Tls::tls13_ciphers),
                 "TLS 1.3 cipher suites; unset = the library's"),
    tls_path("client_tls_ca_file", "tls.client.ca_file", client(&Tls::ca_file),
             "authorities for the certificates of clients"),
    tls_path("client_tls_cert_file", "tls.client.cert_file", client(&Tls::cert_file),
             "certificate shown to clients"),
    tls("client_tls_ciphers", "tls.client.ciphers", client(&Tls::ciphers), "default",
        "ciphers up to TLS 1.2; default, secure, fast and normal mean the library's"),
    among("none auto legacy", tls("client_tls_dheparams", "tls.client.dheparams",
                                  client(&Tls::dheparams), "auto", "DHE key exchange")),
    tls("client_tls_ecdhcurve", "tls.client.ecdhcurve", client(&Tls::ecdhcurve), "auto",
        "ECDH curve: none, auto or a curve's name"),
    tls_path("client_tls_key_file", "tls.client.key_file", client(&Tls::key_file),
             "private key of the certificate shown to clients"),
    tls("client_tls_protocols", "tls.client.protocols", client(&Tls::protocols), "secure",
        "tlsv1.0 to tlsv1.3, all, or secure (1.2 and 1.3)"),
    tls_mode("client_tls_sslmode", "tls.client.mode", {&S::client_tls, &Tls::sslmode}, "disable",
             "TLS from clients"),
    nullable_path("conffile", "", &S::conffile, "file that the next reload reads"),
    count("default_pool_size", "pool.size", &S::default_pool_size, "20",
          "server connections per database and user; 0 = no limit"),
    fixed(flag("disable_pqexec", "listen.disable_pqexec", &S::disable_pqexec, "0",
               "refuse simple Query messages")),
    seconds("dns_max_ttl", "dns.max_ttl", &S::dns_max_ttl, "15",
            "how long the addresses of a host's name hold; those in use are looked up again then"),
    seconds("dns_nxdomain_ttl", "dns.nxdomain_ttl", &S::dns_nxdomain_ttl, "15",
            "how long it holds that there is no such name"),
    seconds("dns_zone_check_period", "dns.zone_check_period", &S::dns_zone_check_period, "0",
            "how often DNS is asked whether the zones of hosts' names have changed; 0 = never"),
    seconds("idle_transaction_timeout", "pool.idle_transaction_timeout",
            &S::idle_transaction_timeout, "0", "close clients idle in a transaction this long"),
    list("ignore_startup_parameters", "listen.ignore_startup_parameters",
         &S::ignore_startup_parameters, "", "startup parameters to swallow instead of refuse"),
    fixed(text("job_name", "", &S::job_name, "pgbouncer", "accepted and without effect")),
    fixed(list("listen_addr", "listen.host", &S::listen_addr, "",
               "TCP addresses to listen on; * = all, empty = none")),
    fixed(count("listen_backlog", "listen.backlog", &S::listen_backlog, "128",
                "connections the kernel may hold before they are accepted")),
    fixed(whole("listen_port", "listen.port", &S::listen_port, 0, 65535, "6432",
                "port of the TCP and Unix sockets")),
    flag("log_connections", "log.connections", &S::log_connections, "1", "log logins"),
    flag("log_disconnections", "log.disconnections", &S::log_disconnections, "1",
         "log disconnects with their reason"),
    flag("log_pooler_errors", "log.pooler_errors", &S::log_pooler_errors, "1",
         "log errors sent to clients"),
    flag("log_stats", "log.stats", &S::log_stats, "1", "log a line of totals every stats_period"),
    path("logfile", "log.file", &S::logfile, "log to this file; empty = stderr"),
    text("login_notify_message", "auth.notify_message", &S::login_notify_message, "",
         "text of a NOTICE sent after login"),
    count("max_client_conn", "pool.max_client_connections", &S::max_client_conn, "100",
          "clients in total"),
    count("max_db_client_connections", "pool.max_db_client_connections",
          &S::max_db_client_connections, "0", "clients per database entry; 0 = no limit"),
    count("max_db_connections", "pool.max_db_connections", &S::max_db_connections, "0",
          "server connections per database entry, over all users; 0 = no limit"),
    {.name = "max_packet_size",
     .toml = "listen.max_packet_size",
     .member = &S::max_packet_size,
     .unit = Unit::bytes,
     .min = 1,
     .max = int_max,
     .preset = "2147483647",
     .help = "largest message let through"},
    count("max_prepared_statements", "pool.max_prepared_statements", &S::max_prepared_statements,
          "200", "prepared statements kept per server connection; 0 = do not track them"),
    count("max_user_client_connections", "pool.max_user_client_connections",
          &S::max_user_client_connections, "0", "clients per user; 0 = no limit"),
    count("max_user_connections", "pool.max_user_connections", &S::max_user_connections, "0",
          "server connections per user, over all databases; 0 = no limit"),
    count("min_pool_size", "pool.min_size", &S::min_pool_size, "0",
          "server connections to keep at least"),
    whole("peer_id", "listen.peer_id", &S::peer_id, 0, 16383, "0",
          "own number among [peers]; 0 = none"),
    fixed(path("pidfile", "workers.pidfile", &S::pidfile, "file for the process id")),
    fixed(bytes("pkt_buf", "", &S::pkt_buf, 1, "4096", "accepted and without effect")),
    {.name = "pool_mode",
     .toml = "pool.mode",
     .member = &S::pool_mode,
     .preset = "session",
     .help = "when a client gives its server connection back"},
    seconds("pool_idle_timeout", "pool.pool_idle_timeout", &S::pool_idle_timeout, "0",
            "the same for every pool; 0 = never"),
    seconds("query_timeout", "pool.query_timeout", &S::query_timeout, "0",
            "close clients whose query runs longer; 0 = never"),
    seconds("query_wait_notify", "pool.wait_notify", &S::query_wait_notify, "5",
            "tell a client that it is queued after this long; 0 = never"),
    seconds("query_wait_timeout", "pool.wait_timeout", &S::query_wait_timeout, "120",
            "close clients queued for longer; 0 = never"),
    count("reserve_pool_size", "pool.reserve_size", &S::reserve_pool_size, "0",
          "further connections for clients that wait long"),
    seconds("reserve_pool_timeout", "pool.reserve_timeout", &S::reserve_pool_timeout, "5",
            "how long a client must wait before the reserve is used"),
    fixed(path("resolv_conf", "dns.resolv_conf", &S::resolv_conf,
               "file with the name servers to ask for servers' hosts; empty = the system's")),
    count("sbuf_loopcnt", "", &S::sbuf_loopcnt, "5", "accepted and without effect"),
    whole("scram_iterations", "auth.scram_iterations", &S::scram_iterations, 1, int_max, "4096",
          "iterations when a SCRAM secret is made from a plain one"),
    seconds("server_check_delay", "pool.check_delay", &S::server_check_delay, "30",
            "check a server connection idle for longer before it is used"),
    text("server_check_query", "pool.check_query", &S::server_check_query, "<empty>",
         "the check; `<empty>` = an empty query, nothing = no check"),
    seconds("server_connect_timeout", "pool.connect_timeout", &S::server_connect_timeout, "15",
            "limit for connecting and logging in to a server"),
    flag("server_fast_close", "pool.fast_close", &S::server_fast_close, "0",
         "close obsolete servers at the end of the transaction in session pooling too"),
    seconds("server_idle_timeout", "pool.idle_timeout", &S::server_idle_timeout, "600",
            "close server connections idle this long; 0 = never"),
    seconds("server_lifetime", "pool.lifetime", &S::server_lifetime, "3600",
            "close free server connections older than this; 0 = use once"),
    seconds("server_login_retry", "pool.login_retry", &S::server_login_retry, "15",
            "pause after a failed connect or login"),
    text("server_reset_query", "pool.reset_query", &S::server_reset_query, "DISCARD ALL",
         "run when a client gives a server back in session pooling"),
    flag("server_reset_query_always", "pool.reset_query_always", &S::server_reset_query_always, "0",
         "run it in every pool mode"),
    flag("server_round_robin", "pool.round_robin", &S::server_round_robin, "0",
         "reuse the longest idle server first instead of the last used"),
    tls_nullable("server_tls13_ciphers", "tls.server.tls13_ciphers", server(&Tls::tls13_ciphers),
                 "TLS 1.3 cipher suites; unset = the library's"),
    tls_path("server_tls_ca_file", "tls.server.ca_file", server(&Tls::ca_file),
             "authorities for the certificates of servers"),
    tls_path("server_tls_cert_file", "tls.server.cert_file", server(&Tls::cert_file),
             "certificate shown to servers"),
    tls("server_tls_ciphers", "tls.server.ciphers", server(&Tls::ciphers), "default",
        "ciphers up to TLS 1.2; default, secure, fast and normal mean the library's"),
    tls_path("server_tls_key_file", "tls.server.key_file", server(&Tls::key_file),
             "private key of the certificate shown to servers"),
    tls("server_tls_protocols", "tls.server.protocols", server(&Tls::protocols), "secure",
        "tlsv1.0 to tlsv1.3, all, or secure (1.2 and 1.3)"),
    tls_mode("server_tls_sslmode", "tls.server.mode", {&S::server_tls, &Tls::sslmode}, "prefer",
             "TLS towards servers"),
    fixed(flag("so_reuseport", "listen.reuse_port", &S::so_reuseport, "0",
               "share the TCP port between processes")),
    seconds("stats_period", "log.stats_period", &S::stats_period, "60",
            "period of averages and of the line of totals"),
    list("stats_users", "admin.stats_users", &S::stats_users, "",
         "users who may run SHOW on the console"),
    seconds("suspend_timeout", "admin.suspend_timeout", &S::suspend_timeout, "10",
            "how long SUSPEND waits for buffers to empty"),
    flag("syslog", "log.syslog", &S::syslog, "0", "log to syslog"),
    among(facilities, text("syslog_facility", "log.syslog_facility", &S::syslog_facility, "daemon",
                           "facility for syslog")),
    text("syslog_ident", "log.syslog_ident", &S::syslog_ident, "pgbouncer",
         "program name for syslog"),
    flag("tcp_defer_accept", "listen.tcp_defer_accept", &S::tcp_defer_accept, "1",
         "accept a connection when its first bytes have come"),
    flag("tcp_keepalive", "listen.tcp_keepalive", &S::tcp_keepalive, "1",
         "let the kernel probe silent connections"),
    count("tcp_keepcnt", "listen.tcp_keepcnt", &S::tcp_keepcnt, "0",
          "probes before giving up; 0 = the system's"),
    seconds("tcp_keepidle", "listen.tcp_keepidle", &S::tcp_keepidle, "0",
            "silence before the first probe; 0 = the system's"),
    seconds("tcp_keepintvl", "listen.tcp_keepintvl", &S::tcp_keepintvl, "0",
            "time between probes; 0 = the system's"),
    bytes("tcp_socket_buffer", "listen.tcp_socket_buffer", &S::tcp_socket_buffer, 0, "0",
          "kernel buffer of a socket; 0 = the system's"),
    {.name = "tcp_user_timeout",
     .toml = "listen.tcp_user_timeout",
     .member = &S::tcp_user_timeout,
     .unit = Unit::milliseconds,
     .preset = "0",
     .help = "how long sent data may stay unacknowledged; 0 = the system's"},
    fixed(list("track_extra_parameters", "pool.track_extra_parameters", &S::track_extra_parameters,
               "IntervalStyle", "further reported parameters to keep per client")),
    seconds("transaction_timeout", "pool.transaction_timeout", &S::transaction_timeout, "0",
            "close clients whose transaction lasts longer; 0 = never"),
    fixed(text("unix_socket_dir", "listen.unix_socket_dir", &S::unix_socket_dir, "/tmp",
               "folder of the Unix socket; @name = abstract, empty = none")),
    fixed(text("unix_socket_group", "listen.unix_socket_group", &S::unix_socket_group, "",
               "group of the Unix socket")),
    fixed({.name = "unix_socket_mode",
           .toml = "listen.unix_socket_mode",
           .member = &S::unix_socket_mode,
           .unit = Unit::mode,
           .max = 07777,
           .preset = "0777",
           .help = "permissions of the Unix socket"}),
    fixed(nullable("user", "workers.user", &S::user, "user to become when started as root")),
    {.name = "verbose",
     .toml = "log.verbose",
     .member = &S::verbose,
     .max = int_max,
     .help = "further detail in the log, as that many -v"},
};

}  // namespace

std::span<const Setting> all_settings() { return table; }

}  // namespace pgweir::config

#include "config/native_keys.hpp"

namespace pgweir::config {

namespace {

constexpr NativeKey table[] = {
    {"admin.http", R"("")",
     "address of /metrics, /healthz, /readyz and the status page: `127.0.0.1:9127`, `[::1]:9127`, "
     "or `:9127` for every address; empty = off"},
    {"admin.query_shapes", "1000",
     "statement shapes that SHOW QUERIES keeps, for each worker; 0 = none are counted"},
    {"auth.failure_delay", R"("0")",
     "how long an address waits after a failed log-in, doubled by each further one; 0 = off"},
    {"listen.proxy_protocol", "[]",
     "addresses, networks or `unix`: connections from there begin with a PROXY header (v1 or v2)"},
    {"log.level", R"("info")", "debug, info, warning or error"},
    {"log.format", R"("text")", "text (PgBouncer's line) or json"},
    {"log.slow_query", R"("1s")",
     "log queries that take longer; 0 = off, as with a pgbouncer.ini unless its companion says so"},
    {"log.slow_query_literals", "false", "with the literals that the client sent"},
    {"pool.session_state", R"("track")", "whether session state follows a client: track or off"},
    {"pool.cache_unnamed", "true", "a repeated unnamed Parse becomes a shared statement"},
    {"pool.pin_warn_after", R"("60s")",
     "warn when a client is pinned to a server for longer; 0 = off"},
    {"tls.client.min_protocol", R"("TLSv1.2")", "lowest version; `protocols` wins over it"},
    {"tls.server.min_protocol", R"("TLSv1.2")", "lowest version; `protocols` wins over it"},
    {"tls.client.names.NAME.cert_file", R"("")",
     R"(certificate for clients who ask (SNI) for this name, "db.example" or "*.example")"},
    {"tls.client.names.NAME.key_file", R"("")", "private key of that certificate"},
    {"tls.server.negotiation", R"("postgres")",
     "how TLS begins: postgres = asked for; direct = at once, as servers from 17 take it"},
    {"workers.threads", "0", "threads; 0 = number of cores"},
    {"clusters.X.nodes", "", R"(list of `{ host, port = 5432, weight = 1, role = "auto" }`)"},
    {"clusters.X.nodes[].weight", "1", "share of the reads; 0 = only when nothing else is left"},
    {"clusters.X.nodes[].role", R"("auto")", "auto, primary, or replica: never promoted by pgweir"},
    {"clusters.X.health.user", R"("pgweir")", "who probes; pg_monitor is enough"},
    {"clusters.X.health.password", R"("")", "its password; empty = the one in the auth file"},
    {"clusters.X.health.password_file", R"("")", "file whose first line is that password"},
    {"clusters.X.health.dbname", R"("postgres")", "database the probe connects to"},
    {"clusters.X.health.interval", R"("200ms")", "time between probes"},
    {"clusters.X.health.fast_interval", R"("25ms")",
     "the same while no primary is known or a node is suspect"},
    {"clusters.X.health.timeout", R"("500ms")", "how long a probe may take"},
    {"clusters.X.health.failures", "2", "failed probes in a row that make a node count as down"},
    {"clusters.X.health.patroni", "[]", "base URLs of Patroni's REST endpoints"},
    {"clusters.X.reads.split", "true", "send reads to replicas"},
    {"clusters.X.reads.max_lag", R"("10s")", "a replica further behind gets no reads"},
    {"clusters.X.reads.max_lag_bytes", R"("64MiB")", "the same in bytes of the log"},
    {"clusters.X.reads.consistency", R"("session")", "eventual, session or global"},
    {"clusters.X.reads.balance", R"("least_latency")",
     "least_latency, least_connections, round_robin or random"},
    {"clusters.X.reads.replica_safe_functions", "[]",
     "functions that replicas may run although they are marked volatile: `name` or `schema.name`"},
    {"clusters.X.reads.primary_functions", "[]",
     "functions for the primary although they are marked stable or immutable"},
    {"clusters.X.reads.foreign_tables", "false", "replicas may read foreign tables"},
    {"clusters.X.failover.hold", R"("30s")", "how long a request may wait for a primary"},
    {"clusters.X.failover.max_held", "10000", "how many requests may wait"},
    {"clusters.X.failover.state_file", R"("")", "where the highest timeline seen is kept"},
    {"clusters.X.failover.retry_reads", "true",
     "run an autocommit read again elsewhere when its server dies"},
    {"clusters.X.failover.hook", R"("")",
     "shell command run on every event of the cluster, see failover.md"},
    {"databases.X.cluster", R"("")", "the cluster to connect to, instead of `host` and `port`"},
    {"databases.X.role", R"("any")", "any, primary or replica"},
    {"users.X.password", "", "as a line of the auth file; wins over it"},
};

}  // namespace

std::span<const NativeKey> native_keys() { return table; }

}  // namespace pgweir::config

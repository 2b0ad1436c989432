// What the native TOML refuses, and in which words.
#include <gtest/gtest.h>

#include "config/toml.hpp"
#include "tests/unit/config/files.hpp"

namespace pgweir::config {
namespace {

using Lines = std::vector<std::string>;

struct BadCase {
    const char* text;
    const char* problem;  // its line and text
};

constexpr BadCase bad_cases[] = {
    {"[pol]\n", "1: unknown key \"pol\", did you mean \"pool\"?"},
    {"x = 1\n", "1: unknown key \"x\""},
    {"pool = 5\n", "1: pool: expected a table, got \"5\""},
    {"[pool]\n\nsiz = 5\n", "3: unknown key \"pool.siz\", did you mean \"size\"?"},
    {"[pool]\nsize = \"20\"\n",
     "2: pool.size: expected a whole number from 0 to 2147483647 without quotes, got \"20\""},
    {"[pool]\nsize = -1\n",
     "2: pool.size: expected a whole number from 0 to 2147483647, got \"-1\""},
    {"[pool]\nsize = 1.5\n",
     "2: pool.size: expected a whole number from 0 to 2147483647, got \"1.5\""},
    {"[pool]\nmode = \"fast\"\n",
     "2: pool.mode: expected one of session, transaction, statement, got \"fast\""},
    {"[pool]\nmode = 1\n", "2: pool.mode: expected a string in quotes, got \"1\""},
    {"[pool]\nlifetime = \"soon\"\n",
     "2: pool.lifetime: expected a duration like \"250ms\", \"5s\" or \"1h\", got \"soon\""},
    {"[pool]\nlifetime = true\n",
     "2: pool.lifetime: expected a duration like \"250ms\", \"5s\" or \"1h\", got \"true\""},
    {"[pool]\nlifetime = -1\n",
     "2: pool.lifetime: expected a duration like \"250ms\", \"5s\" or \"1h\", got \"-1\""},
    {"[pool]\nround_robin = 1\n", "2: pool.round_robin: expected true or false, got \"1\""},
    {"[pool]\nsession_state = \"on\"\n",
     "2: pool.session_state: expected one of track, off, got \"on\""},
    {"[admin]\nhttp = \"9127\"\n",
     "2: admin.http: expected an address like 127.0.0.1:9127, [::1]:9127 or :9127, got \"9127\""},
    {"[listen]\nhost = [1]\n", "2: listen.host: expected a list of strings, got \"1\""},
    {"[listen]\nproxy_protocol = [\"::1\", \"lb\"]\n",
     "2: listen.proxy_protocol: expected an address like 10.0.0.1 or 10.0.0.0/8, or \"unix\", got "
     "\"lb\""},
    {"[listen]\nmax_packet_size = \"1TB\"\n",
     "2: listen.max_packet_size: expected a size from 1 to 2147483647 bytes, like 4096, "
     "\"64KiB\" or \"16MB\", got \"1TB\""},
    {"[tls.client]\nmin_protocol = \"SSLv3\"\n",
     "2: tls.client.min_protocol: expected one of TLSv1.0, TLSv1.1, TLSv1.2, TLSv1.3, got "
     "\"SSLv3\""},
    {"[tls.clients]\n", "1: unknown key \"tls.clients\", did you mean \"client\"?"},
    {"[tls.client]\nmode = \"require\"\n",
     "2: To allow TLS connections from clients, client_tls_key_file and client_tls_cert_file must "
     "be set."},
    {"[auth]\nmethod = \"cert\"\n",
     "2: auth_type=cert: expected client_tls_sslmode=verify-full, got disable"},
    {"[auth]\ndbname = \"pgbouncer\"\n",
     "2: cannot use the reserved \"pgbouncer\" database as an auth_dbname"},
    {"[auth]\nuser = \"${NO}\"\n", "2: the environment has no variable NO"},
    {"[auth]\nuser = \"${\"\n", "2: expected ${NAME}; a literal ${ is written $${"},
    {"[auth]\nuser = \"${a b}\"\n", "2: expected ${NAME}; a literal ${ is written $${"},
    {"[clusters]\nmain = 1\n", "2: clusters.main: expected a table, got \"1\""},
    {"[clusters.main]\n", "1: clusters.main.nodes: expected at least one node"},
    {"[clusters.m]\nnodes = []\n", "2: clusters.m.nodes: expected at least one node"},
    {"[clusters.m]\nnodes = 1\n", "2: clusters.m.nodes: expected a list like "
                                  "[{ host = \"10.0.0.1\" }]"},
    {"[clusters.m]\nnodes = [{ host = \"a\" }, { host = \"a\" }]\n",
     "2: clusters.m.nodes[1]: a:5432 is a node of this cluster already"},
    {"[clusters.m]\nnodes = [{ port = 1 }]\n",
     "2: clusters.m.nodes[0].host: expected the name or address of a server"},
    {"[clusters.m]\nnodes = [{ host = \"a\", prot = 1 }]\n",
     "2: unknown key \"clusters.m.nodes[0].prot\", did you mean \"port\"?"},
    {"[clusters.m]\nnodes = [{ host = \"a\", role = \"leader\" }]\n",
     "2: clusters.m.nodes[0].role: expected one of auto, primary, replica, got \"leader\""},
    {"[clusters.m]\nnodes = [{host=\"a\",role=\"primary\"},{host=\"b\",role=\"primary\"}]\n",
     "2: clusters.m.nodes: expected one node with role \"primary\""},
    {"[clusters.m]\nnodes = [{ host = \"a\" }]\nhealth.interval = 0\n",
     "3: clusters.m.health.interval: expected a duration above 0"},
    {"[clusters.m]\nnodes = [{ host = \"a\" }]\nreads.prefer_user = [\"u:b:5432\"]\n",
     "3: clusters.m.reads.prefer_user: expected one of the cluster's nodes, got \"u:b:5432\""},
    {"[clusters.m]\nnodes = [{ host = \"a\" }]\nreads.prefer_database = [\"(:primary\"]\n",
     "3: clusters.m.reads.prefer_database: expected a regular expression before the colon, got "
     "\"(\""},
    {"[clusters.m]\nnodes = [{ host = \"a\" }]\nfailover.peers = [\"n1\"]\n",
     "3: clusters.m.failover.peers: expected a URL like \"http://10.0.0.2:9127\", got \"n1\""},
    {"[clusters.m]\nnodes = [{ host = \"a\" }]\nhealth.patroni = [\"n1:8008\"]\n",
     "3: clusters.m.health.patroni: expected a URL like \"http://10.0.0.1:8008\", got \"n1:8008\""},
    {"[clusters.m]\nnodes = [{ host = \"a\" }]\nhealth.password_file = \"x\"\n",
     "3: clusters.m.health.password_file: cannot read \"x\""},
    {"[clusters.m]\nnodes = [{ host = \"a\" }]\nread.split = true\n",
     "3: unknown key \"clusters.m.read\", did you mean \"reads\"?"},
    {"[databases.d]\ncluster = \"mian\"\n", "2: there is no cluster \"mian\""},
    {"[databases.d]\nrole = \"replica\"\n", "2: databases.d.role: means nothing without a cluster"},
    {"[databases.d]\nport = 0\n",
     "2: databases.d.port: expected a whole number from 1 to 65535, got \"0\""},
    {"[databases.d]\npool.size = -1\n",
     "2: databases.d.pool.size: expected a whole number from 0 to 2147483647, got \"-1\""},
    {"[databases.d.pool]\nsizes = 1\n",
     "2: unknown key \"databases.d.pool.sizes\", did you mean \"size\"?"},
    {"[databases.pgbouncer]\n", "1: database name \"pgbouncer\" is reserved"},
    {"[users.bob]\nmodes = \"session\"\n",
     "2: unknown key \"users.bob.modes\", did you mean \"mode\"?"},
    {"[peers.x]\nhost = \"a\"\n",
     "1: peers.x: id of a peer: expected a whole number from 1 to 65535, got \"x\""},
    {"when = 2020-01-01\n", "1: dates and times mean nothing here"},
};

TEST(NativeErrors, SayWhatWasExpected) {
    for (const BadCase& c : bad_cases) {
        SCOPED_TRACE(c.text);
        const auto loaded = load_toml(c.text);
        EXPECT_FALSE(loaded.config);
        EXPECT_EQ(lines_of(loaded.problems), Lines{std::string("a.toml:") + c.problem});
    }
}

TEST(NativeErrors, AreAllFoundAtOnce) {
    const auto loaded = load_toml("[pool]\nsize = -1\nmode = 3\n[log]\nlevle = \"x\"\n");
    EXPECT_EQ(loaded.problems.size(), 3u);
    EXPECT_EQ(loaded.problems[0].line, 2);
    EXPECT_EQ(loaded.problems[1].line, 3);
    EXPECT_EQ(loaded.problems[2].line, 5);
}

TEST(NativeErrors, ClusterOrHostNotBoth) {
    const auto loaded = load_toml(
        "[clusters.m]\nnodes = [{ host = \"a\" }]\n[databases.d]\ncluster = \"m\"\nhost = \"x\"\n");
    EXPECT_EQ(lines_of(loaded.problems),
              Lines{"a.toml:5: databases.d: expected either cluster or host, got both"});
}

struct SyntaxCase {
    const char* name;
    std::string text;
    int line;
};

const SyntaxCase syntax_cases[] = {
    {"no value", "\na = \n", 2},
    {"unclosed table", "[pool\n", 1},
    {"key twice", "[pool]\nsize = 1\nsize = 2\n", 3},
    {"not UTF-8", "a = \"\xff\"\n", 1},
    {"too many brackets", "a = " + std::string(100'000, '[') + "\n", 1},
    {"too many dots", "\na" + std::string(2'000'000, '.') + " = 1\n", 2},
    {"tables too deep", "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z.a.b.c.d.e.f.g.h.i = 1",
     1},
    {"too large", std::string(toml_size_max + 1, '\n'), 0},
};

TEST(NativeErrors, SyntaxAndBounds) {
    for (const SyntaxCase& c : syntax_cases) {
        SCOPED_TRACE(c.name);
        const auto loaded = load_toml(c.text);
        EXPECT_FALSE(loaded.config);
        ASSERT_GE(loaded.problems.size(), 1u);
        EXPECT_EQ(loaded.problems[0].line, c.line);
    }
}

TEST(NativeErrors, AnyBytesAreSafe) {
    const std::string_view whole = "[pool]\nsize = 5\nmode = \"session\"\n[databases.\"*\"]\n"
                                   "host = [\"a\", 'b']\npool = { size = 3 }\n[[users]]\n";
    for (std::size_t i = 0; i < whole.size(); ++i) {
        (void)load_toml(std::string(whole.substr(0, i)));
        for (const char c : {'[', '.', '"', '\n', '=', '\0', '{'}) {
            std::string text(whole);
            text[i] = c;
            (void)load_toml(text);
        }
    }
}

}  // namespace
}  // namespace pgweir::config

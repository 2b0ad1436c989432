#include "config/check.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "tests/unit/config/files.hpp"

namespace pgweir::config {
namespace {

struct CheckCase {
    const char* name;
    std::string_view path;
    Files files;
    int code;
    std::string_view output;
};

const CheckCase check_cases[] = {
    {"good",
     "a.ini",
     {{"a.ini", "[pgbouncer]\nauth_type = trust\n[databases]\na =\n"}},
     0,
     "a.ini: ok, 1 database\n"},
    {"with the console for an auth_dbname: fatal to log-ins only",
     "a.ini",
     {{"a.ini", "[pgbouncer]\nauth_type = trust\n[databases]\nd = auth_dbname=pgbouncer\n"}},
     0,
     "a.ini:4: warning: d: auth_dbname is the console, which has no secrets: who is not in "
     "auth_file cannot log in\na.ini: ok, 1 database, 1 warning\n"},
    {"with a warning",
     "a.ini",
     {{"a.ini", "[pgbouncer]\nauth_type = trust\nauth_file = x\n"}},
     0,
     "a.ini:3: warning: auth_file: cannot read \"x\": no such file\n"
     "a.ini: ok, 0 databases, 1 warning\n"},
    {"with risks",
     "a.ini",
     {{"a.ini", "[pgbouncer]\nlisten_addr = ::1,localhost, 127.0.0.2, *\nauth_type = trust\n"
                "default_pool_size = 0\n"}},
     0,
     "a.ini:3: warning: trust: whoever can connect to listen_addr \"*\" needs no password\n"
     "a.ini:4: warning: no limit on server connections: each client may take one\n"
     "a.ini: ok, 0 databases, 2 warnings\n"},
    {"with http for all",
     "a.toml",
     {{"a.toml", "[admin]\nhttp = \":9127\"\n[auth]\nmethod = \"trust\"\n"}},
     0,
     "a.toml:2: warning: http: whoever can connect to :9127 sees metrics, addresses and the texts "
     "of statements without a password\n"
     "a.toml: ok, 0 databases, 1 warning\n"},
    {"with passwords in clear",
     "a.ini",
     {{"a.ini", "[pgbouncer]\nlisten_addr = 10.0.0.1\nauth_type = plain\nauth_user = x\n"}},
     0,
     "a.ini:3: warning: plain: passwords come to listen_addr \"10.0.0.1\" in clear where a client "
     "does not ask for TLS; client_tls_sslmode = require has it do so\n"
     "a.ini: ok, 0 databases, 1 warning\n"},
    {"with more pools than the server has room for",
     "a.ini",
     {{"a.ini", "[pgbouncer]\nauth_type = trust\nreserve_pool_size = 3\n[databases]\n"
                "a = host=db pool_size=80\nb = host=db\nc = host=db\nd = host=other\n"}},
     0,
     "a.ini:6: warning: with this entry the pools for db:5432 come to 106 connections for each "
     "user; a PostgreSQL whose max_connections is 100 has room for 97\n"
     "a.ini: ok, 4 databases, 1 warning\n"},
    {"with as many as max_db_connections and max_user_connections leave",
     "a.ini",
     {{"a.ini", "[pgbouncer]\nauth_type = trust\nmax_user_connections = 90\n[databases]\n"
                "a = host=db pool_size=200 max_db_connections=50\nb = host=db pool_size=60\n"}},
     0,
     "a.ini: ok, 2 databases\n"},
    {"with too many for the nodes that the entries use",
     "a.toml",
     {{"a.toml", "[auth]\nmethod = \"trust\"\n[clusters.main]\nnodes = [{ host = \"h\" }]\n"
                 "[clusters.main.health]\nuser = \"x\"\n"
                 "[databases.a]\ncluster = \"main\"\nrole = \"primary\"\npool = { size = 60 }\n"
                 "[databases.b]\ncluster = \"main\"\nrole = \"replica\"\npool = { size = 60 }\n"
                 "[databases.c]\ncluster = \"main\"\nrole = \"replica\"\npool = { size = 60 }\n"}},
     0,
     "a.toml:15: warning: with this entry the pools for each replica of main come to 120 "
     "connections for each user; a PostgreSQL whose max_connections is 100 has room for 97\n"
     "a.toml: ok, 3 databases, 1 warning\n"},
    {"with md5",
     "a.ini",
     {{"a.ini", "[pgbouncer]\nauth_type = md5\nauth_user = x\n"}},
     0,
     "a.ini:2: warning: md5: whoever gets hold of a stored md5 secret can log in with it; "
     "scram-sha-256 has no such secrets\na.ini: ok, 0 databases, 1 warning\n"},
    {"with risky rules",
     "a.ini",
     {{"a.ini", "[pgbouncer]\nauth_type = hba\nauth_hba_file = hba\n"},
      {"hba", "local all all trust\nhost all all 127.0.0.0/8 trust\nhost all all ::1/128 trust\n"
              "host all all 10.0.0.0/8 trust\nhost all all all scram-sha-256\n"
              "host all all 0.0.0.0/1 trust\nhost a b ::/1 trust\nlocal all all md5\n"}},
     0,
     "hba:4: warning: trust: these hosts need no password\n"
     "hba:6: warning: trust: these hosts need no password\n"
     "hba:7: warning: trust: these hosts need no password\n"
     "hba:8: warning: md5: whoever gets hold of a stored md5 secret can log in with it; "
     "scram-sha-256 has no such secrets\na.ini: ok, 0 databases, 4 warnings\n"},
    {"bad",
     "a.toml",
     {{"a.toml", "[pool]\nsize = -1\nmod = \"x\"\n"}},
     1,
     "a.toml:2: pool.size: expected a whole number from 0 to 2147483647, got \"-1\"\n"
     "a.toml:3: unknown key \"pool.mod\", did you mean \"mode\"?\n"
     "a.toml: 2 problems\n"},
    {"missing", "a.ini", {}, 1, "a.ini:1: cannot read \"a.ini\": no such file\na.ini: 1 problem\n"},
};

TEST(Check, Prints) {
    for (const CheckCase& c : check_cases) {
        SCOPED_TRACE(c.name);
        std::ostringstream out;
        EXPECT_EQ(check(std::string(c.path), out, sources_of(c.files)), c.code);
        EXPECT_EQ(out.str(), c.output);
    }
}

}  // namespace
}  // namespace pgweir::config

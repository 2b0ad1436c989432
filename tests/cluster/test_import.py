"""`pgweir import`: the TOML it prints runs, and runs as the original does."""
import subprocess

import pytest
from harness.postgres import PASSWORDS
from harness.processes import IDENTITY

pytestmark = [pytest.mark.pooler, pytest.mark.pgweir]


def imported(proxy, path):
    """The TOML that import makes of a file in the proxy's directory."""
    done = subprocess.run([proxy.program, "import", path], check=False, capture_output=True, text=True, timeout=30,
                          cwd=proxy.directory, stdin=subprocess.DEVNULL, **IDENTITY)
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout


def checked(proxy):
    """What `check` says of the proxy's configuration."""
    done = subprocess.run([proxy.program, "check", proxy.config], check=False, capture_output=True, text=True,
                          timeout=30, cwd="/", stdin=subprocess.DEVNULL, **IDENTITY)
    assert done.returncode == 0, done
    return done.stdout


def settings(proxy):
    """SHOW CONFIG but for what belongs to the process."""
    return [row for row in proxy.console("show config") if row["key"] not in ("conffile", "listen_port")]


def test_an_ini_runs_as_its_toml_does(pgweir, cluster):
    address = f"host={cluster.primary.host} port={cluster.primary.port}"
    databases = {
        "forced": f"{address} dbname=app user=app password={PASSWORDS['app']} pool_size=3 pool_mode=session",
        "hosts": f"host=127.0.0.1,localhost port={cluster.primary.port} dbname=app load_balance_hosts=disable",
        '"it\'s ""quoted"""': f"{address} dbname=app connect_query='select ''${{x}}''' timezone=UTC",
        "*": f"{address} min_pool_size=0 reserve_pool_size=2 server_lifetime=60",
    }
    users = {"app": "pool_mode=statement max_user_connections=4", "other": "query_timeout=9"}
    first = pgweir(cluster, databases=databases, users=users, auth_type="scram-sha-256", auth_file="userlist.txt",
                   stats_users="monitor,other", server_lifetime="1800.5", tcp_user_timeout=2500,
                   unix_socket_mode="0750", server_tls_sslmode="disable", query_wait_timeout=7,
                   ignore_startup_parameters="extra_float_digits, search_path", max_packet_size=100000,
                   default_pool_size=10)
    toml = imported(first, first.config.name)
    assert "# pgweir.ini:" in toml and f'file = "{first.directory}/userlist.txt"' in toml
    second = pgweir(toml=toml.replace(f"\nport = {first.port}\n", "\nport = @PORT@\n"))
    assert "warning" not in checked(second)
    first_settings = {row["key"]: row for row in settings(first)}
    first_settings["auth_file"]["value"] = f"{first.directory}/userlist.txt"
    assert {row["key"]: row for row in settings(second)} == first_settings
    for command in ("show databases", "show users"):
        rows = [[row for row in proxy.console(command) if row["name"] != "pgbouncer"] for proxy in (first, second)]
        assert rows[0] == rows[1]
    assert second.rows("select 1", dbname="forced") == [("1",)]


def test_a_pgpool_conf_runs(pgweir, cluster):
    proxy = pgweir(start=False)
    proxy.write("pgpool.conf", f"""
listen_addresses = '127.0.0.1'
port = @PORT@
unix_socket_directories = '@DIR@'
backend_hostname0 = '{cluster.primary.host}'
backend_port0 = {cluster.primary.port}
num_init_children = 7
pool_passwd = 'pool_passwd'
use_watchdog = on
""")
    proxy.write("pool_passwd", f"app:TEXT{PASSWORDS['app']}\npostgres:TEXT{PASSWORDS['postgres']}\n")
    toml = imported(proxy, "pgpool.conf")
    assert "# pgpool.conf:9: use_watchdog = on: not supported" in toml
    native = pgweir(toml=toml.replace(f"\nport = {proxy.port}\n", "\nport = @PORT@\n"))
    assert "warning" not in checked(native)
    assert native.rows("select current_user") == [("app",)]
    shown = {row["key"]: row["value"] for row in native.console("show config")}
    assert (shown["max_client_conn"], shown["auth_type"]) == ("7", "scram-sha-256")


def test_what_cannot_be_imported_is_refused(pgweir):
    proxy = pgweir(start=False)
    path = proxy.write("bad.ini", "[pgbouncer]\nlisten_port = many\n[databases]\na = hots=x\n")
    done = subprocess.run([proxy.program, "import", path], check=False, capture_output=True, text=True, timeout=30,
                          cwd="/", stdin=subprocess.DEVNULL, **IDENTITY)
    assert done.returncode == 1 and not done.stdout
    assert [line.split(" ", 1)[0] for line in done.stderr.splitlines()] == [f"{path}:2:", f"{path}:4:"]

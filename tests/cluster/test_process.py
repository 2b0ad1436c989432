"""The process itself: signals, drain, reload, exit codes."""
import os
import re
import shutil
import signal
import subprocess

import pytest
from harness import ConnectionClosed, ServerError, eventually
from harness.processes import IDENTITY
from harness.wire import query

pytestmark = [pytest.mark.pooler, pytest.mark.pgweir, pytest.mark.short]


def refuses(proxy):
    """Whether a new client is turned away."""
    try:
        proxy.wire(timeout=2).close()
    except (OSError, ConnectionClosed, ServerError):
        return True
    return False


def ended(proxy):
    assert proxy.process.wait(20) == 0, proxy.log()[-2000:]


def run(program, *arguments, **options):
    return subprocess.run([program, *arguments], check=False, capture_output=True, text=True, timeout=30, cwd="/",
                          stdin=subprocess.DEVNULL, **options)


# ---- signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_signal_without_clients(pgweir, number):
    proxy = pgweir()
    assert proxy.rows("select 1") == [("1",)]
    proxy.process.signal(number)
    ended(proxy)


def test_int_waits_for_servers(pgweir):
    proxy = pgweir()
    with proxy.wire() as busy, proxy.wire() as idle:
        idle.query("select 1")
        busy.query("begin")
        proxy.process.signal(signal.SIGINT)
        eventually(lambda: refuses(proxy), what="new clients turned away")
        assert busy.rows("select 1") == [("1",)]
        assert [message.type for message in busy.query("commit")] == ["C", "Z"]
        ended(proxy)


def test_term_waits_for_clients(pgweir):
    proxy = pgweir()
    with proxy.wire() as client:
        client.query("select 1")
        proxy.process.signal(signal.SIGTERM)
        eventually(lambda: refuses(proxy), what="new clients turned away")
        for _ in range(5):
            assert client.rows("select 1") == [("1",)]
        client.query("begin")
        assert client.rows("select 2") == [("2",)]
        client.query("commit")
        assert proxy.process.alive
        client.terminate()
        ended(proxy)


def test_waits_for_the_console_too(pgweir):
    proxy = pgweir()
    with proxy.wire(dbname="pgbouncer", user="postgres") as console:
        with proxy.wire() as client:
            client.query("select 1")
            console.query("shutdown wait_for_clients")
            eventually(lambda: refuses(proxy), what="new clients turned away")
            client.terminate()
        eventually(lambda: len(console.rows("show clients")) == 1, what="the client gone")
        assert proxy.process.alive
        console.terminate()
        ended(proxy)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_second_signal_hastens(pgweir, number):
    proxy = pgweir()
    with proxy.wire() as client:
        client.query("begin")
        proxy.process.signal(number)
        eventually(lambda: refuses(proxy), what="new clients turned away")
        proxy.process.signal(number)
        ended(proxy)


def test_quit_waits_for_nobody(pgweir, cluster):
    proxy = pgweir()
    with proxy.wire() as busy, proxy.wire() as waiting:
        busy.query("begin")
        waiting.send(query("select pg_sleep(20)"))
        eventually(lambda: cluster.primary.backends("query like '%pg_sleep(20)%'") == 1, what="the query runs")
        proxy.process.signal(signal.SIGQUIT)
        ended(proxy)
    eventually(lambda: cluster.primary.backends("state = 'idle in transaction' and usename = 'app'") == 0,
               what="no transaction left open")


def test_usr1_pauses_usr2_resumes(pgweir):
    proxy = pgweir()
    with proxy.wire() as client:
        client.query("select 1")
        proxy.process.signal(signal.SIGUSR1)
        eventually(lambda: {"key": "paused", "value": "yes"} in proxy.console("show state"), what="paused")
        client.send(query("select 2"))
        assert client.is_quiet(0.3)
        proxy.process.signal(signal.SIGUSR2)
        assert [message.columns() for message in client.read_until("Z") if message.type == "D"] == [("2",)]


# ---- reload


def config(proxy, key):
    return next(row["value"] for row in proxy.console("show config") if row["key"] == key)


def test_hup_reloads(pgweir, cluster):
    proxy = pgweir(default_pool_size=5)
    with proxy.wire() as client:
        client.query("select 1")
        proxy.write("pgweir.ini", proxy.ini(cluster, {"added": f"host=127.0.0.1 port={cluster.primary.port} dbname=app"},
                                            default_pool_size=7))
        proxy.reload()
        eventually(lambda: config(proxy, "default_pool_size") == "7", what="the new setting")
        assert client.rows("select 1") == [("1",)]
        assert proxy.rows("select 1", dbname="added") == [("1",)]


def test_bad_reload_changes_nothing(pgweir, cluster):
    proxy = pgweir(default_pool_size=5)
    with proxy.wire() as client:
        client.query("begin")
        proxy.write("pgweir.ini", proxy.ini(cluster, default_pool_size=7, no_such_setting=1))
        proxy.reload()
        eventually(lambda: "no_such_setting" in proxy.log(), what="the reason in the log")
        assert config(proxy, "default_pool_size") == "5"
        assert client.rows("select 1") == [("1",)]
        with pytest.raises(ServerError):
            proxy.console("reload")
        client.query("commit")
    proxy.write("pgweir.ini", proxy.ini(cluster, default_pool_size=8))
    proxy.console("reload")
    assert config(proxy, "default_pool_size") == "8"


def test_reload_keeps_servers_of_unchanged_entries(pgweir, cluster):
    address = f"host={cluster.primary.host} port={cluster.primary.port}"
    proxy = pgweir(databases={"*": address}, default_pool_size=1)
    for dbname in ("app", "postgres"):  # the second is made from "*"
        with proxy.wire(dbname=dbname) as client:
            before = client.rows("select pg_backend_pid()")
            proxy.console("reload")
            assert client.rows("select pg_backend_pid()") == before, dbname


def test_set_conffile_and_auth_file(pgweir, cluster):
    proxy = pgweir(auth_type="plain")
    text = proxy.ini(cluster, auth_type="plain", default_pool_size=7)
    text = "\n".join(line for line in text.splitlines() if not line.startswith("auth_file"))
    other = proxy.write("other.ini", text)
    users = proxy.write("other.txt", '"app" "changed"\n"postgres" "postgres-secret"\n')
    proxy.console(f"set conffile = '{other}'")
    proxy.console(f"set auth_file = '{users}'")
    assert proxy.rows("select 1") == [("1",)]
    proxy.console("reload")
    assert config(proxy, "default_pool_size") == "7"
    with pytest.raises(ServerError):
        proxy.rows("select 1")
    proxy.wire(password="changed").terminate()


# ---- what an entry says of its own


def test_idle_timeout_of_an_entry(pgweir):
    proxy = pgweir(companion='[databases.app.pool]\nidle_timeout = "200ms"\n')
    for dbname in ("app", "app_transaction"):
        assert proxy.rows("select 1", dbname=dbname) == [("1",)]
    eventually(lambda: proxy.pool("app")["sv_idle"] == 0, what="the idle server closed")
    assert proxy.pool("app_transaction")["sv_idle"] == 1


def test_forced_user_needs_no_client(pgweir, cluster):
    address = f"host={cluster.primary.host} port={cluster.primary.port} dbname=app user=app password=app-secret"
    forced = {"forced": f"{address} min_pool_size=2"}
    proxy = pgweir(databases=forced)
    eventually(lambda: proxy.pool("forced").get("sv_idle") == 2, what="servers without any client")
    proxy.config.write_text(proxy.config.read_text().replace("min_pool_size=2", "min_pool_size=3"))
    proxy.console("reload")
    eventually(lambda: proxy.pool("forced")["sv_idle"] == 3, what="one more after RELOAD")
    without = "\n".join(line for line in proxy.config.read_text().splitlines() if not line.startswith("forced"))
    proxy.config.write_text(without)
    proxy.console("reload")
    eventually(lambda: proxy.pool("forced")["sv_idle"] == 0, what="none of an entry that is gone")
    assert proxy.pool("forced")["sv_login"] == 0


# ---- command line


def test_bad_configuration_is_refused(pgweir, cluster):
    proxy = pgweir(start=False)
    text = proxy.ini(cluster, no_such_setting=1, default_pool_size="many")
    path = proxy.write("bad.ini", text)
    lines = text.splitlines()
    for arguments in ((path,), ("check", path)):
        done = run(proxy.program, *arguments, **IDENTITY)
        assert done.returncode == 1
        for wrong in ("no_such_setting", "default_pool_size"):
            number = next(i for i, line in enumerate(lines, 1) if line.startswith(wrong))
            assert re.search(rf"bad\.ini:{number}\b.*{wrong}", done.stdout + done.stderr), done
    assert run(proxy.program, "check", proxy.config, **IDENTITY).returncode == 0


def test_missing_configuration(pgweir):
    proxy = pgweir(start=False)
    done = run(proxy.program, "/no/such/file.ini", **IDENTITY)
    assert done.returncode == 1 and "/no/such/file.ini" in done.stderr


def test_taken_port(pgweir):
    proxy = pgweir()
    done = run(proxy.program, proxy.config, **IDENTITY)
    assert done.returncode == 1 and done.stderr
    assert proxy.rows("select 1") == [("1",)]


def test_pidfiles(pgweir):
    """One that cannot be written ends it, as in PgBouncer; one that nobody's process left is no hindrance."""
    proxy = pgweir(start=False, pidfile="@DIR@/none/pid")
    done = run(proxy.program, proxy.config, **IDENTITY)
    assert done.returncode == 1 and "none/pid: No such file or directory" in done.stderr
    stale = proxy.directory / "none" / "pid"
    stale.parent.mkdir()
    if IDENTITY:
        shutil.chown(stale.parent, IDENTITY["user"])
    stale.write_text("999999999\n")
    stale.chmod(0o444)
    proxy.start()
    assert stale.read_text() == f"{proxy.pid}\n"


def test_users_that_are_none(pgweir):
    done = run(pgweir(start=False).program, "-u", "nobody-of-that-name", pgweir(start=False).config, **IDENTITY)
    assert done.returncode == 1 and "no such user: nobody-of-that-name" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_is_refused(pgweir):
    proxy = pgweir(start=False)
    done = run(proxy.program, proxy.config)
    assert done.returncode == 1 and "root" in done.stderr


def test_version_and_help(pgweir):
    proxy = pgweir(start=False)
    for option in ("-V", "--version"):
        done = run(proxy.program, option)
        assert done.returncode == 0
        assert re.match(r"PgBouncer \d+\.\d+\.\d+ compatible, pgweir \d+\.\d+\.\d+\n", done.stdout)
    for option in ("-h", "--help"):
        done = run(proxy.program, option)
        assert done.returncode == 0 and "check" in done.stdout


def test_words_that_are_none(pgweir):
    program = pgweir(start=False).program
    for words, said in ((("chekc", "a.toml"), 'unknown command: chekc, did you mean "check"?'),
                        (("--quite", "a.toml"), 'unknown option: --quite, did you mean "--quiet"?'),
                        (("a.toml", "v"), "unexpected argument: v"), (("a.toml", "-"), "unknown option: -")):
        done = run(program, *words)
        assert done.returncode == 1 and done.stderr == f"pgweir: {said}\nTry 'pgweir --help'.\n"

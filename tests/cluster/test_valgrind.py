"""What a process has allocated it gives back: its whole life under valgrind, which sees what sanitizers' builds do not
(the program as it is shipped, and the libraries it calls)."""
import shutil

import psycopg
import pytest
from harness.pooler import PROGRAM, sanitizer_of
from harness.wire import SYNC, bind, execute, parse

pytestmark = [pytest.mark.pgweir, pytest.mark.pooler,
              pytest.mark.skipif(not shutil.which("valgrind"), reason="no valgrind: ./dev packages count")]

SLOW = 240  # seconds: thirty times what it takes without valgrind, on a machine that has other things to do

WRAPPER = """#!/bin/sh
exec valgrind -q --leak-check=full --show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite,indirect \\
    --error-exitcode=99 --num-callers=30 {program} "$@"
"""


@pytest.fixture
def valgrind(tmp_path):
    if sanitizer_of(PROGRAM):
        pytest.skip("a sanitizer's build")
    script = tmp_path / "pgweir"
    script.write_text(WRAPPER.format(program=PROGRAM), encoding="ascii")
    script.chmod(0o755)
    return script


def ask_console(proxy, command):
    with proxy.wire(user="postgres", dbname="pgbouncer", timeout=SLOW) as console:
        console.table(command)


def test_a_whole_life(pgweir, cluster, certificate, valgrind):
    """Log-ins of several kinds, queries, statements, errors, a cluster with routing, the console, a reload, the end."""
    cert, key = certificate
    nodes = ", ".join(f'{{ host = "127.0.0.1", port = {node.port} }}' for node in cluster.nodes)
    split = (f'[workers]\nthreads = 2\n[clusters.main]\nnodes = [{nodes}]\n'
             '[clusters.main.health]\nuser = "monitor"\ntimeout = "60s"\n'
             '[databases.split]\ncluster = "main"\ndbname = "app"\n')
    proxy = pgweir(start=False, program=valgrind, companion=split, auth_type="scram-sha-256", default_pool_size=2,
                   client_login_timeout=SLOW, client_tls_sslmode="allow", client_tls_cert_file=cert,
                   client_tls_key_file=key)
    proxy.start(timeout=SLOW)
    for user in ("app", "scram_user"):
        for sslmode in ("disable", "require"):
            with proxy.connect(user=user, sslmode=sslmode, connect_timeout=SLOW) as link:
                assert link.execute("select 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError):
        proxy.connect(password="wrong", connect_timeout=SLOW)
    for dbname in ("app", "split", "app_session"):
        with proxy.wire(dbname=dbname, timeout=SLOW) as wire, proxy.wire(dbname=dbname, timeout=SLOW) as other:
            wire.query("set work_mem = '1MB'")
            wire.query("listen here")
            for _ in range(3):
                messages = wire.ask(parse("select $1::int", name="s") + bind(["7"], "s") + execute() + SYNC)
                assert messages[-1].type == "Z"
            wire.query("begin")
            wire.query("select 1/0")
            wire.query("rollback")
            other.query("notify here")
            assert other.rows("show work_mem") != [("1MB",)]
            assert wire.rows("show work_mem") == [("1MB",)]
    for command in ("show pools", "show clients", "show servers", "show stats", "show queries", "show nodes",
                    "show pins"):
        ask_console(proxy, command)
    ask_console(proxy, "reload")
    assert proxy.rows("select 1", timeout=SLOW) == [("1",)]
    assert proxy.stop(timeout=SLOW) == 0, proxy.log()

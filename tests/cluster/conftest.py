"""Fixtures: one cluster a test program, and as many pgweir processes as a test asks for."""
import os

import pytest

from harness import Cluster, Direct, Pgweir
from harness.pooler import TARGET
from harness.processes import Workdir
from harness.tls import Authority


def pytest_collection_modifyitems(config, items):
    if os.environ.get("PGWEIR_TESTS_SHORT"):
        left_out = [item for item in items if not item.get_closest_marker("short")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item.get_closest_marker("short")]
    for item in items:
        if TARGET == "direct" and item.get_closest_marker("pooler"):
            item.add_marker(pytest.mark.skip(reason="no pooler"))
        if TARGET == "pgbouncer" and item.get_closest_marker("pgweir"):
            item.add_marker(pytest.mark.skip(reason="not in PgBouncer"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Lets a fixture see how its test ended: `item.failed`."""
    outcome = yield
    if call.when == "call":
        item.failed = outcome.get_result().failed


@pytest.fixture(scope="session")
def cluster():
    """A primary with two replicas, shared by all tests of a program: leave it as you found it."""
    with Cluster(replicas=2) as made:
        yield made


@pytest.fixture(scope="module")
def authority():
    """Makes certificates that both sides trust."""
    with Workdir() as made:
        yield Authority(made.path)


@pytest.fixture(scope="module")
def certificate(authority):
    """What pgweir shows its clients: the paths of the certificate and its key."""
    return authority.certificate("pooler", ["DNS:localhost", "IP:127.0.0.1"])


@pytest.fixture(scope="module")
def server_tls(authority):
    """Settings of a PostgreSQL that shows a certificate for 127.0.0.1."""
    cert, key = authority.certificate("server", ["IP:127.0.0.1"])
    return {"ssl": "on", "ssl_cert_file": f"'{cert}'", "ssl_key_file": f"'{key}'"}


@pytest.fixture
def private_cluster():
    """Makes clusters of the test's own, for those that stop or promote nodes."""
    made = []

    def make(**options):
        made.append(Cluster(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def pgweir(cluster, request):
    """Starts a pgweir with the given settings, see Pgweir. At the end of the test it must stop cleanly,
    with exit code 0 and nothing from a sanitizer; its log is shown when the test fails."""
    made = []

    def start(*arguments, **settings):
        if TARGET == "direct":
            return Direct(cluster.primary)
        made.append(Pgweir(*(arguments or (cluster,)), **settings))
        return made[-1]

    yield start
    problems = []
    for one in made:
        failed = getattr(request.node, "failed", False)
        if failed:
            text = one.config.read_text() if one.config else one.environment
            print(f"--- {one.config}\n{text}\n--- its log\n{one.log()[-8000:]}")
        try:
            if one.process and one.process.alive and not failed:
                code = one.stop()
                if code != 0 and not one.is_pgbouncer:
                    problems.append(f"it ended with {code}:\n{one.log()[-4000:]}")
        except Exception as problem:  # pylint: disable=broad-except
            problems.append(str(problem))
        finally:
            one.close()
    assert not problems, "\n".join(problems)

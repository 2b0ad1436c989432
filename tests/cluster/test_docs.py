"""Every command, configuration and statement of the documentation is run, see harness/pages.py."""
import re
import subprocess
from pathlib import Path

import pytest
from harness import eventually
from harness.pages import World, blocks_of
from harness.pooler import PROGRAM, ROOT

pytestmark = [pytest.mark.pooler, pytest.mark.pgweir]

PAGES = sorted([ROOT / "README.md", ROOT / "SECURITY.md", *(ROOT / "docs").glob("*.md")])
# Pages that start pgweir themselves.
STARTS = {"README.md", "start.md", "deploy.md"}

TOML = """
[listen]
host = "127.0.0.1"
port = 6432
unix_socket_dir = "/run/pgweir"
[admin]
users = ["postgres"]
[auth]
method = "scram-sha-256"
file = "/etc/pgweir/userlist.txt"
[pool]
mode = "transaction"
[clusters.main]
nodes = [{ host = "127.0.0.1", port = 5432 }, { host = "127.0.0.1", port = 5433 },
         { host = "127.0.0.1", port = 5434 }]
[clusters.main.health]
user = "monitor"
[clusters.main.failover]
state_file = "/run/pgweir/main.state"
[databases.app]
cluster = "main"
[databases."*"]
cluster = "main"
"""


@pytest.fixture
def world(cluster, authority, certificate, request):
    with World(cluster, TOML) as made:
        for name, path in (("server.crt", certificate[0]), ("server.key", certificate[1]), ("ca.crt", authority.file)):
            made.write(name, Path(path).read_text(encoding="ascii"))
        if request.node.callspec.params["page"].name not in STARTS:
            made.start()
            eventually(lambda: sum(row["eligible"] == "yes" for row in made.console("show nodes")) == 2, 30,
                       "two replicas that may be read")
        yield made


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page(page, world):
    problems = []
    for block in blocks_of(page):
        assert block.marks.get("not run") != "", f"{page.name}:{block.line}: a reason"
        problem = block.is_run and world.run(block)
        if problem:
            problems.append(f"{page.name}:{block.line}: {problem}")
    assert not problems, "\n\n".join(problems)


def test_links():
    """Every relative link leads to a file, and to a heading of it."""
    for page in PAGES:
        for target in page_links(page):
            name, _, heading = target.partition("#")
            file = page.parent / name if name else page
            assert file.exists(), f"{page.name}: {target}"
            assert not heading or heading in headings(file), f"{page.name}: {target}"


def page_links(page):
    text = page.read_text(encoding="utf-8")
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]


def headings(page):
    """As links name them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def packages(group):
    """Those of one group of cmake/packages.txt."""
    text = (ROOT / "cmake/packages.txt").read_text(encoding="utf-8")
    section = text.split(f"[{group}]\n", 1)[1].split("\n[", 1)[0]
    return [line for line in section.splitlines() if line and not line.startswith("#")]


def test_dependencies():
    """The page names every package that the program is built with, and no other library."""
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z0-9.+-]+)`", page))
    assert set(packages("build")) <= named
    assert {name for name in named if name.endswith("-dev")} <= set(packages("build"))


def known_tests():
    """The names of all tests, as docs/security-tests.md writes them."""
    names = {f"{path.stem}.{name}" for path in (ROOT / "tests/cluster").glob("test_*.py")
             for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)}
    for path in (ROOT / "tests/unit").rglob("*_test.cpp"):
        found = re.findall(r"^TEST(?:_[FP])?\((\w+), (\w+)\)", path.read_text(encoding="utf-8"), re.MULTILINE)
        names |= {f"{suite}.{name}" for suite, name in found}
    names |= {f"*{path.stem}*" for path in (ROOT / "tests/conversations").glob("*.txt")}
    targets = (ROOT / "tests/fuzz/targets.hpp").read_text(encoding="utf-8")
    return names | {f"fuzz {name}" for name in re.findall(r'Target\{"(\w+)"', targets)}


def test_security_table():
    """Every class has its number once, and a test; every test that is named exists."""
    page = (ROOT / "docs/security-tests.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \|.*\| (.+?) \|$", page, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 62))
    known = known_tests()
    for number, tests in rows:
        assert [name for name in tests.split(", ") if name not in known] == [], number


def test_manual_page():
    """pgweir(1) has the options and commands of --help."""
    page = (ROOT / "docs/man/pgweir.1").read_text(encoding="utf-8").replace("\\-", "-")
    said = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True, timeout=60).stdout
    options = re.findall(r"(?<![\w-])--?[a-zA-Z]+", said)
    assert len(options) > 10
    commands = re.findall(r"^  pgweir ([a-z]+)", said, re.MULTILINE)
    assert set(commands) >= {"check", "import", "route"}
    assert [word for word in (*options, *commands) if word not in page] == []

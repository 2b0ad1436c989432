"""The status page in a real browser: what it shows, to whom, and what it does not let happen."""
import re
import signal
from contextlib import closing

import pytest
from harness.browser import CHROMIUM, Browser
from harness.http import get, get_json
from harness.processes import Port, eventually
from harness.split import split_toml
from harness.wire import query

pytestmark = [pytest.mark.pgweir, pytest.mark.skipif(not CHROMIUM, reason="no Chromium")]

HOSTILE = "<img src=x onerror=document.title='stolen'>"


@pytest.fixture
def http_port():
    with closing(Port()) as port:
        yield port.number


def polls(page, count):
    page.wait(f"Number(document.body.dataset.polls) >= {count}")


def test_one_file_that_keeps_to_itself(cluster, pgweir, http_port):
    """Nothing is loaded from anywhere else, and the policy would not let it."""
    pgweir(cluster, companion=f'[admin]\nhttp = "127.0.0.1:{http_port}"\n')
    status, headers, text = get(http_port, "/")
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", text)
    assert "innerHTML" not in text and "eval(" not in text
    status, said = get_json(http_port, "/api/status")
    assert status == 200 and said["state"] == "active" and said["pools"] == []


def test_what_it_shows(cluster, pgweir, http_port, tmp_path):
    entry = f'[databases."{HOSTILE}"]\ncluster = "main"\ndbname = "app"\nrole = "primary"\n' \
            "[databases.small]\ncluster = \"main\"\ndbname = \"app\"\nrole = \"primary\"\n" \
            "[databases.small.pool]\nsize = 1\n"
    toml = split_toml(cluster, databases=entry, http=f"127.0.0.1:{http_port}")
    proxy = pgweir(toml=toml)
    eventually(lambda: get_json(http_port, "/readyz")[1]["clusters"]["main"]["readable_nodes"] == 2)
    assert proxy.rows("select 1", dbname=HOSTILE) == [("1",)]
    with proxy.wire(dbname="small") as busy, proxy.wire(dbname="small") as waiting, Browser() as page:
        busy.rows("begin")
        busy.rows("select 1")
        waiting.send(query("select 2"))
        eventually(lambda: get_json(http_port, "/api/status")[1]["waiting"])
        page.open(f"http://127.0.0.1:{http_port}/")
        polls(page, 2)
        assert page.problems == []
        assert page.text("#state") == "active"
        clusters = page.text("#clusters")
        for node in cluster.nodes:
            assert f"127.0.0.1:{node.port}" in clusters
        assert clusters.count("replica\n") + clusters.count("replica ") >= 2, clusters
        pools = page.text("#pools")
        assert HOSTILE in pools and "small" in pools and "1 of 1 in use" in pools
        assert "small · app" in page.text("#waiting")
        assert "select" in page.text("#statements").lower()
        assert "primary changed" in page.text("#events")
        assert page.evaluate("document.title") == "waiting – pgweir"
        assert page.evaluate("document.querySelectorAll('main img').length") == 0
        roles = page.roles()
        headings = {name for role, name in roles if role == "heading"}
        assert {"pgweir", "Clusters", "Pools", "Waiting clients", "Statements", "Events"} <= headings
        assert {name for role, name in roles if role == "columnheader"} >= {"Servers", "Waiting", "Clients"}
        assert ("button", "Hold still") in roles
        page.screenshot(tmp_path / "page.png")
        assert (tmp_path / "page.png").stat().st_size > 10_000
        busy.rows("rollback")
        waiting.read_until("Z")
        page.wait("document.getElementById('waiting').hidden && document.title === 'pgweir'")


def test_by_keyboard(cluster, pgweir, http_port):
    pgweir(cluster, companion=f'[admin]\nhttp = "127.0.0.1:{http_port}"\n')
    with Browser() as page:
        page.open(f"http://127.0.0.1:{http_port}/")
        polls(page, 1)
        focused = []
        for _ in range(5):
            page.press("Tab", 9)
            focused.append(page.evaluate("document.activeElement.innerText"))
        assert focused == ["Skip to the figures", "Hold still", "metrics", "healthz", "readyz"]
        page.evaluate("document.getElementById('hold').focus()")
        page.press("Enter", 13)
        page.wait("document.getElementById('hold').getAttribute('aria-pressed') === 'true'")


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone(cluster, pgweir, http_port, dark):
    """Nothing sticks out at the side, and text stands out from what is behind it."""
    proxy = pgweir(cluster, companion=f'[admin]\nhttp = "127.0.0.1:{http_port}"\n')
    assert proxy.rows("select 1") == [("1",)]
    with Browser(width=360, height=740, mobile=True, dark=dark) as page:
        page.open(f"http://127.0.0.1:{http_port}/")
        polls(page, 2)
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        for selector, least in (("body", 7), (".soft", 4.5), ("#state", 4.5), (".tile dt", 4.5), ("a[href=metrics]", 4.5)):
            assert page.evaluate(CONTRAST % selector) >= least, selector


@pytest.mark.parametrize("width", [360, 768, 1000, 1100])
def test_there_is_room_at_every_width(cluster, pgweir, http_port, width):
    """With a long name, and a client that has waited for more than a minute: no word is broken into letters, and
    nothing stands on what is beside it."""
    long_name = "a_rather_long_database_name_for_reports_of_the_north_western_region"
    entries = "".join(f'[databases.{name}]\ncluster = "main"\ndbname = "app"\nrole = "primary"\n'
                      f"[databases.{name}.pool]\nsize = 1\n" for name in ("small", long_name))
    proxy = pgweir(toml=split_toml(cluster, databases=entries, http=f"127.0.0.1:{http_port}"))
    assert proxy.rows("select 1", dbname=long_name) == [("1",)]
    assert proxy.rows("select 1", dbname="small") == [("1",)]
    with Browser(width=width, height=800, mobile=width < 400) as page:
        page.open(f"http://127.0.0.1:{http_port}/")
        polls(page, 2)
        page.evaluate("clearTimeout(timer)")
        page.evaluate("""held = true;
          for (const p of now.pools) Object.assign(p, {waiting: 12, oldest_wait: 75.4, oldest_transaction: 4321});
          draw()""")
        assert "12, 1 min 15 s" in page.text("#pools")
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert page.evaluate(CROWDED) == []


# Cells that are too narrow for a word, or that their text sticks out of.
CROWDED = """[...document.querySelectorAll('tbody th, tbody td')].filter(cell => {
  const box = cell.getBoundingClientRect();
  if (!box.width || !cell.textContent) return false;
  const text = document.createRange();
  text.selectNodeContents(cell);
  return box.width < (cell.tagName === 'TH' ? 120 : 40) || text.getBoundingClientRect().right > box.right + 0.5;
}).map(cell => cell.textContent)"""


# The contrast of a text with what is painted behind it, as WCAG counts it.
CONTRAST = """(() => {
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
      .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const element = document.querySelector('%s');
  let behind = element;
  while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
  const pair = [light(getComputedStyle(element).color), light(getComputedStyle(behind).backgroundColor)].sort((a, b) => b - a);
  return (pair[0] + 0.05) / (pair[1] + 0.05);
})()"""


def test_when_pgweir_goes(cluster, pgweir, http_port):
    proxy = pgweir(cluster, companion=f'[admin]\nhttp = "127.0.0.1:{http_port}"\n')
    with Browser() as page:
        page.open(f"http://127.0.0.1:{http_port}/")
        polls(page, 1)
        assert page.evaluate("document.getElementById('trouble').hidden")
        assert proxy.stop(signal.SIGINT) == 0
        page.wait("document.getElementById('trouble').innerText.startsWith('No answer from pgweir')")
        assert page.text("#state") == "no answer"
        proxy.start()
        page.wait("document.getElementById('trouble').hidden")
        assert page.text("#state") == "active"


def test_without_a_primary(cluster, pgweir, http_port):
    """The head of the page says it, and not that all is well."""
    nobody = split_toml(cluster, http=f"127.0.0.1:{http_port}")
    for node in cluster.nodes:
        nobody = nobody.replace(f"port = {node.port} }}", f'port = {node.port}, role = "replica" }}')
    pgweir(toml=nobody)
    with Browser() as page:
        page.open(f"http://127.0.0.1:{http_port}/")
        page.wait("document.getElementById('state').innerText === 'no primary'")
        assert "No primary" in page.text("#clusters")
        assert page.evaluate("document.title") == "no primary – pgweir"

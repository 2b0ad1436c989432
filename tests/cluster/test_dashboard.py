"""Alerts and dashboard in deploy/ against a real Prometheus that scrapes a live pgweir."""
import json
import re
import subprocess
from contextlib import closing

import pytest
from harness import Pgweir
from harness.http import scrape
from harness.pooler import ROOT
from harness.processes import Port, eventually
from harness.prometheus import PROMETHEUS, PROMTOOL, Prometheus
from harness.split import split_toml
from harness.wire import ServerError

pytestmark = [pytest.mark.pgweir,
              pytest.mark.skipif(not (PROMETHEUS and PROMTOOL), reason="no Prometheus")]

RULES = ROOT / "deploy/prometheus/pgweir.rules.yml"
DASHBOARD = json.loads((ROOT / "deploy/grafana/pgweir.json").read_text(encoding="utf-8"))
VARIABLES = {"$__rate_interval": "1m", "$job": ".*", "$instance": ".*", "$database": ".*"}


def queries():
    """Title and expression of everything that the dashboard asks."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for annotation in DASHBOARD["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


def filled_in(expression):
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


def names_in(expression):
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"pgweir_\w+", expression)}


@pytest.fixture(scope="module")
def live(cluster):
    """A pgweir with a bit of everything behind it, and the Prometheus that has seen it."""
    with closing(Port()) as port:
        toml = split_toml(cluster, pool="max_db_connections = 50", http=f"127.0.0.1:{port.number}")
        with Pgweir(toml=toml) as proxy, Prometheus(port.number, RULES) as prometheus:
            eventually(lambda: scrape(port.number).one("pgweir_cluster_readable_nodes", cluster="main") == 2)
            proxy.http = port.number
            yield proxy, prometheus
            assert proxy.stop() == 0


def make_traffic(proxy):
    proxy.console("reconnect")
    with proxy.wire() as wire:
        wire.rows("select 1")
        wire.rows("create temp table here (x int)")
        wire.rows("begin")
        wire.rows("commit")
        with pytest.raises(ServerError):
            wire.rows("select nothing from nowhere")


def test_rules_by_promtool():
    for arguments in (["check", "rules", RULES.name], ["test", "rules", "pgweir.rules.test.yml"]):
        done = subprocess.run([PROMTOOL, *arguments], cwd=RULES.parent, capture_output=True, text=True,
                              check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_leads_to_a_page():
    text = RULES.read_text(encoding="utf-8")
    places = re.findall(r"^ +runbook: (\S+)$", text, re.MULTILINE)
    assert len(places) == text.count(" - alert: ")
    for place in set(places):
        page, _, heading = place.partition("#")
        titles = re.findall(r"^## (.+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
        assert heading in {title.lower().replace(" ", "-") for title in titles}, place


def test_every_alert_has_its_test():
    alerts = re.findall(r"^ +- alert: (\w+)$", RULES.read_text(encoding="utf-8"), re.MULTILINE)
    tried = re.findall(r"^ +alertname: (\w+)$", RULES.with_name("pgweir.rules.test.yml").read_text(encoding="utf-8"),
                       re.MULTILINE)
    assert sorted(alerts) == sorted(tried) and len(alerts) > 15


def test_alerts_know_their_metrics(live):
    proxy, prometheus = live
    known = set(scrape(proxy.http).types)
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert rules
    for rule in rules:
        assert names_in(rule["query"]) <= known, rule["name"]
    eventually(lambda: all(rule["health"] == "ok" for group in prometheus.ask("rules")["groups"]
                           for rule in group["rules"]), what="every rule evaluated")


def test_nothing_is_amiss(live):
    """A cluster that is well alarms nobody, but for what has just been tried."""
    _, prometheus = live
    assert {alert["labels"]["alertname"] for alert in prometheus.ask("alerts")["alerts"]
            if alert["state"] == "firing"} <= {"PgweirErrorRate"}


# What a healthy cluster without TLS has nothing to say to.
QUIET = {"Failovers", "Certificates end in"}


def test_every_query_of_the_dashboard_answers(live):
    proxy, prometheus = live
    known = set(scrape(proxy.http).types)
    missing = dict(enumerate(queries()))
    assert len(missing) > 40

    def answered():
        make_traffic(proxy)
        for number, (title, expression) in list(missing.items()):
            assert names_in(expression) <= known, (title, expression)
            samples = prometheus.query(filled_in(expression))
            if any(sample["value"][1] != "NaN" for sample in samples):
                del missing[number]
        return {title for title, _ in missing.values()} <= QUIET

    try:
        eventually(answered, 60, "data for every query")
    except TimeoutError:
        pytest.fail(f"no data for {missing}")


def test_the_dashboard_is_whole():
    """Ids are unique, panels do not overlap, and every query uses the variables that choose what is shown."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells
    for title, expression in queries():
        assert expression.count("pgweir_") == expression.count('instance=~"$instance"'), (title, expression)
    assert {one["name"] for one in DASHBOARD["templating"]["list"]} == {"datasource", "job", "instance", "database"}

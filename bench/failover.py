#!/usr/bin/python3
"""What clients notice of a failover, as a picture: docs/failover.svg.

A primary with two replicas and pgweir in front; one session writes, one reads, one has transactions, each every few
milliseconds. The primary is killed (kill -9 of all its processes), and PAUSE_S later, as a failover manager would, a
replica is promoted. Every request becomes a dot at the moment it was sent, as high as it took.

    bench/failover.py [FILE]        writes the picture, prints what it is made of
"""
import math
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/cluster"))

# pylint: disable=wrong-import-position
from harness import Cluster, ConnectionClosed, Pgweir, eventually  # noqa: E402
from harness.split import split_toml  # noqa: E402

BEFORE_S, PAUSE_S, AFTER_S = 1.0, 1.0, 1.5
STEP_S = 0.008  # between a session's requests
SETUP = "create table item (id serial, n int); insert into item (n) select 1 from generate_series(1, 100);" \
        " grant all on item to public; grant all on sequence item_id_seq to public;"
SESSIONS = {
    "reads": ["select count(*) from item"],
    "writes": ["insert into item (n) values (1)"],
    "transactions": ["begin", "update item set n = n + 1 where id = 1", "commit"],
}


class Request(NamedTuple):
    session: str
    at: float  # s since the primary was killed
    took: float  # s
    outcome: str  # "", a SQLSTATE, or "closed"


class Session(threading.Thread):
    """One connection that asks the same over and over; a failed transaction is rolled back, as applications do."""

    def __init__(self, name, pgweir, log):
        super().__init__(daemon=True)
        self.title, self.log = name, log
        self.wire = pgweir.wire()
        self.over = threading.Event()

    def ask(self, sql):
        began = time.monotonic()
        try:
            messages = self.wire.query(sql)
            errors = [message.fields()["C"] for message in messages if message.type == "E"]
            outcome = errors[0] if errors else ""
        except ConnectionClosed:
            outcome = "closed"
        self.log.append((self.title, began, time.monotonic() - began, outcome))
        return outcome

    def run(self):
        while not self.over.wait(STEP_S):
            for sql in SESSIONS[self.title]:
                outcome = self.ask(sql)
                if outcome == "closed":
                    return
                if outcome:
                    if len(SESSIONS[self.title]) > 1:
                        self.ask("rollback")
                    break


def play():
    """([Request…], {event: moment})"""
    log = []
    with Cluster(replicas=2, setup=SETUP) as cluster, Pgweir(toml=split_toml(cluster)) as pgweir:
        eventually(lambda: sum(row["eligible"] == "yes" for row in pgweir.console("show nodes")) == 2)
        sessions = [Session(name, pgweir, log) for name in SESSIONS]
        for session in sessions:
            session.start()
        time.sleep(BEFORE_S)
        killed = time.monotonic()
        cluster.primary.kill()
        time.sleep(max(0.0, killed + PAUSE_S - time.monotonic()))
        events = {"killed": 0.0, "promoted": time.monotonic() - killed}
        cluster.replicas[0].promote()

        def changed():
            roles = {int(row["port"]): row["role"] for row in pgweir.console("show nodes")}
            return roles[cluster.replicas[0].port] == "primary"

        eventually(changed)
        time.sleep(AFTER_S)
        for session in sessions:
            session.over.set()
        for session in sessions:
            session.join(30)
    return [Request(name, at - killed, took, outcome) for name, at, took, outcome in log], events


# ---------------------------------------------------------------------------- the picture

WIDTH, HEIGHT = 760, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 40, 44
COLOURS = {"reads": ("#0b69a3", "#62b0e8"), "writes": ("#b44d12", "#f0986a"),
           "transactions": ("#6b46c1", "#b79cf5")}
FASTEST_S, SLOWEST_S = 1e-4, 5.0


def picture(requests, events):
    first, last = -0.5, max(events["promoted"] + AFTER_S, 2.0)

    def across(at):
        return LEFT + (at - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def up(took):
        share = math.log(max(took, FASTEST_S) / FASTEST_S) / math.log(SLOWEST_S / FASTEST_S)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    light = "".join(f".{name} {{ fill: {colours[0]}; }} " for name, colours in COLOURS.items())
    dark = "".join(f".{name} {{ fill: {colours[1]}; }} " for name, colours in COLOURS.items())
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="title"'
        ' font-family="system-ui, sans-serif" font-size="12">',
        '<title id="title">How long requests took around a failover: reads go on, writes and transactions wait until'
        ' a replica is promoted</title>',
        f"<style>.page {{ fill: #ffffff; }} text {{ fill: #1f2933; }} .grid {{ stroke: #cbd2d9; }} .event {{ stroke:"
        f" #c01048; stroke-width: 1.5; }} {light}"
        "@media (prefers-color-scheme: dark) { .page { fill: #161b22; } text { fill: #e4e7eb; } .grid { stroke:"
        f" #3e4c59; }} .event {{ stroke: #f7709c; }} {dark}}}</style>",
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
    ]
    for took, label in ((0.001, "1 ms"), (0.01, "10 ms"), (0.1, "100 ms"), (1.0, "1 s")):
        lines.append(f'<path class="grid" d="M{LEFT} {up(took):.0f}H{WIDTH - RIGHT}"/>'
                     f'<text x="{LEFT - 6}" y="{up(took) + 4:.0f}" text-anchor="end">{label}</text>')
    for tick in range(math.ceil(first * 2), math.floor(last * 2) + 1):
        lines.append(f'<text x="{across(tick / 2):.0f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tick / 2:g} s</text>')
    for name, at in events.items():
        lines.append(f'<path class="event" d="M{across(at):.1f} {TOP - 14}V{HEIGHT - BOTTOM}"/>'
                     f'<text x="{across(at) + 5:.0f}" y="{TOP - 6}">{name}</text>')
    for request in requests:
        if not first <= request.at <= last:
            continue
        x, y = across(request.at), up(request.took)
        if request.outcome:
            lines.append(f'<text class="{request.session}" x="{x:.1f}" y="{y + 4:.1f}" text-anchor="end"'
                         f' font-weight="bold">{request.outcome} ×</text>')
        else:
            lines.append(f'<circle class="{request.session}" cx="{x:.1f}" cy="{y:.1f}" r="2"/>')
    at = LEFT
    for name in SESSIONS:
        lines.append(f'<circle class="{name}" cx="{at + 4}" cy="{HEIGHT - 10}" r="4"/>'
                     f'<text x="{at + 14}" y="{HEIGHT - 6}">{name}</text>')
        at += 110
    return "\n".join([*lines, "</svg>", ""])


def report(requests, events):
    print(f"promoted {events['promoted']:.2f} s after the primary was killed")
    for name in SESSIONS:
        own = [request for request in requests if request.session == name]
        slowest = max(own, key=lambda request: request.took)
        errors = [request.outcome for request in own if request.outcome]
        print(f"{name}: {len(own)} requests, the slowest took {slowest.took * 1000:.0f} ms, errors: {errors or 'none'}")


def main():
    target = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "docs/failover.svg")
    requests, events = play()
    target.write_text(picture(requests, events), encoding="utf-8")
    report(requests, events)


if __name__ == "__main__":
    main()

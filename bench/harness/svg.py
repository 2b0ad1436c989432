"""Pictures of ratios: a row for each workload, a dot for each target, a line where the reference is.

The scale is logarithmic, so that half as much and twice as much are as far from the line. A bar
through a dot is the range over rounds. Colours follow the reader's light or dark mode.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from harness.results import Ratio

_WIDTH, _RIGHT, _TOP, _GAP = 860, 8, 58, 42
_LETTER = 6.8                 # width of one in a row's label, about
_LINE = 9                     # height of one target's line in a row
_ROW_GAP = 9
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.7, 1, 1.4, 2, 5, 10, 20, 50, 100, 200, 500)
_COLOURS = {"pgweir": ("#c01048", "#f7709c"), "pgweir-2": ("#dd7a21", "#f0a35e"),
            "pgbouncer": ("#1f2933", "#e4e7eb"), "haproxy": ("#0b69a3", "#62b0e8"),
            "pgpool": ("#6b46c1", "#b79cf5"), "direct": ("#52606d", "#9aa5b1")}
_OTHERS = (("#0c6b58", "#3ebd93"), ("#8a6d00", "#e9c46a"), ("#8d2b0b", "#f0986a"))


@dataclass(frozen=True)
class Row:
    """One line of the picture. A value."""

    label: str
    dots: dict[str, Ratio]        # by target


@dataclass
class Panel:
    """One field of the picture, beside the others. A value."""

    title: str
    better_low: bool
    rows: list[Row] = field(default_factory=list)

    def range(self) -> tuple[float, float]:
        """The ends of the scale, around all dots and 1."""
        values = [dot.median for row in self.rows for dot in row.dots.values()]
        return min([0.7, *values]) / 1.12, max([1.4, *values]) * 1.12


def colour(target: str, targets: list[str]) -> tuple[str, str]:
    """For light and for dark mode; the same target has the same one in every picture."""
    if target in _COLOURS:
        return _COLOURS[target]
    others = [name for name in targets if name not in _COLOURS]
    return _OTHERS[others.index(target) % len(_OTHERS)]


def _style(targets: list[str]) -> str:
    light = dark = ""
    for number, target in enumerate(targets):
        pair = colour(target, targets)
        light += f".t{number} {{ fill: {pair[0]}; stroke: {pair[0]}; }} "
        dark += f".t{number} {{ fill: {pair[1]}; stroke: {pair[1]}; }} "
    return ("<style>.page { fill: #ffffff; } text { fill: #1f2933; stroke: none; } .better { fill:"
            " #e3f8ec; } .grid { stroke: #d9dfe5; } .one { stroke: #1f2933; stroke-width: 1.5; } "
            f"{light}@media (prefers-color-scheme: dark) {{ .page {{ fill: #161b22; }} text {{ fill:"
            " #e4e7eb; stroke: none; } .better { fill: #16301f; } .grid { stroke: #323f4b; } .one {"
            f" stroke: #e4e7eb; }} {dark}}}</style>")


class _Scale:
    """Ratios to places across one panel."""

    def __init__(self, low: float, high: float, left: float, right: float) -> None:
        self.low, self.high, self.left, self.right = low, high, left, right

    def across(self, ratio: float) -> float:
        inside = min(max(ratio, self.low), self.high)
        share = math.log(inside / self.low) / math.log(self.high / self.low)
        return self.left + share * (self.right - self.left)

    def ticks(self) -> list[float]:
        """Those that fit without their labels touching; 1 is always among them."""
        chosen = [1.0]
        for tick in _TICKS:
            place = self.across(tick)
            if self.low < tick < self.high and all(
                    abs(place - self.across(other)) > 26 for other in chosen):
                chosen.append(tick)
        return sorted(chosen)


def _dots(row: Row, targets: list[str], scale: _Scale, top: float) -> list[str]:
    lines = []
    for number, target in enumerate(targets):
        dot = row.dots.get(target)
        if dot is None:
            continue
        y = top + _LINE * (number + 0.5)
        low, high = scale.across(dot.low), scale.across(dot.high)
        if high - low > 1:
            lines.append(f'<path class="t{number}" stroke-width="1.2" opacity="0.6"'
                         f' d="M{low:.1f} {y:.1f}H{high:.1f}"/>')
        lines.append(f'<circle class="t{number}" stroke="none" cx="{scale.across(dot.median):.1f}"'
                     f' cy="{y:.1f}" r="3.6"><title>{escape(row.label)}, {escape(target)}:'
                     f' {dot.median:.3f} ({dot.low:.2f} to {dot.high:.2f})</title></circle>')
    return lines


def _panel(panel: Panel, targets: list[str], scale: _Scale, bottom: float) -> list[str]:
    one = scale.across(1.0)
    better = (scale.left, one) if panel.better_low else (one, scale.right)
    lines = [f'<rect class="better" x="{better[0]:.1f}" y="{_TOP}" width="{better[1] - better[0]:.1f}"'
             f' height="{bottom - _TOP:.1f}"/>',
             f'<text x="{scale.left:.1f}" y="{_TOP - 8}" font-weight="600">{escape(panel.title)}</text>']
    for tick in scale.ticks():
        place, kind = scale.across(tick), "one" if tick == 1 else "grid"
        lines.append(f'<path class="{kind}" d="M{place:.1f} {_TOP}V{bottom:.1f}"/>'
                     f'<text x="{place:.1f}" y="{bottom + 14:.1f}" text-anchor="middle"'
                     f' font-size="10">{tick:g}</text>')
    for index, row in enumerate(panel.rows):
        lines += _dots(row, targets, scale, _row_top(index, targets))
    return lines


def _row_top(index: int, targets: list[str]) -> float:
    return _TOP + _ROW_GAP / 2 + index * (_LINE * len(targets) + _ROW_GAP)


def _legend(targets: list[str], reference: str, at: float) -> list[str]:
    lines = []
    for number, target in enumerate(targets):
        lines.append(f'<circle class="t{number}" stroke="none" cx="{at + 4:.1f}" cy="22" r="4"/>'
                     f'<text x="{at + 13:.1f}" y="26">{escape(target)}</text>')
        at += 30 + 6.6 * len(target)
    lines.append(f'<path class="one" d="M{at:.1f} 22h16"/><text x="{at + 22:.1f}" y="26">'
                 f'{escape(reference)} = 1</text>')
    return lines


def picture(title: str, panels: list[Panel], reference: str) -> str:
    """The panels side by side; all have the same rows."""
    names = {name for panel in panels for row in panel.rows for name in row.dots}
    targets = [name for name in _COLOURS if name in names]
    targets += sorted(names - set(targets))
    labels = [row.label for row in panels[0].rows]
    bottom = _row_top(len(labels), targets) - _ROW_GAP / 2
    margin = 20 + _LETTER * max(len(label) for label in labels)
    width = (_WIDTH - margin - _RIGHT - _GAP * (len(panels) - 1)) / len(panels)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom + 26:.0f}"'
             ' role="img" aria-labelledby="title" font-family="system-ui, sans-serif"'
             f' font-size="12"><title id="title">{escape(title)}</title>', _style(targets),
             f'<rect class="page" width="{_WIDTH}" height="{bottom + 26:.0f}"/>',
             *_legend(targets, reference, margin)]
    for index, label in enumerate(labels):
        top = _row_top(index, targets)
        lines.append(f'<text x="{margin - 10:.1f}" y="{top + _LINE * len(targets) / 2 + 4:.1f}"'
                     f' text-anchor="end">{escape(label)}</text>'
                     f'<path class="grid" d="M8 {top - _ROW_GAP / 2:.1f}H{_WIDTH - _RIGHT}"/>')
    for index, panel in enumerate(panels):
        left = margin + index * (width + _GAP)
        lines += _panel(panel, targets, _Scale(*panel.range(), left, left + width), bottom)
    return "\n".join([*lines, "</svg>", ""])

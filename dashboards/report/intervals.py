"""Values with their intervals: a row a family of policies, a mark for each comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from dashboards.report.look import Looks, figure
from dashboards.report.page import Figure, shown
from dashboards.report.ranges import usual
from sweeps.judging.savings import ALL

FADING = (1.0, 0.65, 0.42)
"""Opacity of a family's marks, from the strictest comparison to the mildest."""


class Mark(NamedTuple):
    """A family's value in one comparison, its interval, and what it says when pointed at."""

    family: str
    value: float
    low: float | None
    high: float | None
    which: str
    text: str


def intervals(marks: Sequence[Mark], looks: Looks, x: dict[str, Any], factor: float) -> Figure:
    """The plot. factor: by which values are multiplied."""
    rows = sorted(dict.fromkeys(mark.family for mark in marks), key=looks.rank)
    which = list(dict.fromkeys(mark.which for mark in marks))
    data = [
        _drawn(mark, rows.index(mark.family), which.index(mark.which), looks, factor)
        for mark in marks
    ]
    y = {
        "tickvals": list(range(len(rows))),
        "ticktext": ["<b>all policies</b>" if name == ALL else looks.name(name) for name in rows],
        "range": [len(rows) - 0.4, -0.6],
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
    }
    across = {"zeroline": True, "zerolinewidth": 2, **x, "range": _span(marks, factor)}
    legend = [_entry(name, place) for place, name in enumerate(which)]
    return figure([*data, *legend], across, y, 150 + 40 * len(rows))


def _drawn(mark: Mark, row: int, place: int, looks: Looks, factor: float) -> dict[str, Any]:
    low, high = (mark.value if end is None else end for end in (mark.low, mark.high))
    plain = {"symbol": "circle", "size": 11}
    return {
        "x": [factor * mark.value],
        "y": [row + 0.24 * (place - 1)],
        "marker": plain if mark.family == ALL else looks.marker(mark.family, 10),
        "opacity": FADING[place],
        "mode": "markers",
        "hoverinfo": "text",
        "hovertext": [mark.text],
        "showlegend": False,
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [factor * (high - mark.value)],
            "arrayminus": [factor * (mark.value - low)],
            "thickness": 1.5,
            "width": 3,
        },
    }


def _entry(name: str, place: int) -> dict[str, Any]:
    """A line of the legend: which comparison has which shade."""
    return {
        "x": [None],  # without any point plotly leaves it out of the legend
        "y": [None],
        "mode": "markers",
        "name": shown(name),
        "marker": {"size": 10, "symbol": "circle"},
        "opacity": FADING[place],
        "hoverinfo": "skip",
    }


def _span(marks: Sequence[Mark], factor: float) -> list[float]:
    """From the lowest to the highest interval, and 0; what is far below is left out."""
    near = usual([mark.value for mark in marks]) or (-math.inf, math.inf)
    ends = [0.0]
    for mark in marks:
        if mark.value >= near[0]:
            ends += [end for end in (mark.value, mark.low, mark.high) if end is not None]
    room = 0.06 * max(max(ends) - min(ends), 0.001)
    return [factor * (min(ends) - room), factor * (max(ends) + room)]

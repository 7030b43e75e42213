"""The results of the searches as tables to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.output import table
from benchmarks.search.judging import Quartiles

Found = Mapping[str, Mapping[str, Any]]


def report(content: Mapping[str, Any]) -> str:
    """All tables, each under its question."""
    searches: Found = content["searches"]
    stopping: Found = content["early_stopping"]
    parts = [
        "The share of the table's hypervolume, median and quartiles, by trials of the study",
        shares(searches),
        "What it costs, and what random's last share costs the others",
        costs(searches),
    ]
    if stopping:
        parts += [
            "Early stopping, against the same search without it: hours saved and share lost at\n"
            "equal trials, share gained at equal hours",
            stops(stopping),
        ]
    return "\n\n".join(parts)


def shares(searches: Found) -> str:
    """One row a search, a column for each number of trials."""
    numbers = list(next(iter(searches.values()))["share_at"])
    rows = [
        [name, *(spread(found["share_at"][number], "{:.3f}") for number in numbers)]
        for name, found in searches.items()
    ]
    return table(["search", *(f"{number} trials" for number in numbers)], rows)


def costs(searches: Found) -> str:
    """One row a search."""
    header = ["search", "settings", "trainings", "hours", "to random's share", "reached", "ratio"]
    rows = [
        [
            name,
            middle(found["settings"], "{:.0f}"),
            middle(found["trainings"], "{:.0f}"),
            spread(found["hours"], "{:.3f}"),
            spread(found["hours_to_random"], "{:.3f}"),
            f"{found['reached_random']}",
            "" if name == "random" else _shown(found["of_random"], "{:.2f}"),
        ]
        for name, found in searches.items()
    ]
    return table(header, rows)


def stops(stopping: Found) -> str:
    """One row a search that stops early."""
    header = "search saved lost gained settings paused of_front its_paused".split()
    rows = [
        [
            name,
            spread(found["saved"], "{:.0%}"),
            spread(found["lost"], "{:.3f}"),
            spread(found["gained"], "{:.3f}"),
            middle(found["settings"], "{:.0f}"),
            spread(found["paused"], "{:.0f}"),
            spread(found["met"], "{:.0f}"),
            spread(found["missed"], "{:.0f}"),
        ]
        for name, found in stopping.items()
    ]
    return table(header, rows)


def spread(values: Quartiles, style: str) -> str:
    """The median, and from the lower to the upper quartile."""
    low, _, high = (_shown(value, style) for value in values)
    return f"{middle(values, style)} ({low}..{high})"


def middle(values: Quartiles, style: str) -> str:
    """The median."""
    return _shown(values[1], style)


def _shown(value: float | None, style: str) -> str:
    return "never" if value is None else style.format(value)

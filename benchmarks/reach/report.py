"""The rows as figures of each suite and as tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.output import table

Row = dict[str, Any]

ENOUGH_REACH = 0.99


def summary(rows: Sequence[Row]) -> dict[str, Row]:
    """Figures by suite.

    exact: of those that work. refused: that cannot be cut, and were refused with the true reason.
    """
    suites = dict.fromkeys(row["suite"] for row in rows)
    return {suite: _of([row for row in rows if row["suite"] == suite]) for suite in suites}


def _of(rows: Sequence[Row]) -> Row:
    working = [row["ours"] for row in rows if row["ours"]["works"]]
    macs = [ours["macs"] for ours in working if "macs" in ours]
    ratios = [row["to_base"] for row in rows if row.get("to_base") is not None]
    return {
        "networks": len(rows),
        "works": len(working),
        "exact": sum(bool(ours.get("exact")) for ours in working),
        "refused": sum(truly_refused(row) for row in rows),
        "reach99": sum(ours.get("reach", 0) >= ENOUGH_REACH for ours in working),
        "median_macs": median(macs) if macs else None,
        "trace_cpu_ratio_to_base": median(ratios) if ratios else None,
        "torch_pruning_works": _count(rows, "torch_pruning", "works"),
        "torch_pruning_exact": _count(rows, "torch_pruning", "exact"),
        "torch_pruning_by_hand_works": _count(rows, "by_hand", "works"),
        "torch_pruning_by_hand_exact": _count(rows, "by_hand", "exact"),
    }


def _count(rows: Sequence[Row], way: str, what: str) -> int:
    done = [row[way] for row in rows if way in row]
    return sum(bool(one["works"] and one.get(what)) for one in done)


def truly_refused(row: Row) -> bool:
    """Whether a network that cannot be cut was refused in words that say why."""
    ours, pattern = row["ours"], row["ours"].get("should", "")
    return bool(pattern and ours.get("refused") and re.search(pattern, ours["reason"]))


def as_table(rows: Sequence[Row]) -> str:
    """A line a network, a line each for what misses, and the figures of the suites."""
    header = [
        "network",
        "works",
        "exact",
        "reach",
        "MACs",
        "CPU s",
        "MiB",
        "Torch-Pruning",
        "by hand",
    ]
    lines = [_line(row) for row in rows]
    missing = [f"{row['suite']} {row['name']}: {miss}" for row in rows if (miss := _miss(row))]
    figures = summary(rows)
    names = list(next(iter(figures.values()), {}))
    by_suite = [[name, *(_shown(of[name]) for of in figures.values())] for name in names]
    parts = [table(header, lines), "\n".join(missing), table(["", *figures], by_suite)]
    return "\n\n".join(part for part in parts if part)


def _line(row: Row) -> list[str]:
    ours = row["ours"]
    works = "refused" if truly_refused(row) else "yes" if ours["works"] else _failed(ours)
    exact = "" if "exact" not in ours else f"{ours['worst']:.0e}" if ours["exact"] else "NO"
    return [
        f"{row['suite']} {row['name']}",
        works,
        exact,
        *(_shown(ours.get(name)) for name in ("reach", "macs", "cpu_seconds", "peak_mib")),
        _other(row.get("torch_pruning")),
        _other(row.get("by_hand")),
    ]


def _failed(ours: Row) -> str:
    """Refused in words that are not the true ones, or ended by an error that is no answer."""
    return "no" if ours.get("refused") else "raises"


def _other(found: Row | None) -> str:
    if found is None:
        return ""
    return "no" if not found["works"] else "exact" if found.get("exact") else "wrong"


def _miss(row: Row) -> str:
    ours = row["ours"]
    if truly_refused(row):
        return ""
    if ours["reason"]:
        return str(ours["reason"])
    if ours.get("reach", 1) < ENOUGH_REACH:
        some = ", ".join(f"{name}: {why}" for name, why in list(ours["why"].items())[:2])
        out = ", ".join(ours["out_of_reach"][:2])
        return f"reaches {ours['reach']:.0%}; {out} ...; {some}"
    return ""


def _shown(value: float | int | None) -> str:
    if value is None:
        return ""
    return (
        f"{value:,}"
        if isinstance(value, int)
        else f"{value:.2f}"
        if value < 100
        else f"{value:.0f}"
    )

"""What a plot shows at first: what lies far off does not squeeze the rest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from dashboards.report.data import Group
from sweeps.results.rows import mean


def usual(values: Sequence[float], least: float = 0.005) -> tuple[float, float] | None:
    """The range of what is not far off; None if nothing is.

    Far off: below the lower quartile by more than four times the distance of the quartiles, which
    counts as ``least`` where it is smaller.
    """
    found = [value for value in values if math.isfinite(value)]
    if len(found) < 4:
        return None
    low, high = np.percentile(found, [25, 75])
    near = [value for value in found if value >= low - 4 * max(high - low, least)]
    if len(near) == len(found):
        return None
    room = 0.12 * max(max(near) - min(near), least)
    return min(near) - room, max(near) + room


def near(groups: Sequence[Group], ways: Mapping[str, str]) -> list[Group]:
    """Dense, and the settings that are not far worse than the others in any column.

    ways: columns of the results, each to ``max`` or ``min``.
    """
    found = list(groups)
    for name, way in ways.items():
        sign = 1 if way == "max" else -1
        largest = max((abs(mean(group, name)) for group in groups), default=0.0)
        least = 0.005 if name.lower().endswith("accuracy") else 0.02 * largest
        if usually := usual([sign * mean(group, name) for group in groups], least):
            found = [
                group
                for group in found
                if group[0]["policy"] == "dense" or sign * mean(group, name) >= usually[0]
            ]
    return found


def span(groups: Sequence[Group], name: str, scale: float = 1.0) -> list[float]:
    """From the least to the most of all seeds, with some room, but none below zero."""
    values = [scale * row[name] for group in groups for row in group]
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or (
        0.02 if name.lower().endswith("accuracy") else 0.1 * abs(high) or 1.0
    )
    return [max(0.0, low - room) if low >= 0 else low - room, high + room]

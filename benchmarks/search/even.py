"""Seconds without what else the machine did: an epoch takes what its like take on average.

The line of training is the one that ``benchmarks.speed epochs`` measures with turns: of networks
that were trained at different hours, the seconds as they are tell of the hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from sweeps.judging.front import Floats
from sweeps.storage.store import Stored

Place = tuple[str, int]
"""An epoch of training: the path that holds it, and its number."""

GROW = ("train", "evaluate")
"""Sections that take longer the larger the network: a straight line in its MACs. Of the others it
is the mean, where a path begins apart from all other epochs."""


def evened(epochs: Mapping[Place, Stored]) -> dict[Place, Stored]:
    """The same epochs with other seconds, by section; their sum is about what it was."""
    first: dict[str, int] = {}
    for path, epoch in epochs:
        first[path] = min(epoch, first.get(path, epoch))
    values: dict[tuple[str, bool], dict[Place, float]] = {}
    for place, stored in epochs.items():
        for section, spent in stored.record.seconds.items():
            begins = section not in GROW and first[place[0]] == place[1]
            values.setdefault((section, begins), {})[place] = spent
    even: dict[Place, dict[str, float]] = {place: {} for place in epochs}
    for (section, _), found in values.items():
        macs = np.array([epochs[place].record.costs["macs"] for place in found], dtype=float)
        taken = np.array(list(found.values()))
        smooth = _line(macs, taken) if section in GROW else np.full(len(taken), taken.mean())
        for place, value in zip(found, smooth, strict=True):
            even[place][section] = float(value)
    return {
        place: replace(stored, record=replace(stored.record, seconds=even[place], _memo={}))
        for place, stored in epochs.items()
    }


def _line(x: Floats, y: Floats) -> Floats:
    """Least squares, never falling: a larger network is not faster."""
    spread = x - x.mean()
    slope = max(0.0, float(spread @ y) / max(float(spread @ spread), 1e-300))
    line: Floats = np.maximum(y.mean() + slope * spread, y.min())
    return line

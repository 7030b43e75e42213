"""The Pareto set: what no other choice beats in every objective."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt


def pareto(points: npt.NDArray[np.float64], directions: Mapping[str, str]) -> npt.NDArray[np.bool_]:
    """Which points are not dominated.

    points: [n, objectives], in the order of ``directions`` (objective to ``max`` or ``min``).
    A point is dominated if another is at least as good in all and better in one; equal points
    stand together; a point with a value that is not a number never belongs. Returns bool [n].
    """
    signs = np.array([1.0 if way == "max" else -1.0 for way in directions.values()])
    gains = np.where(np.isnan(points), -np.inf, points * signs)
    at_least = (gains[None, :, :] >= gains[:, None, :]).all(-1)
    better = (gains[None, :, :] > gains[:, None, :]).any(-1)
    valid = np.asarray(~np.isnan(points).any(-1))
    return np.asarray(valid & ~(at_least & better).any(-1), dtype=np.bool_)

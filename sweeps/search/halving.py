"""Successive halving with several objectives: who is worth going on with after part of a training.

Trials that come to a rung, a share of the training, are compared with all that came there before by
what they have cost and reached so far. The best go on: those that nobody beats in every objective,
then those that only they beat, and so on (nondominated sorting, Deb et al. 2002), within one such
layer those that stand alone first. With one objective it is asynchronous successive halving (Li et
al. 2020), but that a trial is not stopped: it can be called back when the others turn out worse.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sweeps.file.search import EarlyStopping
from sweeps.judging.front import pareto

Points = npt.NDArray[np.float64]


class Halving:
    """Rungs, and who stands on them."""

    def __init__(self, settings: EarlyStopping, objectives: Mapping[str, str]) -> None:
        self.settings, self.objectives = settings, objectives
        self._rungs: list[dict[str, list[float]]] = [{} for _ in settings.at]
        self._kept: dict[int, set[str]] = {}  # by rung, until somebody else comes there

    def epochs(self, length: int) -> list[int]:
        """After how many epochs each rung is reached in a training of ``length`` epochs."""
        return [max(1, math.floor(share * length)) for share in self.settings.at]

    def reach(self, key: str, rung: int, values: Sequence[float]) -> None:
        """A trial has come to a rung with these values of the objectives so far."""
        self._rungs[rung][key] = list(values)
        self._kept.pop(rung, None)

    def values(self, key: str) -> list[list[float] | None]:
        """What a trial had when it came to each rung, None where it was not compared."""
        return [rung.get(key) for rung in self._rungs]

    def keeps(self, key: str) -> bool:
        """Whether a trial is among those to go on with, on the highest rung it has come to."""
        rungs = [number for number, rung in enumerate(self._rungs) if key in rung]
        return not rungs or key in self._best(rungs[-1])

    def _best(self, rung: int) -> set[str]:
        """Those of a rung to go on with."""
        if rung not in self._kept:
            known = self._rungs[rung]
            places = ranked(np.array(list(known.values())), self.objectives)
            best = places[: math.ceil(self.settings.keep * len(known))]
            keys = list(known)
            self._kept[rung] = {keys[place] for place in best}
        return self._kept[rung]


def ranked(points: Points, objectives: Mapping[str, str]) -> list[int]:
    """The numbers of the points, the best first. points: [n, objectives]."""
    left = list(range(len(points)))
    order: list[int] = []
    while left:
        best = pareto(points[left], objectives)
        layer = [number for number, is_best in zip(left, best, strict=True) if is_best] or left
        alone = crowding(points[layer])
        order += [layer[place] for place in np.argsort(-alone, kind="stable")]
        left = [number for number in left if number not in set(layer)]
    return order


def crowding(points: Points) -> npt.NDArray[np.float64]:
    """How far each point's neighbours are, infinite at the ends (Deb et al. 2002, III-B)."""
    count, objectives = points.shape
    distance = np.zeros(count)
    for column in range(objectives):
        order = np.argsort(points[:, column], kind="stable")
        values = points[order, column]
        width = values[-1] - values[0]
        distance[order[[0, -1]]] = np.inf
        if count > 2 and width > 0:
            distance[order[1:-1]] += (values[2:] - values[:-2]) / width
    return distance

"""Which units are worth keeping, by joint samples of what they will score: BEP's greedy step.

Rajpal, Zhang, Low [L structure, G detail]. The top units stay. The others are walked by falling
mean, and unit a stays if mean_i max(0, s_i[a] - thr_i) >= cost, where thr_i, sample i's B-th
largest kept value, rises with every unit that stays; B is the number of top units.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pruning.forecast.gaussian import Floats

Samples = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]
Units = npt.NDArray[np.int64]

BLOCK = 2**22
"""Numbers looked at together: 32 MB at most, however many units there are."""


def worth_keeping(samples: Samples, means: Floats, top: Mask, cost: float) -> Mask:
    """The units that stay; bool [units].

    samples: [units, S], a unit's samples side by side. means: [units]; of equals the lower number
    is walked first. top: bool [units], B >= 1 of them. cost: in the unit of saliency.

    As thresholds only rise, a unit that is not worth its cost under the first ones never is: only
    the hopeful rest is walked.
    """
    kept = top.copy()
    others = np.flatnonzero(~top)
    first = samples[top].min(axis=0)  # of B kept values the B-th largest is the least
    rows = max(1, BLOCK // samples.shape[1])
    parts = [others[start : start + rows] for start in range(0, len(others), rows)]
    gains = np.concatenate([np.zeros(0), *(gain(samples[part], first) for part in parts)])
    hopeful = others[gains >= cost]
    hopeful = hopeful[np.argsort(-means[hopeful], kind="stable")]
    thresholds = Thresholds(samples, np.flatnonzero(top), hopeful)
    for unit in hopeful:
        if gain(samples[unit], thresholds.now) >= cost:
            kept[unit] = True
            thresholds.keep(samples[unit])
    return kept


def gain(samples: Samples, thresholds: Samples) -> Floats:
    """mean_i max(0, s_i - thr_i) of samples [..., S] over thresholds [S]; [...]."""
    return np.asarray(np.maximum(samples - thresholds, 0).mean(axis=-1, dtype=np.float64))


class Thresholds:
    """Each sample's B-th largest kept value, while ever more units are kept.

    now: [S]. Kept values above what the threshold would be if all ``hopeful`` units stayed can
    never be one; the others stand in a heap, a small one, for each sample.
    """

    def __init__(self, samples: Samples, top: Units, hopeful: Units) -> None:
        self._heaps = list(_heaps(samples, top, hopeful))
        self.now = np.array([heap[0] for heap in self._heaps], dtype=samples.dtype)

    def keep(self, values: Samples) -> None:
        """One unit more is kept; its samples, [S]."""
        rising = np.flatnonzero(values > self.now)
        heaps = [self._heaps[sample] for sample in rising]
        for heap, value in zip(heaps, values[rising].tolist(), strict=True):
            heapq.heappushpop(heap, value)
        self.now[rising] = [heap[0] for heap in heaps]


def _heaps(samples: Samples, top: Units, hopeful: Units) -> Iterator[list[float]]:
    both = np.concatenate([top, hopeful])
    columns = max(1, BLOCK // len(both))
    for start in range(0, samples.shape[1], columns):
        rows = samples[both, start : start + columns].T.copy()
        highest = np.partition(rows, len(hopeful), axis=1)[:, len(hopeful)]
        for row, bound in zip(rows[:, : len(top)], highest, strict=True):
            heap: list[float] = row[row <= bound].tolist()
            heapq.heapify(heap)
            yield heap

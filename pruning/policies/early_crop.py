"""EarlyCroP: prune when the weights have done most of their moving, by gradient flow.

Rachwan et al.: Winning the Lottery Ahead of Time: Efficient Early Network Pruning, ICML 2022.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from pruning.history import History
from pruning.policies.triggered import Triggered
from pruning.saliency import AnySaliency, GradientFlow, Probe, WeightChange


class EarlyCroP(Triggered):
    """Prune when the weights move little, measured by how they moved in the first epoch.

    D_t = ||w_1 - w_t|| / ||w_1||, w_1 being the untrained weights [L]. The indicator is
    |D_t - D_{t-1}|, averaged over the last ``window`` epochs, over its first value |D_1 - D_0|,
    which is compared with those after it; pruned as soon as it is not above the threshold.

    threshold: the share of the first value, 0.4 [L]: a re-implementation reports that the authors'
    code takes 1 - ratio - 0.1, which is this at a ratio of one half; the same for all ratios here
    [G]. With a warm-up the first value is small: calibrate, or begin later with ``earliest``.
    window: 1 [G]. saliency: gradient flow, |w * H g| [C]. earliest, latest: as in EPI [G].
    The authors prune in several steps one after the other (CroP-It) and give the optimizer a new
    start; here it is one cut and training goes on as it was [G].
    """

    name: ClassVar[str] = "early_crop"
    title: ClassVar[str] = "EarlyCroP"
    paper: ClassVar[str] = "Rachwan et al., Winning the Lottery Ahead of Time, ICML 2022"
    falls: ClassVar[bool] = True

    saliency: AnySaliency = GradientFlow()
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.4
    window: Annotated[int, Field(ge=1)] = 1

    @property
    def first(self) -> int:
        """After how many epochs there is a change to compare with the first."""
        return self.window + 1

    def probes(self) -> Sequence[Probe]:
        """The saliency, and how far the weights have come."""
        return *super().probes(), WeightChange()

    def value(self, history: History, end: int) -> float | None:
        """The change of D over the last epochs, over that in the first; 0 or larger."""
        key = WeightChange().key
        missing = np.array([math.nan])
        records = history.records[: end + 1]
        return slowdown([record.probes.get(key, missing).item() for record in records], self.window)


def slowdown(distances: Sequence[float], window: int) -> float | None:
    """The mean absolute step of the last ``window`` steps after the first, over the first.

    distances: D per epoch in order, that of the untrained network first; NaN where it was not
    measured, or the network was pruned before. None where it takes one of those, while there are
    too few, and if the first step is zero.
    """
    steps = [abs(now - past) for past, now in pairwise(distances)]
    if len(steps) <= window or steps[0] == 0:
        return None
    ratio = math.fsum(steps[-window:]) / window / steps[0]
    return ratio if math.isfinite(ratio) else None

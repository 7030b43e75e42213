"""EPI, the Early Pruning Indicator: prune when the sub-network has stopped changing.

Shen, Molchanov, Yin, Alvarez: When to Prune? A Policy towards Early Structural Pruning, CVPR 2022.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from pruning.history import History, Record
from pruning.policies.base import Prune
from pruning.policies.triggered import Triggered
from pruning.structure.layout import Layout

Counts = npt.NDArray[np.int64]

PUBLISHED_THRESHOLDS = {"magnitude": 0.983, "taylor": 0.944}
"""Section 4 of the paper, for ResNet-34 and ResNet-50 and all ratios [C]."""

NARROW = 100
"""Networks with fewer units a layer on average are narrow: their counts move in coarse steps. The
paper's ResNets have 230 and more."""

NARROW_THRESHOLD = 0.9
"""Crossed in 42 of 48 trainings with 42 units a layer, by ``benchmarks.fidelity epi`` [G]; 0.94,
the default before, in 26. How well they ended differed less than seeds do."""

TELLS_NOTHING = (
    "scope: layer keeps the same share of every layer whatever is trained, so EPI is 1 from the "
    "first: rank globally, with {name: magnitude, normalize: layer} where layers are unlike"
)


class EPI(Triggered):
    """Rank all units after every epoch; prune when the layers' shares have settled.

    N_t is the sub-network of the top (1 - ratio) units after epoch t, n_t[l] its count in layer l
    [C]. Psi(A, B) = 1 - mean over layers of |n_A - n_B| / (n_A + n_B) [L]. EPI_t = mean over
    j = 1..window of Psi(N_t, N_{t-j}), the untrained network counting as history [L]. Pruned at
    the first t with EPI_t >= threshold and EPI_t >= EPI_{t-j} for j = 1..window, missing history
    passing [L]; one shot, no rewind [C].

    window: r of the paper, 5 [L]; small networks in short trainings want 3.
    threshold: 0.983 for magnitude, 0.944 for taylor [C]; no default for other saliencies. Counts
    move in coarse steps where layers are narrow: below 100 units a layer it is 0.9 by default [G].
    earliest: no cut before so many epochs were trained [G]; warm-up plus window is a good choice.
    latest: share of the training after which the cut is made in any case, with a warning [G];
    null never forces it.
    EPI sees counts, not a collapse: a layer that stands on its floor is reported as a warning, and
    so is ``scope: layer``, under which counts never move.
    """

    name: ClassVar[str] = "epi"
    title: ClassVar[str] = "EPI"
    paper: ClassVar[str] = (
        "Shen et al., When to Prune? A Policy towards Early Structural Pruning, CVPR 2022"
    )

    threshold: Annotated[float, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _threshold_is_known(self) -> EPI:
        if self.threshold is None and self.saliency.name not in PUBLISHED_THRESHOLDS:
            raise ValueError(
                f"threshold: must be given for saliency {self.saliency.name!r}; the paper has one "
                f"for {' and '.join(PUBLISHED_THRESHOLDS)} only"
            )
        return self

    def decide(self, history: History) -> Prune | None:
        """The cut, at the trigger or at ``latest``; never twice."""
        action = super().decide(history)
        if action and self.scope == "layer":
            return replace(action, warnings=(TELLS_NOTHING, *action.warnings))
        return action

    def limit(self, layout: Layout) -> float:
        """The threshold in force on a network of these layers."""
        if self.threshold is not None:
            return self.threshold
        narrow = layout.total < NARROW * len(layout.sizes)
        return NARROW_THRESHOLD if narrow else PUBLISHED_THRESHOLDS[self.saliency.name]

    def fires(self, history: History) -> bool:
        """Whether EPI is at the threshold and no smaller than it was."""
        return triggers(self.course(history), self.limit(history.layout), self.window)

    def value(self, history: History, end: int) -> float | None:
        """EPI after one record."""
        recent = history.records[max(0, end - self.window) : end + 1]
        return epi([self._counts(record, history) for record in recent], self.window)

    def _counts(self, record: Record, history: History) -> Counts | None:

        def compute(record: Record) -> Counts | None:
            kept = self.sub_network(record, history)
            return None if kept is None else history.layout.counts(kept)

        return record.remember(("counts", *self.choice), compute)


def similarity(a: Counts, b: Counts) -> float:
    """Psi(A, B) = 1 - mean over layers of |a - b| / (a + b), a layer empty in both being equal.

    a, b: units kept per layer, int [layers]. Between 0 and 1.
    """
    total = a + b
    distance = np.abs(a - b) / np.where(total == 0, 1, total)
    return 1.0 - float(distance.mean())


def epi(counts: Sequence[Counts | None], window: int) -> float | None:
    """EPI of the last of ``counts``; None while there are fewer than ``window`` before it."""
    recent = counts[-window - 1 :]
    if len(recent) <= window or any(count is None for count in recent):
        return None
    *before, now = (count for count in recent if count is not None)
    # exact: at a plateau a last bit that depends on the order would decide whether it fell
    return math.fsum(similarity(now, past) for past in before) / window


def triggers(course: Sequence[float | None], threshold: float, window: int) -> bool:
    """Whether the last value of an EPI course is at the threshold and no smaller than those before.

    course: EPI per epoch in order, None where undefined; missing values pass.
    """
    now = course[-1]
    if now is None or now < threshold:
        return False
    return all(past is None or now >= past for past in course[-window - 1 : -1])

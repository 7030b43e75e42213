"""OCSPruner's stability rule: prune when the same units stay from epoch to epoch.

Ghimire, Kil, Jeong, Park, Kim: One-Cycle Structured Pruning via Stability-Driven Subnetwork Search,
WACV 2026.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from pruning.history import History
from pruning.policies.selection import Mask
from pruning.policies.triggered import Triggered
from pruning.structure.layout import Layout


class OCSPruner(Triggered):
    """Prune when the units that would stay are those of an epoch ago, for some epochs running.

    The similarity of two sub-networks is the Jaccard index of the units they keep, |A and B| over
    |A or B|, averaged over the layers [C: authors' code]. The indicator is its mean over the last
    ``window`` pairs of consecutive epochs, the untrained network counting; pruned as soon as it is
    at the threshold. The authors' code compares epochs that lie two apart.

    threshold: 0.999 on small data, 0.98 on ImageNet [C: authors' code]. window: 3 [C: authors'
    code]. saliency: magnitude, for their group norm [G]. earliest: they begin to watch after
    5 of 300 epochs; 0 here [G]. latest: as in EPI [G].
    Only the stability rule is theirs here. Their group norms, the growing penalty that drives the
    units to go towards zero before the cut, and the budget in operations are not built; without
    the penalty the rule crosses late, or never, and ``latest`` decides.
    """

    name: ClassVar[str] = "ocspruner"
    title: ClassVar[str] = "OCSPruner"
    paper: ClassVar[str] = (
        "Ghimire et al., One-Cycle Structured Pruning via Stability-Driven Subnetwork Search, "
        "WACV 2026"
    )

    threshold: Annotated[float, Field(gt=0, le=1)] = 0.999
    window: Annotated[int, Field(ge=1)] = 3

    def value(self, history: History, end: int) -> float | None:
        """The mean similarity of the last consecutive sub-networks; between 0 and 1."""
        records = history.records[max(0, end - self.window) : end + 1]
        masks = [self.sub_network(record, history) for record in records]
        return stability([m for m in masks if m is not None], history.layout, self.window)


def jaccard(a: Mask, b: Mask, layout: Layout) -> float:
    """Mean over layers of |A and B| / |A or B|; layers that are empty in both are equal.

    a, b: the units kept, bool [units]. Between 0 and 1.
    """
    either = layout.counts(a | b)
    shared = np.where(either == 0, 1, layout.counts(a & b))
    return float(np.mean(shared / np.maximum(either, 1)))


def stability(masks: Sequence[Mask], layout: Layout, window: int) -> float | None:
    """The mean Jaccard similarity of neighbours; None while there are fewer than ``window``."""
    if len(masks) <= window:
        return None
    return math.fsum(jaccard(a, b, layout) for a, b in pairwise(masks)) / window

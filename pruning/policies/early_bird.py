"""Early-Bird: prune when the mask of the units that would stay has stopped moving.

You et al.: Drawing Early-Bird Tickets: Toward More Efficient Training of Deep Networks, ICLR 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from pruning.history import History
from pruning.policies.selection import Mask
from pruning.policies.triggered import Triggered
from pruning.saliency import AnySaliency, BatchNormScale


class EarlyBird(Triggered):
    """Keep the masks of the last epochs; prune when none is far from the newest.

    The distance of two masks is the share of all units on which they differ (Hamming, normalised)
    [C]. The indicator is the largest distance of the newest mask to the others of the window, as in
    the authors' code [C]; pruned as soon as it is not above the threshold.

    threshold: 0.1 [C]. window: masks that are compared, the newest and the untrained network's
    counting, 5 [C]. saliency: |gamma| of the batch norms, all ranked together [C]; a network
    without batch norm is refused, or given another saliency.
    earliest, latest: as in EPI [G].
    The authors may train with an L1 penalty on gamma, and train the ticket with a schedule that
    begins anew; here training goes on as it was, so that only the moment is theirs [G].
    """

    name: ClassVar[str] = "early_bird"
    title: ClassVar[str] = "Early-Bird"
    paper: ClassVar[str] = "You et al., Drawing Early-Bird Tickets, ICLR 2020"
    falls: ClassVar[bool] = True

    saliency: AnySaliency = BatchNormScale()
    threshold: Annotated[float, Field(ge=0, lt=1)] = 0.1
    window: Annotated[int, Field(ge=2)] = 5

    @property
    def first(self) -> int:
        """After how many epochs the window is full."""
        return self.window - 1

    def value(self, history: History, end: int) -> float | None:
        """The largest distance of the newest mask to the others of the window; between 0 and 1."""
        records = history.records[max(0, end + 1 - self.window) : end + 1]
        masks = [self.sub_network(record, history) for record in records]
        return farthest([mask for mask in masks if mask is not None], self.window)


def farthest(masks: Sequence[Mask], window: int) -> float | None:
    """The largest Hamming distance of the last of ``masks`` to the others, as a share of all units.

    masks: bool [units]. None while there are fewer than ``window``.
    """
    if len(masks) < window:
        return None
    *before, now = masks
    return max(float(np.mean(now != past)) for past in before)

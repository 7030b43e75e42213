"""Small from scratch: the shape another policy ended with, from new weights."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from pruning.history import History
from pruning.policies.control import Control


class SmallFromScratch(Control):
    """Layers as wide as the other policy left them, trained from the start with new weights.

    What pruning adds beyond the shape it finds is its accuracy less this one's. (Liu et al.,
    Rethinking the Value of Network Pruning, ICLR 2019.)
    """

    name: ClassVar[str] = "small_from_scratch"
    paper: ClassVar[str] = "Liu et al., Rethinking the Value of Network Pruning, ICLR 2019"

    def widths(self, history: History) -> npt.NDArray[np.int64]:
        """The other policy's, [layers]."""
        assert history.reference is not None
        return history.layout.counts(history.reference.alive)

"""Uniform: all layers narrower by the same share, at the MACs another policy ended with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from pruning.history import History
from pruning.policies.control import Control
from pruning.saliency import Probe, UniformMacs


class Uniform(Control):
    """Every layer keeps the same share of its units, trained from the start with new weights.

    The share is the one whose MACs are nearest to the other policy's. What an allocation over
    layers is worth is its accuracy less this one's.
    """

    name: ClassVar[str] = "uniform"

    def probes(self) -> Sequence[Probe]:
        """The MACs of narrower networks."""
        return (UniformMacs(),)

    def widths(self, history: History) -> npt.NDArray[np.int64]:
        """The same share of every layer, rounded, one unit at least; [layers]."""
        assert history.reference is not None
        probe = UniformMacs()
        macs = history.last.probes[probe.key]
        nearest = int(np.argmin(np.abs(macs - history.reference.costs["macs"])))
        return probe.widths(history.layout, nearest)

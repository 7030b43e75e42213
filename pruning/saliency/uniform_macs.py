"""What a network would cost with all layers narrower by the same share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from pruning.saliency.base import Probe
from pruning.structure.layout import Layout

if TYPE_CHECKING:
    from torch import Tensor

    from pruning.structure.network import Network


class UniformMacs(Probe):
    """MACs of one sample with every layer at 1/steps, 2/steps, ... 1 of its width.

    Measured once, of the untrained network; NaN afterwards.
    """

    name: ClassVar[str] = "uniform_macs"

    steps: Annotated[int, Field(ge=1)] = 64

    def widths(self, layout: Layout, step: int) -> npt.NDArray[np.int64]:
        """Units of each layer at a step from 0, the narrowest, [layers]."""
        share = (step + 1) / self.steps
        return np.maximum(1, np.rint(share * np.asarray(layout.sizes))).astype(np.int64)

    def score(self, network: Network, seed: int) -> Tensor:
        """MACs, [steps]."""
        import torch

        macs = torch.full((self.steps,), torch.nan, dtype=torch.float64)
        if network.epoch == 0 and network.alive.all():
            for step in range(self.steps):
                macs[step] = network.macs_at(self.widths(network.layout, step))
        return macs

    def check(self, network: Network) -> None:
        """Nothing is needed."""

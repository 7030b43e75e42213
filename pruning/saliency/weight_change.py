"""Weight change: how far the weights have come from where they began."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from pruning.saliency.base import Probe

if TYPE_CHECKING:
    from torch import Tensor

    from pruning.structure.network import Network


class WeightChange(Probe):
    """||w_1 - w|| / ||w_1|| over all weights together, w_1 the untrained ones [L].

    Rachwan et al. 2022, EarlyCroP. Weights are the parameters of two and more dimensions [G].
    """

    name: ClassVar[str] = "weight_change"
    needs_start: ClassVar[bool] = True

    def score(self, network: Network, seed: int) -> Tensor:
        """[1], float64; NaN once a tensor has another shape than at the start.

        Raises ValueError if nobody kept the untrained weights.
        """
        import torch

        from pruning.structure.masks import weight_tensors

        if network.start is None:
            raise ValueError("weight_change needs the untrained weights: measure it from the start")
        moved, length = [], []
        for name, weight in weight_tensors(network.model):
            first = network.start[name].to(weight.device)
            if first.shape != weight.shape:
                return torch.tensor([math.nan], dtype=torch.float64)
            moved.append((first.double() - weight.detach().double()).square().sum())
            length.append(first.double().square().sum())
        return (torch.stack(moved).sum() / torch.stack(length).sum()).sqrt().reshape(1)

    def check(self, network: Network) -> None:
        """The untrained weights are kept once the training begins."""

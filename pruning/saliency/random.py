"""Random scores: the control without which no ranking means anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from pruning.saliency.base import Saliency

if TYPE_CHECKING:
    from torch import Tensor

    from pruning.structure.network import Network


class Random(Saliency):
    """Uniform scores, fixed for life: a function of the unit, the trial's seed and ``seed``."""

    name: ClassVar[str] = "random"

    seed: int = 0

    def score(self, network: Network, seed: int) -> Tensor:
        """Scores in [0, 1); [alive units]."""
        import torch

        generator = np.random.default_rng([self.seed, seed])
        scores = generator.random(network.layout.total, dtype=np.float32)
        return torch.from_numpy(scores[network.alive])

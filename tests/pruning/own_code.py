"""A policy and a saliency as a user would write them, named by a dotted path."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from pruning.history import History
from pruning.policies import Policy, Prune
from pruning.saliency import Saliency
from pruning.structure.network import Network


class LastUnits(Policy):
    """Takes the last unit of each layer that has two or more, once."""

    name: ClassVar[str] = "last_units"
    after: int = 1

    def decide(self, history: History) -> Prune | None:
        if history.epoch != self.after:
            return None
        ends = history.layout.offsets[1:] - 1
        return Prune.of(ends[np.asarray(history.layout.sizes) > 1])


class ByNumber(Saliency):
    """The unit's number: later ones are worth more."""

    name: ClassVar[str] = "by_number"
    factor: float = 1.0

    def score(self, network: Network, seed: int) -> Tensor:
        return self.factor * torch.from_numpy(network.alive_ids).float()


not_a_policy = "something else"

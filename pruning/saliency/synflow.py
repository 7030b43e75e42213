"""SynFlow: the flow through a unit, in a network that loses its weakest units round by round."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from pruning.saliency.base import Saliency
from pruning.structure.layout import Bools, Ints

if TYPE_CHECKING:
    from torch import Tensor

    from pruning.structure.network import Network

Floats = npt.NDArray[np.float64]


class Synflow(Saliency):
    """In which round a unit goes, and behind how many of that round.

    Tanaka, Kunin, Yamins, Ganguli: Pruning neural networks without any data by iteratively
    conserving synaptic flow, NeurIPS 2020. In every round the flow |w * dR/dw| is measured anew and
    the weakest go, along an exponential schedule: after round k of n a share density^(k/n) is left
    [C], here of the units [G]. A unit's flow is the sum over the weights and biases that compute it
    [G]: all that flows through it. The last unit of a layer never goes [G].

    rounds: 100 [C]. density: the share of all units that is left in the end; ranked by their flow
    then, so that any ratio can be cut [G].
    """

    name: ClassVar[str] = "synflow"

    rounds: Annotated[int, Field(ge=1)] = 100
    density: Annotated[float, Field(gt=0, lt=1)] = 0.05

    def score(self, network: Network, seed: int) -> Tensor:
        """Rounds survived, plus the place among those of its last round in [0, 1); [alive units].

        Raises ValueError for a network with a norm that takes its statistics from its input.
        """
        import torch

        from pruning.saliency.flow import Flow

        flow = Flow(network)
        layers = network.layout.group_of[network.alive_ids]
        survived = np.zeros(len(layers))
        there = np.ones(len(layers), dtype=np.bool_)
        for done in range(self.rounds):
            left = math.ceil(self.density ** ((done + 1) / self.rounds) * len(layers))
            going = int(there.sum()) - left
            if going > 0:
                gone = spare(weakest_first(flow.through(), there), layers)[:going]
                survived[gone] = done + _places(gone)
                there[gone] = False
                flow.silence(gone)
        kept = weakest_first(flow.through(), there)
        survived[kept] = self.rounds + _places(kept)
        return torch.from_numpy(survived).float()

    def check(self, network: Network) -> None:
        """Refuse a network with a norm that takes its statistics from its input."""
        from pruning.saliency.flow import Flow

        Flow(network)


def weakest_first(flow: Floats, there: Bools) -> Ints:
    """The units that are there by rising flow; of equals the higher id first."""
    order = np.lexsort((-np.arange(len(flow)), flow))
    return order[there[order]]


def spare(order: Ints, layers: Ints) -> Ints:
    """Units from weakest to strongest without the last, the strongest, of each layer.

    layers: of all units, [units].
    """
    _, last = np.unique(layers[order][::-1], return_index=True)
    return np.delete(order, len(order) - 1 - last)


def _places(units: Ints) -> Floats:
    """0 for the first, below 1 for the last."""
    return np.arange(len(units)) / max(len(units), 1)

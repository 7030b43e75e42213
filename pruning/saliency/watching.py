"""Feature maps as a network trains, and what activation saliencies make of them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pruning.saliency.base import ActivationSaliency
from pruning.structure.network import Network
from pruning.training.meter import Meter


class Watcher:
    """Adds up the scores of feature maps over the steps of an epoch."""

    def __init__(
        self, network: Network, probes: Sequence[ActivationSaliency], meter: Meter
    ) -> None:
        raise NotImplementedError

    def take(self, key: str) -> Tensor | None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

"""A saliency: a score per unit, higher is more worth keeping."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from torch import Tensor

from pruning.settings import Settings, canonical
from pruning.structure.network import Network


class Saliency(Settings):
    """A score per unit. A new one is a subclass with a ``name`` and ``score``.

    per_step: False, ``score`` is asked once, after an epoch; True, it is asked after every
    backward pass, while the gradients are there, and the mean over the epoch counts.
    """

    name: ClassVar[str]
    per_step: ClassVar[bool] = False

    @abstractmethod
    def score(self, network: Network, seed: int) -> Tensor:
        """Scores of the units that are left, float [alive units], in order of their ids.

        Must not change weights, gradients, buffers or global random states. ``seed`` is the
        trial's. Raises ValueError where the network lacks what the score needs.
        """

    @property
    def key(self) -> str:
        """The name probes are filed under: the saliency with its settings, defaults left out."""
        changed = self.identity()
        return f"{self.name}{canonical(changed)}" if changed else self.name

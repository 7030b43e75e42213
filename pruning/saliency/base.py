"""Probes: what is measured for a policy. A saliency is a score per unit, higher is worth more."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pruning.foreign import contain
from pruning.settings import Settings, canonical
from pruning.structure.functions import KINDS, Kind

if TYPE_CHECKING:
    from torch import Tensor

    from pruning.structure.network import Network

Statistics = Literal["batch", "running"]
"""Whether batch norms go by the batch or by what they have gathered while training."""

Likelihood = Literal["mean", "sum"]
"""Of a sample: the mean over what is in it, or the sum."""


class Probe(Settings):
    """Anything measured during an epoch. A new one is a subclass with a ``name`` and ``score``.

    per_step: False, ``score`` is asked once, after an epoch; True, it is asked after every
    backward pass, while the gradients are there, and the mean over the epoch counts.
    needs_start: ``network.start``, the untrained weights, is to be kept.
    """

    name: ClassVar[str]
    per_step: ClassVar[bool] = False
    needs_start: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        contain(cls)

    @abstractmethod
    def score(self, network: Network, seed: int) -> Tensor:
        """The measurement, of any shape that is the same every time.

        Must leave weights, gradients, buffers and global random states as they were
        (``pruning.structure.aside.untouched`` sees to it). ``network.sample`` has a few batches to
        measure on, ``network.epoch`` the number of epochs trained. ``seed`` is the trial's. Raises
        ValueError where the network lacks what the probe needs.
        """

    def check(self, network: Network) -> None:
        """Raise ValueError where the network lacks what the probe needs; before anything starts.

        By default it is tried out; a probe that takes long says so itself.
        """
        if not self.per_step:
            self.score(network, seed=0)

    @property
    def key(self) -> str:
        """The name it is filed under: the probe with its settings, defaults left out."""
        changed = self.identity()
        return f"{self.name}{canonical(changed)}" if changed else self.name


class Saliency(Probe):
    """A score per unit: ``score`` returns float [alive units], in order of their ids."""


class ActivationSaliency(Saliency):
    """A score per unit from its feature map, at every step of training.

    A unit's feature maps are those of the best kind its group has (``KINDS``); where a group has
    several, as in the blocks of a residual stage, their mean counts [G].

    gradient: whether the gradient of the loss by the feature map is needed, too. kinds: those that
    count. unseen: the score of a unit that has no such feature map.
    """

    per_step: ClassVar[bool] = True
    gradient: ClassVar[bool] = False
    kinds: ClassVar[tuple[Kind, ...]] = KINDS
    unseen: ClassVar[float] = 0.0

    @abstractmethod
    def per_channel(self, activation: Tensor, gradient: Tensor | None) -> Tensor:
        """One score per channel, [channels]: a mean over the samples of the batch.

        activation, gradient: [batch, channels, positions]; positions is 1 behind a dense layer. If
        several processes train a network, each is asked for its part of the batch, and the mean of
        what they say counts.
        """

    def score(self, network: Network, seed: int) -> Tensor:
        """Not asked: the means of ``per_channel`` over steps and feature maps count."""
        raise NotImplementedError

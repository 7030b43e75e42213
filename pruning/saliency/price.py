"""What people pay for a network, as a function of its widths."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from pruning.saliency.base import Probe
from pruning.structure.layout import Ints
from pruning.structure.polynomial import evaluate

if TYPE_CHECKING:  # policies are read, and refused, without torch
    from torch import Tensor

    from pruning.structure.network import Network


class Price(Probe):
    """The cost of one dense network at any widths, measured once, before it is trained.

    A new one is a subclass with a ``name``, its ``unit`` in words, and ``table``; with ``cost``,
    too, where the table is no polynomial of ``pruning.structure.pricing``.
    """

    unit: ClassVar[str]

    @abstractmethod
    def table(self, network: Network) -> npt.NDArray[np.float64]:
        """All that ``cost`` needs to know of the dense network, of any shape.

        Raises ValueError where it has no price.
        """

    def cost(self, table: npt.NDArray[Any], widths: Ints) -> npt.NDArray[np.float64]:
        """What networks of these widths cost, [..., layers] -> [...]; never less of more units."""
        return evaluate(table, widths)

    def score(self, network: Network, seed: int) -> Tensor:
        """The table of the untrained network; nothing afterwards."""
        import torch

        if network.epoch or not network.alive.all():
            return torch.empty(0, dtype=torch.float64)
        return torch.from_numpy(self.table(network))

    def check(self, network: Network) -> None:
        """Tried out on the dense network, at any epoch."""
        self.table(network)


class Macs(Price):
    """Multiply-accumulates of one sample."""

    name: ClassVar[str] = "macs_by_width"
    unit: ClassVar[str] = "MACs"

    def table(self, network: Network) -> npt.NDArray[np.float64]:
        """A polynomial."""
        from pruning.structure import pricing

        return pricing.macs_by_width(network)


class Params(Price):
    """Parameters."""

    name: ClassVar[str] = "params_by_width"
    unit: ClassVar[str] = "parameters"

    def table(self, network: Network) -> npt.NDArray[np.float64]:
        """A polynomial."""
        from pruning.structure import pricing

        return pricing.params_by_width(network)

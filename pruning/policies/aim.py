"""Aim: how large a network is to be, in what people pay for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, PlainSerializer

from pruning.history import Record
from pruning.names import dotted_name, lookup
from pruning.saliency.price import Price
from pruning.saliency.registry import PRICES
from pruning.structure.layout import Ints, Layout

NEAR = 0.02
"""How far from what was asked is near enough: this share of it."""

_FORM = "the share of the dense network's that is left, such as {macs: 0.5}"


@dataclass(frozen=True)
class Budget:
    """An aim on one network. cost: of networks of these widths, [..., layers] -> [...]. target: in
    the same unit. whole: of the dense network.
    """

    cost: Callable[[Ints], npt.NDArray[np.float64]]
    target: float
    whole: float

    def miss(self, widths: Ints) -> npt.NDArray[np.float64]:
        """How far their cost is from the target, as a share of it; above 0 costs more."""
        return np.asarray(self.cost(widths) / self.target - 1)


@dataclass(frozen=True)
class Aim:
    """A share of what the dense network costs, to be left."""

    price: Price
    share: float

    def budget(self, untrained: Record, layout: Layout) -> Budget:
        """On a network of these layers. Raises ValueError if the price was not measured."""
        table = untrained.probes.get(self.price.key)
        if table is None or not table.size:
            raise ValueError(
                f"aim: {self.price.key} was not measured of the untrained network, which a policy "
                f"asks for by probes()"
            )
        whole = float(self.price.cost(table, np.asarray(layout.sizes)))
        return Budget(lambda widths: self.price.cost(table, widths), self.share * whole, whole)

    def __str__(self) -> str:
        return f"{dotted_name(type(self.price), PRICES)}:{self.share:g}"


def aim(given: Any) -> Any:
    """An aim from its mapping, or itself. Raises ValueError for anything else."""
    if given is None or isinstance(given, Aim):
        return given
    if not isinstance(given, dict) or len(given) != 1:
        raise ValueError(f"{given!r} is not allowed: one price is aimed at, {_FORM}")
    ((name, share),) = given.items()
    price = lookup("price", str(name), PRICES, Price)
    number = isinstance(share, int | float) and not isinstance(share, bool)
    if not (number and 0 < share < 1):
        raise ValueError(f"{given!r} is not allowed: {_FORM}, is between 0 and 1")
    return Aim(price(), float(share))


def specify(chosen: Aim | None) -> Any:
    """How an aim is written in a sweep file; the inverse of ``aim``."""
    return chosen and {dotted_name(type(chosen.price), PRICES): chosen.share}


AnyAim = Annotated[Aim | None, BeforeValidator(aim), PlainSerializer(specify)]

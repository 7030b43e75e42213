"""How wide each layer stays where the network is to cost so much: the aim's counterpart of a ratio.

Units of a layer cost alike, so the best of each stay, and what is chosen is how many. Under
``global`` and ``layer`` units go one by one, in the order in which they would for a ratio, until
the cost, which is exact at any widths, is nearest to the target.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pruning.policies.aim import NEAR, Budget
from pruning.structure.layout import Ints

FEW = 2**16
"""Choices that can all be tried."""


@dataclass(frozen=True)
class Rungs:
    """The widths that layers can have: from the least to all that is left, in steps.

    alive, least: of each layer, [layers]. multiple: what all but the last rung is one of.
    """

    alive: Ints
    least: Ints
    multiple: int

    def up(self, widths: Ints) -> Ints:
        """The lowest rungs that are no lower, [layers]."""
        return np.minimum(-(-widths // self.multiple) * self.multiple, self.alive)

    def down(self, widths: Ints) -> Ints:
        """The next rungs below, [layers]; the lowest where there is none."""
        return np.maximum((widths - 1) // self.multiple * self.multiple, self.up(self.least))

    def beside(self, widths: Ints) -> Ints:
        """The same, and with one layer a rung higher or lower, [1 + 2 layers, layers]."""
        one = np.eye(len(widths), dtype=np.int64)
        lower = np.where(one == 1, self.down(widths), widths)
        return np.concatenate([widths[None], self.up(widths + one), lower])

    def around(self, widths: Ints, reach: int) -> Ints:
        """All widths up to so many rungs away, [choices, layers]; none if they are not few."""
        options = []
        for layer, width in enumerate(widths):
            own = self.of(layer)
            at = int(np.searchsorted(own, width))
            options.append(own[max(0, at - reach) : at + reach + 1])
        if math.prod(map(len, options)) > FEW:
            return np.empty((0, len(widths)), np.int64)
        return np.stack(np.meshgrid(*options, indexing="ij"), axis=-1).reshape(-1, len(widths))

    def of(self, layer: int) -> Ints:
        """One layer's, rising."""
        lowest = self.up(self.least)[layer]
        inner = np.arange(lowest, self.alive[layer], self.multiple)
        return np.append(inner, self.alive[layer])


def in_order(rungs: Rungs, layers: Ints, budget: Budget) -> Ints:
    """Widths nearest to the target, [layers], when units go one by one.

    layers: of the units that may go, in the order in which they stay.
    """

    def at(count: int) -> Ints:
        more = np.bincount(layers[:count], minlength=len(rungs.least))
        return rungs.up(rungs.least + more)

    counts = range(len(layers) + 1)
    over = bisect_right(counts, budget.target, key=lambda count: float(budget.cost(at(count))))
    around = [at(max(over - 1, 0)), at(min(over, len(layers)))]
    found = nearest(budget, around)
    if abs(budget.miss(found)) <= NEAR:
        return found
    return mended(rungs, found, budget)


def mended(rungs: Rungs, widths: Ints, budget: Budget) -> Ints:
    """The nearest to the target that is like these widths; they themselves where they are near.

    Two layers at a time are put a rung higher or lower; where that is not enough, of few layers all
    that are ever more rungs away are tried.
    """
    widths, reach = _stepped(rungs, widths, budget), 1
    while abs(budget.miss(widths)) > NEAR and len(every := rungs.around(widths, reach)):
        widths, reach = nearest(budget, every), 2 * reach
        if reach > rungs.alive.max():
            break
    return widths


def _stepped(rungs: Rungs, widths: Ints, budget: Budget) -> Ints:
    while abs(budget.miss(widths)) > NEAR:
        single = rungs.beside(widths)
        found = nearest(budget, single)
        if abs(budget.miss(found)) > NEAR:
            found = nearest(budget, [nearest(budget, rungs.beside(one)) for one in single])
        if abs(budget.miss(found)) >= abs(budget.miss(widths)):
            break
        widths = found
    return widths


def nearest(budget: Budget, candidates: Ints | Sequence[Ints]) -> Ints:
    """Of widths [..., layers] those whose cost is nearest to the target, [layers]."""
    every = np.asarray(candidates)
    return np.asarray(every[int(np.argmin(np.abs(budget.miss(every))))])

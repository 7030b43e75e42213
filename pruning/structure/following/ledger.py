"""What a forward pass shows: which marks go together, which stay, and what reads or makes them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pruning.structure.following.equals import Equal
from pruning.structure.following.marks import Layer, Memory, pairs
from pruning.structure.layout import Ints
from pruning.structure.reasons import Reason
from pruning.structure.ties import Ties
from pruning.structure.units import Role

Axis = tuple[str, int]
"""A tensor by its name, and one of its dimensions."""

Place = tuple[str, int, int]
"""An axis, and a position on it."""

Grid = Tensor
"""Marks, int32 [rows, columns], of channels that code takes for so many rows of so many columns."""


class Ledger:
    """Filled by the rules, read by the tracer.

    Args:
        tensors: parameters and buffers by name.
        columns: whether, of the heads of a module, columns go and not whole ones.

    Attributes:
        ties: over nodes, one an entry of each axis; a mark is a node's number and one.
        roles: of each axis that something read or wrote.
        taints: nodes that stay, with the reason; what was found first comes first.
        grids: where channels were split into equal parts.
        counts: of numbers in the model's code, what each one that they count is made of.
        products: nodes that are read where no weights are.
        taken_together: nodes over which something was computed at once: a mean, a norm, a softmax.
        counted: of the same numbers all marks.
        equals: widths that its code takes for each other.
        amounts: numbers in the model's code that it computes with.
        running: the names of the modules that run, the innermost last.
        headed: modules that make products head by head.
        sized: modules whose code takes the width of one tensor for that of another.
    """

    learns = True

    def __init__(
        self, tensors: dict[str, Tensor], columns: Callable[[str], bool] | None = None
    ) -> None:
        self.ties = Ties()
        self.roles: dict[Axis, Role] = {}
        self.taints: list[tuple[Ints, Reason]] = []
        self.grids: list[Grid] = []
        self.taken_together: list[Ints] = []
        self.products: list[Ints] = []
        self.counts: dict[Any, list[list[Place]]] = {}
        self.equals: list[Equal] = []
        self.counted: dict[Any, Layer] = {}
        self.amounts: set[Any] = set()
        self.running = [""]
        self.headed: set[str] = set()
        self.sized: set[str] = set()
        self._columns = columns
        self.axes: list[Axis] = [(n, d) for n, t in tensors.items() for d in range(t.dim())]
        sizes = [tensors[name].shape[dim] for name, dim in self.axes]
        self._firsts = [0, *accumulate(sizes)]
        for axis, size in zip(self.axes, sizes, strict=True):
            self.ties.axis(axis, size)
        firsts = iter(self._firsts)
        leaves = [(t, [next(firsts) for _ in range(t.dim())]) for t in tensors.values()]
        self.memory = Memory(leaves)

    def tie(self, one: Layer, other: Layer) -> None:
        """What stands at the same place goes together."""
        first, second = pairs(one, other).numpy()
        if len(first):
            self.ties.tie(first - 1, second - 1)

    def taint(self, layers: Iterable[Layer], reason: Reason) -> None:
        """These marks stay."""
        for layer in layers:
            self.taints.append((nodes(layer), reason))

    def take_together(self, layers: Iterable[Layer]) -> None:
        """Something is computed over these marks at once, and is over those that are left."""
        self.taken_together += (nodes(layer) for layer in layers)

    def read(self, layers: Iterable[Layer]) -> None:
        """A product of two that are no weights reads these marks."""
        self.products += (nodes(layer) for layer in layers)

    def play(self, layer: Layer, role: Role) -> None:
        """The axes of weights that these marks are of are read, or written, like this."""
        for axis in self._axes_of(layer):
            if self.roles.get(axis) != "consume" and not (role == "norm" and axis in self.roles):
                self.roles[axis] = role

    def count(self, number: Any, layer: Layer) -> None:
        """A number in the model's code counts the rows of these marks, int32 [number, ...]."""
        rows = layer.reshape(len(layer), -1)
        if bool((rows != 0).any(1).all()):
            self.counted[number] = torch.unique(rows)
            self.counts[number] = [[self._place(node) for node in nodes(row)] for row in rows]

    def in_columns(self) -> bool:
        """Whether columns go of the heads of the module that runs."""
        return self._columns is not None and self._columns(self.running[-1])

    def _place(self, node: int) -> Place:
        """Axis and position of a node; position -1 if it is of no weight."""
        k = bisect_right(self._firsts, node) - 1
        return (*self.axes[k], node - self._firsts[k]) if k < len(self.axes) else ("", 0, -1)

    def hub(self, size: int) -> Layer:
        """New marks that are of no weight, to tie others to: int32 [size]."""
        found = self.ties.axis(("hub", len(self.ties)), size)
        return torch.from_numpy(found + 1).int()

    def _axes_of(self, layer: Layer) -> Sequence[Axis]:
        found = nodes(layer)
        if not len(found):
            return []
        low, high = (bisect_right(self._firsts, node) - 1 for node in (found[0], found[-1]))
        return [
            axis
            for k, axis in enumerate(self.axes[low : high + 1], low)
            if np.searchsorted(found, self._firsts[k]) < np.searchsorted(found, self._firsts[k + 1])
        ]


class Onlooker(Ledger):
    """Knows where marks lie, and forgets what else it is told: rules take time to tell."""

    learns = False

    def tie(self, one: Layer, other: Layer) -> None:
        pass

    def taint(self, layers: Iterable[Layer], reason: Reason) -> None:
        pass

    def take_together(self, layers: Iterable[Layer]) -> None:
        pass

    def read(self, layers: Iterable[Layer]) -> None:
        pass

    def play(self, layer: Layer, role: Role) -> None:
        pass


def nodes(layer: Layer) -> Ints:
    """The nodes marked in a layer, int64, ascending, each once."""
    found = torch.unique(layer)
    marks: Ints = found[found != 0].long().numpy()
    return marks - 1

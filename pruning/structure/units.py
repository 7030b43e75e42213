"""Units: the output channels of a network with everything that must go when one of them goes.

This is the description that `trace_units` writes once of the dense network, in dense numbering, and
that shrinking, optimizer slicing and saliencies work from.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from torch import Tensor

from pruning.errors import InputError
from pruning.structure.layout import Bools, Ints, Layout
from pruning.structure.reasons import Reason

Role = Literal["produce", "norm", "consume"]
ROLES: tuple[Role, ...] = ("produce", "norm", "consume")


class UntraceableError(InputError):
    """The network has no unit that could be removed; the message says why, in one line."""


@dataclass(frozen=True, eq=False)
class Slice:
    """The entries of one tensor, along one dimension, that belong to the units of one group.

    Attributes:
        tensor: state-dict name of a parameter or buffer.
        dim: the dimension of that tensor the units lie along.
        unit: int64 [k], the unit, numbered within its group, that owns each entry.
        index: int64 [k], where the entry lies along `dim`, ascending.
        role: "produce" for the weights and biases that compute the unit, "norm" for what scales or
            shifts it (batch-norm, layer scale), "consume" for those that read it.
    """

    tensor: str
    dim: int
    unit: Tensor
    index: Tensor
    role: Role


@dataclass(frozen=True, eq=False)
class Group:
    """Units that are alike: all of them lie in the same tensors. Named by its first layer.

    reason: why its units are never removed, None if they can be. together: whether something is
    computed over its units at once, as a norm. The dense network in which removed units count for
    nothing leaves them out there.
    """

    name: str
    size: int
    slices: tuple[Slice, ...]
    reason: Reason | None = None
    together: bool = False


@dataclass(frozen=True)
class Count:
    """A number that a module holds and its code takes for how many channels there are.

    module, attribute, entry: ``module.attribute``, or its entry of that number if it is a tuple or
    a list. rows: of each one that it counts in the dense network what that is made of, as (tensor,
    dim, position): one channel, or those of a head, which is there while one of them is.
    """

    module: str
    attribute: str
    entry: int | None
    rows: tuple[tuple[tuple[str, int, int], ...], ...]


@dataclass(frozen=True, eq=False)
class Units:
    """All units of a dense network, and the groups that stay.

    Attributes:
        groups: those that can be removed, in the order of the layers that compute them.
        layout: their names and sizes.
        stay: those that cannot, each with its reason.
        counts: numbers of the model's code that follow when units go.
    """

    groups: tuple[Group, ...]
    layout: Layout
    stay: tuple[Group, ...]
    counts: tuple[Count, ...] = ()

    @classmethod
    def of(cls, found: Iterable[Group], counts: tuple[Count, ...] = ()) -> Units:
        everything = tuple(found)
        groups = tuple(group for group in everything if group.reason is None)
        together = tuple(g.name for g in groups if g.together)
        layout = Layout(tuple(g.name for g in groups), tuple(g.size for g in groups), together)
        stay = tuple(g for g in everything if g.reason is not None)
        return cls(groups, layout, stay, counts)

    @property
    def taken_together(self) -> bool:
        """Whether anything is computed over units that can be removed, as a norm."""
        return bool(self.layout.together)

    @property
    def refused(self) -> dict[str, str]:
        """Group name -> why its units are never removed."""
        return {group.name: str(group.reason) for group in self.stay}

    def numbers(self, keep: Bools) -> dict[Count, int]:
        """What each number is when only the units to `keep` (bool [U]) are left."""
        if not self.counts:
            return {}
        gone = {axis: set(index[~keep[unit]].tolist()) for axis, (unit, index) in self.axes.items()}
        return {
            count: sum(
                any(at not in gone.get((tensor, dim), ()) for tensor, dim, at in row)
                for row in count.rows
            )
            for count in self.counts
        }

    @cached_property
    def axes(self) -> dict[tuple[str, int], tuple[Ints, Ints]]:
        """(tensor, dim) -> the unit ids and the dense indices of all entries owned by a unit."""
        parts: dict[tuple[str, int], list[tuple[Ints, Ints]]] = {}
        for group, offset in zip(self.groups, self.layout.offsets[:-1], strict=True):
            for s in group.slices:
                part = (offset + s.unit.numpy(), s.index.numpy())
                parts.setdefault((s.tensor, s.dim), []).append(part)
        return {
            axis: (np.concatenate([p[0] for p in part]), np.concatenate([p[1] for p in part]))
            for axis, part in parts.items()
        }

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
from pruning.structure.layout import Ints, Layout
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

    reason: why its units are never removed, None if they can be.
    """

    name: str
    size: int
    slices: tuple[Slice, ...]
    reason: Reason | None = None


@dataclass(frozen=True, eq=False)
class Units:
    """All units of a dense network, and the groups that stay.

    Attributes:
        groups: those that can be removed, in the order of the layers that compute them.
        layout: their names and sizes.
        stay: those that cannot, each with its reason.
    """

    groups: tuple[Group, ...]
    layout: Layout
    stay: tuple[Group, ...]

    @classmethod
    def of(cls, found: Iterable[Group]) -> Units:
        everything = tuple(found)
        groups = tuple(group for group in everything if group.reason is None)
        layout = Layout(tuple(g.name for g in groups), tuple(g.size for g in groups))
        return cls(groups, layout, tuple(g for g in everything if g.reason is not None))

    @property
    def refused(self) -> dict[str, str]:
        """Group name -> why its units are never removed."""
        return {group.name: str(group.reason) for group in self.stay}

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

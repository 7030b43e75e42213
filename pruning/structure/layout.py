"""The names of all units: which groups there are and how large each was in the dense network.

Pure data, without torch. The units of all groups stand in one vector of length `total`: the id of a
unit is `offsets[group] + number`, and it stays the same however many units have gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Layout:
    """Groups of units, `names[g]` with `sizes[g]` units each.

    together: names of those over whose units something is computed at once, as a LayerNorm.

    Raises:
        ValueError: names and sizes differ in number, a name comes twice, or a size is below one.
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    together: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.names) != len(self.sizes):
            raise ValueError(f"{len(self.names)} group names but {len(self.sizes)} sizes")
        if len(set(self.names)) != len(self.names):
            raise ValueError("two groups of units have the same name")
        if any(size < 1 for size in self.sizes):
            raise ValueError("a group of units is empty")

    @property
    def total(self) -> int:
        """Number of units U of the dense network."""
        return sum(self.sizes)

    @cached_property
    def offsets(self) -> Ints:
        """Where each group starts, and the end of the last: int64 [G + 1]."""
        return _frozen(np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64))

    @cached_property
    def group_of(self) -> Ints:
        """The group of each unit: int64 [U]."""
        return _frozen(np.repeat(np.arange(len(self.sizes), dtype=np.int64), self.sizes))

    def slice_of(self, name: str) -> slice:
        """Where the units of one group stand in a vector of all; KeyError if there is no such."""
        if name not in self.names:
            raise KeyError(f"no group of units {name!r}; there are {', '.join(self.names)}")
        group = self.names.index(name)
        return slice(int(self.offsets[group]), int(self.offsets[group + 1]))

    def split(self, vector: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """A vector over all units [U] as one view [size] per group."""
        if vector.shape != (self.total,):
            raise ValueError(f"expected a vector of {self.total} units, not {vector.shape}")
        return dict(zip(self.names, np.split(vector, self.offsets[1:-1]), strict=True))

    def counts(self, alive: Bools) -> Ints:
        """How many units of each group are alive: int64 [G], from bool [U]."""
        groups = self.group_of[np.asarray(alive, dtype=np.bool_)]
        return np.bincount(groups, minlength=len(self.sizes)).astype(np.int64)

    def to_json(self) -> dict[str, Any]:
        together = {"together": list(self.together)} if self.together else {}
        return {"names": list(self.names), "sizes": list(self.sizes), **together}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Layout:
        together = tuple(map(str, data.get("together", ())))
        return cls(tuple(map(str, data["names"])), tuple(map(int, data["sizes"])), together)


def _frozen(array: Ints) -> Ints:
    array.flags.writeable = False
    return array

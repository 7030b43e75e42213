"""What a network is to give for a sample: a class, a class a pixel, or values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # a task is read, and refused, without torch
    from torch import Tensor

Kind = Literal["classes", "values"]
Asked = Literal["auto", "classes", "values", "typed"]

UNLABELLED = -100
"""A pixel's label that counts for nothing, as torch's cross entropy has it."""


@dataclass(frozen=True)
class Target:
    """What a network is to give for a sample.

    shape: of a sample's target: () for a class, (height, width) for a label a pixel, (columns,) or
    (channels, height, width) for values.
    """

    kind: Kind = "classes"
    shape: tuple[int, ...] = ()

    @classmethod
    def of(cls, targets: Tensor) -> Target:
        """That of targets as ``targets_of`` gives them."""
        kind: Kind = "values" if targets.is_floating_point() else "classes"
        return cls(kind, tuple(targets.shape[1:]))

    def output(self, classes: int) -> tuple[int, ...]:
        """The shape of a network's output for a sample; () is a number for each class."""
        if self.kind == "values":
            return self.shape
        return (classes, *self.shape) if self.shape else ()


CLASSES = Target()
"""A class a sample."""

"""What a source gives, before it is split: arrays as tensors, or datasets with their transforms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from pruning.preprocessing import Preprocessing
from pruning.reading.target import CLASSES, Target

Pair = tuple[Tensor, Any]
"""Samples [n, ...] of float32, and labels as they were given."""


@dataclass(frozen=True)
class Arrays:
    """Samples and labels, with the parts the source has of its own.

    names: what each number stands for, where the source says it. notes: what the user is to know of
    how they were read, a line each. reading: what samples went through,
    None where they are as given.
    """

    train: Pair
    validation: Pair | None = None
    test: Pair | None = None
    names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    reading: Preprocessing | None = None

    def parts(self) -> dict[str, Pair]:
        """Those that are there, by the name they go by in what is said of them."""
        found = {"training": self.train, "validation": self.validation, "test": self.test}
        return {name: part for name, part in found.items() if part is not None}


@dataclass(frozen=True)
class Sets:
    """Datasets with the parts the source has of its own, and the transforms of a sample.

    label: from what a dataset has as a label to a class. check: looks at all samples as far as that
    can be afforded, before anything is trained; raises ValueError. movable: whether the changes of
    ``task.augment`` are among the transforms.
    """

    train: Dataset[Any]
    validation: Dataset[Any] | None
    test: Dataset[Any] | None
    shape: tuple[int, ...]
    classes: int
    augment: Callable[[Any], Tensor]
    prepare: Callable[[Any], Tensor]
    normalize: dict[str, list[float]] | None = None
    label: Callable[[Any], int | Tensor] = int
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    check: Callable[[], None] = lambda: None
    movable: bool = True
    target: Target = CLASSES

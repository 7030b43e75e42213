"""Labels of classes: words, numbers or one-hot rows become the numbers 0, 1, 2, ...

Numbers that are these already stay as they are. Others (1..26; 0, 1000, 2000) and words are mapped
in their order, which is said once, so a network has an output for each class that is there and no
more. What looks like values to be met rather than classes is refused, naming the setting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pruning.errors import InputError
from pruning.reading.arrays import Array, array_of
from pruning.reading.columns import column_of, one_hot
from pruning.reading.target import UNLABELLED

_FEWEST = 5
"""Numbers with holes, and fewer samples a number on average, may be a quantity."""
_CERTAIN = 20
"""Up to so many different numbers are classes, however few samples they have."""


@dataclass(frozen=True)
class Classes:
    """values: what stands for class 0, 1, ... in the source, in this order. names: of the classes,
    where they are not these numbers themselves."""

    values: Array
    names: tuple[str, ...] | None = None

    @cached_property
    def plain(self) -> bool:
        """Whether labels are the numbers of their classes already."""
        return bool(np.array_equal(self.values, np.arange(len(self.values))))

    def __len__(self) -> int:
        return len(self.values)

    def of(self, label: Any) -> int | Tensor:
        """The class of one label of a dataset, or those of its pixels. Raises ValueError."""
        if self.plain and isinstance(label, int) and 0 <= label < len(self):
            return int(label)
        found = column_of(array_of(label, "a label")[None], "a label")
        if found.ndim == 2:
            found = one_hot({"a label": found})["a label"]
        if (found.dtype.kind == "U") != (self.values.dtype.kind == "U") or len(
            np.setdiff1d(found, self.values)
        ):
            raise ValueError(f"label {label!r} is none of the {len(self)} classes to be trained")
        numbers = self.numbers(found)[0]
        return numbers if numbers.ndim else int(numbers)

    def numbers(self, labels: Array) -> Tensor:
        """int64 of the same shape."""
        found = labels if self.plain else np.searchsorted(self.values, labels)
        return torch.from_numpy(np.ascontiguousarray(found, dtype=np.int64))


def classes_of(
    parts: Mapping[str, Any], known: Sequence[str] | None = None, sure: bool = False
) -> tuple[dict[str, Tensor], Classes, tuple[str, ...]]:
    """The classes of each part, int64 [n] or, a label a pixel, [n, height, width]; and notes.

    parts: labels by their name, those of the training part first. known: names of classes by their
    number, where the source has them. sure: that numbers are classes, whatever they look like.
    Raises ValueError for what are no labels, and for labels that the training part lacks.
    """
    read = {name: column_of(values, name) for name, values in parts.items()}
    first, *rest = read
    rows = {name: labels for name, labels in read.items() if labels.ndim == 2}
    columns = read[first].shape[1] if first in rows else 0
    read |= one_hot(rows)
    for name in rest:
        _refuse_other(read, first, name)
    values = np.arange(columns) if columns else np.unique(read[first])
    if len(values) < 2:
        raise ValueError(f"{first} has one class only, {_listed(values)}; two or more are needed")
    if not columns and not sure:
        _refuse_quantity(read[first], values, first)
    for name in rest:
        strange = np.setdiff1d(read[name], values)
        if len(strange):
            raise ValueError(
                f"{name} has {_listed(strange)}, which {first} has not: nothing could learn them"
            )
    classes = Classes(values, _names(values, known))
    found = {name: classes.numbers(labels) for name, labels in read.items()}
    return found, classes, _notes(classes, first)


def pixels_of(values: Any, name: str, unlabelled: int | None) -> Tensor:
    """Labels a pixel, int64 [n, height, width, ...], each the number of its class as it is.

    unlabelled: the one that counts for nothing, which becomes UNLABELLED. Raises ValueError.
    """
    labels = array_of(values, name)
    if labels.dtype.kind in "USO":
        raise ValueError(f"{name} holds {labels.dtype.name}; labels a pixel are whole numbers")
    if labels.ndim > 3 and labels.shape[1] == 1:
        labels = labels[:, 0]
    none = np.zeros(labels.shape, np.bool_) if unlabelled is None else labels == unlabelled
    numbers = column_of(np.where(none, 0, labels).ravel(), name)
    found = np.where(none, UNLABELLED, numbers.astype(np.int64).reshape(labels.shape))
    return torch.from_numpy(np.ascontiguousarray(found))


def _refuse_other(read: Mapping[str, Array], first: str, name: str) -> None:
    one, other = read[first], read[name]
    if one.ndim != other.ndim or (one.dtype.kind == "U") != (other.dtype.kind == "U"):
        raise ValueError(
            f"{first} is {one.dtype.name} {one.shape}, {name} {other.dtype.name} {other.shape}; "
            f"all parts need labels of the same kind"
        )


def _refuse_quantity(labels: Array, values: Array, name: str) -> None:
    """Numbers with holes of which there are many, and few samples each, are a guess either way."""
    if values.dtype.kind == "U" or len(values) <= _CERTAIN:
        return
    run = values[0] in (0, 1) and int(values[-1]) - int(values[0]) == len(values) - 1
    if not run and len(labels) < _FEWEST * len(values):
        raise InputError(
            f"task.data.targets: missing; {name} has {len(values)} different numbers in "
            f"{len(labels)} samples, from {values[0]} to {values[-1]}: values to be met, or "
            f"classes with gaps? (allowed: classes, if they are)"
        )


def _names(values: Array, known: Sequence[str] | None) -> tuple[str, ...] | None:
    if values.dtype.kind == "U":
        return tuple(str(value) for value in values)
    if known is not None and int(values[-1]) < len(known):
        return tuple(str(known[int(value)]) for value in values)
    if not np.array_equal(values, np.arange(len(values))):
        return tuple(str(value) for value in values)
    return None


def _notes(classes: Classes, name: str) -> tuple[str, ...]:
    if classes.plain:
        return ()
    last = len(classes) - 1
    if classes.values.dtype.kind == "U":
        return (f"the words of {name} are classes 0 to {last}: {_listed(classes.values)}",)
    return (f"{name} has {_listed(classes.values)}: they are classes 0 to {last}",)


def _listed(values: Array) -> str:
    """Some of them: ``label 3``, ``labels 1, 2, ..., 26``."""
    shown = [repr(str(one)) if values.dtype.kind == "U" else str(one) for one in values]
    if len(shown) > 5:
        shown = [*shown[:3], "...", shown[-1]]
    return f"{'label' if len(values) == 1 else 'labels'} {', '.join(shown)}"

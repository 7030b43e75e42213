"""Targets of all kinds: a class a sample, a label a pixel, or values to be met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pruning.errors import InputError
from pruning.reading.arrays import array_of
from pruning.reading.given import Pair
from pruning.reading.labels import Classes, classes_of, pixels_of
from pruning.reading.spec import DataSpec
from pruning.reading.target import UNLABELLED, Asked, Kind


def kind_of(values: Any, asked: Asked) -> Kind:
    """How targets are read; ``typed`` goes by what they are: floats are values."""
    if asked == "typed":
        return "values" if array_of(values, "targets").dtype.kind == "f" else "classes"
    return "values" if asked == "values" else "classes"


def targets_of(
    parts: Mapping[str, Pair], names: tuple[str, ...] | None, spec: DataSpec
) -> tuple[dict[str, Tensor], Classes, tuple[str, ...]]:
    """The targets of each part, the classes (none of values), and what is to be said of them.

    int64 [n] or, a label a pixel, [n, height, width]; values as float32 [n, columns] or
    [n, channels, height, width]. names: of classes by their number, where the source has them.
    Raises ValueError for what cannot be.
    """
    samples, first = next(iter(parts.values()))
    if kind_of(first, spec.targets) == "values":
        found = {name: values_of(y, name, x.ndim) for name, (x, y) in parts.items()}
        return _alike(found), Classes(np.arange(0)), ()
    if maps(first, samples.ndim):
        found = {name: pixels_of(y, name, spec.unlabelled) for name, (_, y) in parts.items()}
        return _alike(found), Classes(np.arange(count_of(list(found.values()), spec))), ()
    labels = {name: y for name, (_, y) in parts.items()}
    return classes_of(labels, names, spec.targets == "classes")


def count_of(labels: Sequence[Tensor], spec: DataSpec) -> int:
    """How many classes labels a pixel have: one more than the largest.

    Raises InputError where most numbers up to it are no label: 255 mostly means none.
    """
    found = np.unique(torch.cat([one.flatten() for one in labels]).numpy())
    there = found[found != UNLABELLED].tolist()
    if not there:
        raise ValueError(f"{spec.source!r} has no label at all")
    if spec.targets != "classes" and there[-1] + 1 >= 2 * max(2, len(there)):
        shown = ", ".join(map(str, there[:3] + ["..."] * (len(there) > 4) + there[3:][-1:]))
        raise InputError(
            f"task.data.unlabelled: missing; labels a pixel are {shown}: is {there[-1]} no label? "
            f"(allowed: {there[-1]}, if it is none; or targets: classes, and all numbers up to it "
            "are classes)"
        )
    return int(there[-1]) + 1


def maps(labels: Any, samples: int) -> bool:
    """Whether these are labels a pixel: [n, height, width], or [n, 1, height, width].

    samples: how many dimensions the samples have, [n, channels, height, width] being four.
    """
    shape = array_of(labels, "labels").shape
    return samples > 3 and len(shape) - (len(shape) == samples and shape[1] == 1) == samples - 1


def values_of(values: Any, name: str, samples: int | None = None) -> Tensor:
    """Values to be met, float32 [n, columns] or [n, channels, height, width].

    A vector becomes [n, 1], and maps [n, height, width] become [n, 1, height, width] where samples
    have four dimensions. samples: how many dimensions they have, [n, ...]. Raises ValueError.
    """
    given = array_of(values, name)
    if given.dtype.kind not in "fiub" or given.dtype.itemsize > 8:
        raise ValueError(f"{name} holds {given.dtype.name}; values to be met are numbers")
    found = torch.from_numpy(np.ascontiguousarray(given, dtype=np.float32))
    if count := int((~torch.isfinite(found)).sum()):
        raise ValueError(f"{name}: targets hold {count} values that are not finite")
    return found.unsqueeze(1) if found.ndim == 1 or (found.ndim == 3 and samples == 4) else found


def target_of(value: Any, kind: Kind, unlabelled: int | None = None) -> int | Tensor:
    """The target of one sample of a dataset: a class as a number, all else as a tensor."""
    given = array_of(value, "a target")
    if kind == "values":
        return values_of(given[None], "a target")[0]
    return (
        int(given.item()) if given.size == 1 else pixels_of(given[None], "a target", unlabelled)[0]
    )


def _alike(targets: dict[str, Tensor]) -> dict[str, Tensor]:
    shapes = {name: tuple(part.shape[1:]) for name, part in targets.items()}
    if len(set(shapes.values())) > 1:
        told = ", ".join(f"{name}: {shape}" for name, shape in shapes.items())
        raise ValueError(f"the parts' targets differ in shape ({told})")
    for name, part in targets.items():
        if not part.is_floating_point() and int(part.max()) == UNLABELLED:
            raise ValueError(f"{name} has no label at all")
    return targets

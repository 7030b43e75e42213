"""Samples as a source gives them, before they are split: as tensors, or as datasets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pruning.preprocessing import Preprocessing


@dataclass(frozen=True)
class Arrays:
    """Samples [n, ...] and labels [n], with the parts the source has of its own.

    reading: how samples were made of what was given; None where they are as given.
    """

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor] | None = None
    test: tuple[Tensor, Tensor] | None = None
    reading: Preprocessing | None = None


@dataclass(frozen=True)
class Sets:
    """Datasets with the parts the source has of its own, and the transforms of a sample."""

    train: Dataset[Any]
    validation: Dataset[Any] | None
    test: Dataset[Any] | None
    shape: tuple[int, ...]
    classes: int
    augment: Callable[[Any], Tensor]
    prepare: Callable[[Any], Tensor]
    normalize: dict[str, list[float]] | None = None


def tensor_of(values: Any) -> Tensor:
    """A tensor of what was given as an array."""
    return values if isinstance(values, Tensor) else torch.from_numpy(np.ascontiguousarray(values))


def reading_of(values: Any) -> Preprocessing:
    """How samples given like these are read: [n, features] or [n, channels, height, width]."""
    array = tensor_of(values)
    given = shape = tuple(array.shape[1:])
    order: tuple[int, ...] = ()
    if array.ndim == 3:
        shape = (1, *given)
    elif array.ndim == 4 and given[-1] in (1, 3) and given[0] not in (1, 3):
        order, shape = (0, 3, 1, 2), (given[2], *given[:2])
    scale = 255.0 if array.dtype == torch.uint8 else 1.0
    dtype = str(array.dtype).removeprefix("torch.")
    return Preprocessing(dtype=dtype, given=given, scale=scale, order=order, shape=shape)


def samples_of(values: Any) -> Tensor:
    """float32 [n, features] or [n, channels, height, width]; bytes become fractions."""
    return reading_of(values).arranged(tensor_of(values))


def labels_of(values: Any) -> Tensor:
    """int64 [n]."""
    array = values if isinstance(values, Tensor) else torch.from_numpy(np.asarray(values))
    return array.long().flatten()

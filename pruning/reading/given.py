"""Samples as a source gives them, before they are split: as tensors, or as datasets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset


@dataclass(frozen=True)
class Arrays:
    """Samples [n, ...] and labels [n], with the parts the source has of its own."""

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor] | None = None
    test: tuple[Tensor, Tensor] | None = None


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


def samples_of(values: Any) -> Tensor:
    """float32 [n, features] or [n, channels, height, width]; bytes become fractions."""
    array = values if isinstance(values, Tensor) else torch.from_numpy(np.ascontiguousarray(values))
    scaled = array.float() / 255 if array.dtype == torch.uint8 else array.float()
    if scaled.ndim == 3:
        return scaled.unsqueeze(1)
    if scaled.ndim == 4 and scaled.shape[-1] in (1, 3) and scaled.shape[1] not in (1, 3):
        return scaled.permute(0, 3, 1, 2).contiguous()
    return scaled


def labels_of(values: Any) -> Tensor:
    """int64 [n]."""
    array = values if isinstance(values, Tensor) else torch.from_numpy(np.asarray(values))
    return array.long().flatten()

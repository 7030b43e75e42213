"""Targets read: classes, one a sample or a label a pixel, or values to be met."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pruning.training.target import UNLABELLED, Asked, Kind


def kind_of(values: Any, asked: Asked) -> Kind:
    """How targets are read; ``typed`` goes by what they are: floats are values."""
    if asked == "typed":
        return "values" if _tensor(values).is_floating_point() else "classes"
    return "values" if asked == "values" else "classes"


def targets_of(
    values: Any, kind: Kind, samples: int | None = None, unlabelled: int | None = None
) -> Tensor:
    """Classes as int64 [n] or, a label a pixel, [n, height, width]; values as float32 [n, columns].

    A vector of values becomes [n, 1], and maps [n, height, width] become [n, 1, height, width]
    where samples have four dimensions. samples: how many dimensions they have, [n, ...].
    unlabelled: a label that means none. Raises ValueError for values that are not finite.
    """
    found = _tensor(values)
    if kind == "classes":
        return _classes(found.long(), unlabelled)
    if count := int((~torch.isfinite(found)).sum()):
        raise ValueError(f"targets hold {count} values that are not finite")
    found = found.float()
    if found.ndim == 1 or (found.ndim == 3 and samples == 4):
        return found.unsqueeze(1)
    return found


def _classes(labels: Tensor, unlabelled: int | None) -> Tensor:
    if labels.ndim == 4 and labels.shape[1] == 1:
        labels = labels.squeeze(1)
    if labels.ndim < 3:
        return labels.flatten()
    return labels if unlabelled is None else labels.masked_fill(labels == unlabelled, UNLABELLED)


def target_of(value: Any, kind: Kind, unlabelled: int | None = None) -> int | Tensor:
    """The target of one sample: a class as a number, all else as a tensor."""
    if kind == "classes" and _tensor(value).numel() == 1:
        return int(value)
    return targets_of(_tensor(value)[None], kind, unlabelled=unlabelled)[0]


def _tensor(values: Any) -> Tensor:
    return values if isinstance(values, Tensor) else torch.from_numpy(np.asarray(values))

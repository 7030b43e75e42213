"""Parts of one set are alike: what is trained on and what is judged by are on one scale.

Pictures stored as bytes for training and as floats up to 255 for testing would make a test of
pictures 255 times too bright, and an accuracy that looks like any other.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from pruning.reading.arrays import Array

_APART = 5.0
"""Means so many standard deviations apart, or deviations so many times as large, are of two
scales. It is asked of features by their median, as one of them may well differ."""
_FEW = 100
"""Of fewer values a deviation says too little."""
_BELOW = 0.1
"""A share of pixels: where so many are below zero, pictures were shifted, as to -1..1."""


def refuse_unlike(raw: Mapping[str, Array], samples: Mapping[str, Tensor]) -> None:
    """Raises ValueError for a part that differs from the first in shape, kind or range."""
    first, *rest = raw
    for name in rest:
        one, other = raw[first], raw[name]
        if one.shape[1:] != other.shape[1:]:
            raise ValueError(
                f"{first} has samples of the shape {one.shape[1:]}, {name} of {other.shape[1:]}; "
                f"all parts need the same"
            )
        if (one.dtype == np.uint8) != (other.dtype == np.uint8):
            raise ValueError(
                f"{first} is of {one.dtype.name}, {name} of {other.dtype.name}; bytes are read as "
                f"fractions of 255, so all parts need the same kind"
            )
        if one.dtype != np.uint8 and (how := _unlike(samples[first], samples[name])):
            raise ValueError(
                f"{first} has {_range(samples[first])}, {name} {_range(samples[name])}: they are "
                f"{how}; all parts need the same scale"
            )


def _range(samples: Tensor) -> str:
    return f"values from {float(samples.min()):.4g} to {float(samples.max()):.4g}"


def _unlike(one: Tensor, other: Tensor) -> str:
    """How their scales differ, "" where they do not."""
    dims = (0,) if one.ndim == 2 else tuple(range(one.ndim))
    deviation = _deviation(one, dims)
    if float(deviation.median()) == 0 or other.numel() < _FEW:
        return ""
    below, others_below = (float((part < 0).float().mean()) for part in (one, other))
    if one.ndim > 2 and min(below, others_below) == 0 and max(below, others_below) > _BELOW:
        return "fractions here and around zero there, or the other way round"
    shift = ((other.double().mean(dims) - one.double().mean(dims)).abs() / deviation).median()
    times = (_deviation(other, dims) / deviation).median()
    if float(shift) > _APART:
        return f"{float(shift):.0f} standard deviations apart"
    if not 1 / _APART <= float(times) <= _APART:
        return f"spread {float(times):.2g} times as wide there"
    return ""


def _deviation(samples: Tensor, dims: tuple[int, ...]) -> Tensor:
    return samples.double().std(dims, correction=0)

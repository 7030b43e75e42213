"""Arrays of samples: numbers only, all of them finite, bytes as fractions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, np.dtype[Any]]

_NO_NUMBERS = {"c": "complex numbers", "M": "dates", "m": "spans of time", "U": "text"}
_NO_NUMBERS |= {"S": "text", "V": "records of several fields", "O": "Python objects"}


def array_of(values: Any, name: str) -> Array:
    """What was given as a numpy array. Raises ValueError for what is none, or hides values."""
    if isinstance(values, Tensor):
        try:
            values = values.detach().cpu()
            return np.asarray(values.float() if values.dtype == torch.bfloat16 else values)
        except Exception:  # sparse, quantized, without memory: each in its own way
            kind = f"{values.layout}, {values.dtype}, on {values.device}"
            raise ValueError(f"{name} is a tensor ({kind}) that is no array of numbers") from None
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(f"{name} has masked values; give them a number, or leave them out")
    try:
        return np.asarray(values)
    except Exception:  # lists of unequal lengths, and whatever objects of others do
        raise ValueError(f"{name} is no array: its rows differ in length or kind") from None


def samples_of(values: Any, name: str) -> Tensor:
    """float32 of the same shape; bytes become fractions of 255.

    Raises ValueError for what are no numbers, for no samples, and for values that are not finite:
    one of them makes every weight of a network so.
    """
    array = array_of(values, name)
    if array.dtype.kind in _NO_NUMBERS or array.dtype.itemsize > 8:
        kind = _NO_NUMBERS.get(array.dtype.kind, "numbers of more than 64 bits")
        raise ValueError(
            f"{name} holds {kind} ({array.dtype.name}); samples are whole or floating-point "
            f"numbers of up to 64 bits"
        )
    if array.ndim < 2 or not array.size:
        _refuse_empty(array, name)
    with np.errstate(over="ignore", invalid="ignore"):
        found = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    _refuse_endless(found, name)
    return found / 255 if array.dtype == np.uint8 else found


def _refuse_empty(array: Array, name: str) -> None:
    if array.ndim and not len(array):
        raise ValueError(f"{name} has no samples: its shape is {array.shape}")
    if array.ndim < 2:
        raise ValueError(
            f"{name} has the shape {array.shape}: a number a sample; its first axis is to count "
            f"samples, and others what they hold (features: [n, 1] or more)"
        )
    raise ValueError(f"{name} has the shape {array.shape}: samples with nothing in them")


def _refuse_endless(samples: Tensor, name: str) -> None:
    wrong = ~torch.isfinite(samples)
    if count := int(wrong.sum()):
        first = wrong.flatten().nonzero()[0, 0]
        place = [int(one) for one in np.unravel_index(int(first), samples.shape)]
        value = float(samples.flatten()[first])
        values = "a value that is" if count == 1 else f"{count:,} values that are"
        raise ValueError(
            f"{name} has {values} not finite (as float32), the first ({value}) at {place}; "
            f"fill them in or leave their samples out"
        )

"""Which axis of an array is what: seen from its shape where only one reading makes sense.

What could be read in two ways is refused, naming ``task.data.layout``, which decides it.
"""

from __future__ import annotations

from torch import Tensor

from pruning.errors import InputError
from pruning.preprocessing import Preprocessing
from pruning.reading.arrays import Array
from pruning.reading.spec import Layout

Shape = tuple[int, ...]

_COLOURS = (1, 3)
_MANY = 16
"""Channels are at most so many, and half as many as pixels in a row, if nothing else tells them."""
_LONG = 4
"""A picture of floats that is so many times as long as it is high could be a series."""


def layout_of(shape: Shape, in_bytes: bool, name: str) -> Layout:
    """The layout of samples of this shape (without their number). Raises InputError."""
    if len(shape) == 1:
        return "features"
    found = _flat_picture(shape, in_bytes) if len(shape) == 2 else _picture(shape)
    if found is None:
        raise _ambiguous(shape, name)
    return found


def arranged(samples: Tensor, layout: Layout, name: str) -> Tensor:
    """[n, features], [n, channels, length] or [n, channels, height, width]; of films with a third
    axis of place after the channels. Raises InputError if they cannot be what is said."""
    axes = samples.ndim - 1
    if layout == "features":
        return samples.flatten(1)
    if layout == "series" and axes <= 2:
        return samples.unsqueeze(1) if axes == 1 else samples
    if layout == "series" or axes == 1:
        raise InputError(
            f"task.data.layout: {layout!r} is not allowed: samples of {name} have the shape "
            f"{tuple(samples.shape[1:])}"
        )
    if axes == 2:
        return samples.unsqueeze(1)
    return samples.movedim(-1, 1).contiguous() if layout == "hwc" else samples


def reading_of(array: Array, layout: Layout, arranged: Tensor) -> Preprocessing:
    """What ``arranged`` samples went through that were given in an array like this."""
    axes = tuple(range(1, array.ndim))
    moved = layout == "hwc" and len(axes) > 2
    return Preprocessing(
        dtype=array.dtype.name,
        given=array.shape[1:],
        scale=255.0 if array.dtype.name == "uint8" else 1.0,
        order=(0, axes[-1], *axes[:-1]) if moved else (),
        shape=tuple(arranged.shape[1:]),
    )


def _flat_picture(shape: Shape, in_bytes: bool) -> Layout | None:
    """Two axes: a picture in grey, if it is not a series of some channels."""
    if 1 in shape:
        return None
    return "chw" if in_bytes or max(shape) <= _LONG * min(shape) else None


def _picture(shape: Shape) -> Layout | None:
    """Three axes or more: colours and squares tell which one are the channels, or small numbers."""
    if set(shape) == {1}:
        return "chw"
    first = shape[0] in _COLOURS or _square(shape[1:], shape[0])
    last = shape[-1] in _COLOURS or _square(shape[:-1], shape[-1])
    if not first and not last:
        first, last = _few(shape[0], shape[1:]), _few(shape[-1], shape[:-1])
    if first == last:
        return None
    return "chw" if first else "hwc"


def _square(sides: Shape, channels: int) -> bool:
    return len(set(sides)) == 1 and sides[0] != channels


def _few(channels: int, sides: Shape) -> bool:
    return channels <= min(_MANY, min(sides) // 2)


def _ambiguous(shape: Shape, name: str) -> InputError:
    two = {2: "series (channels, length), or chw: pictures in grey (height, width)"}
    allowed = two.get(len(shape), "chw (channels first) or hwc (channels last)")
    return InputError(
        f"task.data.layout: missing; samples of {name} have the shape {shape}, which can be read "
        f"in more than one way (allowed: {allowed}, or features)"
    )

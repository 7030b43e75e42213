"""Means over channels in the dense network, taken over those that the cut one has.

Removing a unit in front of a norm means that the norm does not count it. The two networks make the
same calls in the same order; where a call of the cut one has fewer entries along a dimension, those
that it has are looked up in the dense tensor by value. Where they are not there, nothing is left
out, and the networks will differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Dims = int | tuple[int, ...] | None


class Seen(NamedTuple):
    """A call: the function's name and the tensor it got."""

    name: str
    tensor: Tensor


class _Part(NamedTuple):
    """The entries of a tensor that count: a mask that broadcasts to it."""

    x: Tensor
    mask: Tensor

    def mean(self, values: Tensor, dims: Dims, keepdim: bool) -> Tensor:
        along = tuple(range(self.x.dim())) if dims is None else dims
        total = (values * self.mask).sum(along, keepdim=keepdim)
        return total / self.number(along, keepdim)

    def number(self, dims: Dims, keepdim: bool) -> Tensor:
        return self.mask.expand(self.x.shape).sum(dims, keepdim=keepdim).clamp(min=1)

    def variance(self, dims: Dims, keepdim: bool) -> tuple[Tensor, Tensor]:
        """Biased, and the mean."""
        mean = self.mean(self.x, dims, True)
        variance = self.mean((self.x - mean).square(), dims, keepdim)
        return variance, self.mean(self.x, dims, keepdim)


def _mean(part: _Part, dim: Dims = None, keepdim: bool = False, **_: Any) -> Tensor:
    return part.mean(part.x, dim, keepdim)


def _var_mean(
    part: _Part,
    dim: Dims = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    less = float(unbiased) if correction is None else correction
    variance, mean = part.variance(dim, keepdim)
    count = part.number(tuple(range(part.x.dim())) if dim is None else dim, keepdim)
    return variance * count / (count - less).clamp(min=1e-3), mean


def _var(part: _Part, *args: Any, **kwargs: Any) -> Tensor:
    return _var_mean(part, *args, **kwargs)[0]


def _std(part: _Part, *args: Any, **kwargs: Any) -> Tensor:
    return _var(part, *args, **kwargs).sqrt()


def _softmax(part: _Part, dim: int, **_: Any) -> Tensor:
    return torch.softmax(part.x.masked_fill(part.mask == 0, -torch.inf), dim).nan_to_num(0)


def _conv(part: _Part, *args: Any, **kwargs: Any) -> Tensor:
    """Over those that count as if they were neighbours, where channels lie in a row."""
    along = part.x.dim() - part.mask.dim()
    if along < 2:
        return functional.conv1d(part.x, *args, **kwargs)
    places = part.mask.flatten().nonzero().flatten()
    out = functional.conv1d(part.x.index_select(along, places), *args, **kwargs)
    shape = [*out.shape[:along], part.x.shape[along], *out.shape[along + 1 :]]
    return out.new_zeros(shape).index_copy(along, places, out)


def _batch_norm(
    part: _Part,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Of a weight that is standardized by it, [1, out, ...]."""
    along = (0, *range(2, part.x.dim()))
    variance, mean = part.variance(along, True)
    shape = (-1, *[1] * (part.x.dim() - 2))
    return _affine(
        (part.x - mean) / (variance + eps).sqrt(),
        None if weight is None else weight.view(shape),
        None if bias is None else bias.view(shape),
    )


def _layer_norm(
    part: _Part,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    variance, mean = part.variance(tuple(range(-len(normalized_shape), 0)), True)
    return _affine((part.x - mean) / (variance + eps).sqrt(), weight, bias)


def _rms_norm(
    part: _Part,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    size = torch.finfo(part.x.dtype).eps if eps is None else eps
    square = part.mean(part.x.square(), tuple(range(-len(normalized_shape), 0)), True)
    return _affine(part.x / (square + size).sqrt(), weight, None)


def _group_norm(
    part: _Part,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    x = part.x
    split = (num_groups, x.shape[1] // num_groups)
    mask = part.mask.reshape(1, *split, *[1] * (x.dim() - 2))
    grouped = _Part(x.reshape(len(x), *split, *x.shape[2:]), mask)
    variance, mean = grouped.variance(tuple(range(2, x.dim() + 1)), True)
    normed = ((grouped.x - mean) / (variance + eps).sqrt()).flatten(1, 2)
    shape = (-1, *[1] * (x.dim() - 2))
    return _affine(
        normed,
        None if weight is None else weight.view(shape),
        None if bias is None else bias.view(shape),
    )


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


_MEANS: dict[Any, Callable[..., Any]] = {
    torch.mean: _mean,
    Tensor.mean: _mean,
    torch.var: _var,
    Tensor.var: _var,
    torch.std: _std,
    Tensor.std: _std,
    torch.var_mean: _var_mean,
    functional.softmax: _softmax,
    torch.softmax: _softmax,
    Tensor.softmax: _softmax,
    functional.conv1d: _conv,
    functional.batch_norm: _batch_norm,
    functional.layer_norm: _layer_norm,
    functional.rms_norm: _rms_norm,
    torch.rms_norm: _rms_norm,
    functional.group_norm: _group_norm,
}


class LeftOut(TorchFunctionMode):
    """Notes the calls of a cut network, or, given those, leaves out in the dense one.

    left_out: the functions in which something was.
    """

    def __init__(self, seen: Sequence[Seen] | None) -> None:
        super().__init__()
        self.seen: list[Seen] = []
        self._others = None if seen is None else iter(seen)
        self._named: dict[str, None] = {}

    @property
    def left_out(self) -> tuple[str, ...]:
        return tuple(self._named)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = dict(kwargs or {})
        if _counts(func, args, given):
            name, x = func.__name__, args[0]
            if self._others is None:
                self.seen.append(Seen(name, x.detach()))
            elif (mask := self._mask(name, x)) is not None:
                given.pop("dtype", None)
                part = _MEANS[func](_Part(x, mask), *args[1:], **given)
                if _differs(part, func(*args, **(kwargs or {}))):
                    self._named[name] = None
                    return part
        return func(*args, **(kwargs or {}))

    def _mask(self, name: str, x: Tensor) -> Tensor | None:
        assert self._others is not None
        other = next(self._others, None)
        if other is None or other.name != name or other.tensor.dim() != x.dim():
            return None
        unlike = [d for d in range(x.dim()) if x.shape[d] != other.tensor.shape[d]]
        if len(unlike) == 1:
            return _found(x.detach(), other.tensor, unlike[0])
        return _among(x.detach(), other.tensor, unlike) if unlike else None


def _counts(func: Any, args: Sequence[Any], kwargs: Any) -> bool:
    """Whether a call takes channels together."""
    if func is functional.batch_norm and (len(args) < 2 or args[1] is not None):
        return False
    return func in _MEANS and bool(args) and isinstance(args[0], Tensor)


def _differs(one: Any, other: Any) -> bool:
    if isinstance(one, tuple):
        return any(_differs(a, b) for a, b in zip(one, other, strict=True))
    return not torch.allclose(one, other, rtol=1e-9, atol=0)


def _among(x: Tensor, part: Tensor, dims: Sequence[int]) -> Tensor | None:
    """As ``_found``, along several dimensions, along all but one of which the others are zero."""
    mask, left = torch.ones((), dtype=x.dtype), []
    for dim in dims:
        filled = x.movedim(dim, 0).flatten(1).any(1)
        if int(filled.sum()) == part.shape[dim]:
            x = x.index_select(dim, filled.nonzero().flatten())
            mask = mask * filled.view(-1, *[1] * (x.dim() - dim - 1)).to(x.dtype)
        else:
            left.append(dim)
    if left:
        last = _found(x, part, left[0]) if len(left) == 1 else None
        return None if last is None else mask * last
    return mask if torch.allclose(x, part, rtol=1e-6) else None


def _found(x: Tensor, part: Tensor, dim: int) -> Tensor | None:
    """Which slices of ``x`` along a dimension are those of ``part``, in their order."""
    rows, wanted = (t.movedim(dim, 0).flatten(1).double() for t in (x, part))
    rng = torch.Generator().manual_seed(5)
    draw = torch.randn(rows.shape[1], generator=rng, dtype=torch.float64)
    sums, due = (rows @ draw).tolist(), (wanted @ draw).tolist()
    near = 1e-9 if x.dtype == torch.float64 else 1e-4
    scale = near * max(1e-30, *map(abs, due)) if due else near
    mask = torch.zeros(len(sums), dtype=x.dtype)
    place = 0
    for row, value in enumerate(sums):
        if place < len(due) and abs(value - due[place]) <= scale:
            mask[row], place = 1, place + 1
    return mask.view(-1, *[1] * (x.dim() - dim - 1)) if place == len(due) else None

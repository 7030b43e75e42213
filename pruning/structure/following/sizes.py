"""Torch's functions as code calls them, with the numbers that it gives them.

Operations show sizes, but not where the code has them from: this is seen one floor higher.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pruning.structure.following.marks import Layer, Memory
from pruning.structure.following.numbers import Book, Number, Size
from pruning.structure.functions import plain_name

_VIEWS = frozenset("view reshape unflatten".split())
_SPLITS = frozenset("split split_with_sizes".split())
_SHAPES = _VIEWS | _SPLITS | frozenset("getitem narrow layer_norm channel_shuffle".split())


class Sizes(TorchFunctionMode):
    """Sizes that code reads off tensors know of which they are."""

    def __init__(self, book: Book, memory: Memory) -> None:
        super().__init__()
        self.book, self._memory = book, memory

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        out = self.called(func, args, kwargs)
        if type(out) is torch.Size and self._memory.knows(args[0]):
            return torch.Size([self._size(args[0], dim, n) for dim, n in enumerate(out)])
        if type(out) is int and plain_name(func) == "size" and self._memory.knows(args[0]):
            dim = args[1] if len(args) > 1 else kwargs["dim"]
            return self._size(args[0], dim, out)
        return out

    def called(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Any) -> Any:
        """What a function gives."""
        return func(*args, **kwargs)

    def _size(self, tensor: Tensor, dim: int, size: int) -> int:
        return Size.of(tensor, dim, self.book) if size > 1 else size


def rows_of(size: Size, memory: Memory) -> list[Layer]:
    """The marks of the tensor that a size is of, int32 [its entries along the dimension, ...]."""
    found = (layer.movedim(size.dim, 0) for layer in memory.layers(size.tensor))
    return [rows.reshape(len(rows), -1) for rows in found if len(rows) > 1]


def counted(
    memory: Memory, func: Callable[..., Any], args: Sequence[Any], kwargs: Any, out: Any
) -> Iterator[tuple[Number, Layer]]:
    """The numbers given to a function, with the marks of what they count, int32 [number, ...]."""
    name = plain_name(func)
    if name not in _SHAPES or not args or not isinstance(args[0], Tensor):
        return
    for number, tensor, dim in _places(name, args, kwargs, out):
        if isinstance(number, Number) and tensor.shape[dim] == number:
            for layer in memory.layers(tensor):
                if layer.shape[dim] > 1:
                    yield number, layer.movedim(dim, 0)
    groups = [*args[1:], *kwargs.values()][:1]
    if name == "channel_shuffle" and isinstance(groups[0], Number):
        for layer in memory.layers(args[0]):
            if layer.shape[1] > 1:
                yield groups[0], layer.transpose(0, 1).reshape(int(groups[0]), -1)


def _places(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any
) -> Iterator[tuple[Any, Tensor, int]]:
    """Each number, and the tensor and the dimension whose size it is."""
    given, rest = args[0], (*args[1:], *kwargs.values())
    if name in _VIEWS:
        dims = _flat(rest)
        if name == "unflatten":
            first = int(dims[0]) % given.dim()
            dims = [0] * first + dims[1:]
        yield from ((number, out, dim) for dim, number in enumerate(dims))
    elif name in _SPLITS:
        dim = kwargs.get("dim", args[2] if len(args) > 2 else 0)
        sizes = args[1] if len(args) > 1 else next(iter(kwargs.values()))
        many = sizes if isinstance(sizes, (list, tuple)) else [sizes]
        yield from ((number, part, dim) for number, part in zip(many, out, strict=False))
    elif name == "getitem":
        index = args[1] if isinstance(args[1], tuple) else (args[1],)
        plain = all(piece is None or isinstance(piece, slice) for piece in index)
        for dim, piece in enumerate(index) if plain and None not in index else ():
            for number in (piece.start, piece.stop) if isinstance(piece, slice) else ():
                if isinstance(number, Number) and 0 < number < given.shape[dim]:
                    yield number, given.narrow(dim, 0, int(number)), dim
    elif name == "narrow":
        yield args[3], out, args[1]
    elif name == "layer_norm":
        shape = _flat(rest[:1])
        yield from ((number, out, dim - len(shape)) for dim, number in enumerate(shape))


def _flat(values: Sequence[Any]) -> list[Any]:
    return [one for v in values for one in (v if isinstance(v, (list, tuple)) else [v])]

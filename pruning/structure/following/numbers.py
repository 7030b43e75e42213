"""Widths that a model's code keeps as numbers: ``self.heads`` in ``x.view(n, -1, self.heads)``.

While a forward pass is followed, the whole numbers that modules hold know whose they are. Where one
comes up in a shape, or as the size of a part, it counts channels, and has to follow when some go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pruning.structure.following.ledger import Ledger
from pruning.structure.following.marks import Layer
from pruning.structure.functions import plain_name

_VIEWS = frozenset("view reshape unflatten".split())
_SPLITS = frozenset("split split_with_sizes".split())
_SHAPES = _VIEWS | _SPLITS | frozenset("getitem narrow layer_norm channel_shuffle".split())


@dataclass(frozen=True)
class Owner:
    """A number that a module holds: ``module.attribute``, or one entry of a tuple or list."""

    module: str
    attribute: str
    entry: int | None = None


class Number(int):
    """A number that knows who holds it."""

    owner: Owner


class Numbers(TorchFunctionMode):
    """Notes in a ledger which numbers count which channels."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = plain_name(func)
        if name in _SHAPES and args and isinstance(args[0], Tensor):
            for number, layer in self._counted(name, args, kwargs, out):
                self._ledger.count(number.owner, layer)
        return out

    def _counted(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any
    ) -> Iterator[tuple[Number, Layer]]:
        given, rest = args[0], (*args[1:], *kwargs.values())
        if name in _VIEWS:
            dims = _flat(rest)
            if name == "unflatten":
                first = int(dims[0]) % given.dim()
                dims = [0] * first + dims[1:]
            for dim, number in enumerate(dims):
                yield from self._along(number, out, dim)
        elif name in _SPLITS:
            dim = kwargs.get("dim", args[2] if len(args) > 2 else 0)
            sizes = args[1] if len(args) > 1 else next(iter(kwargs.values()))
            many = sizes if isinstance(sizes, (list, tuple)) else [sizes]
            for number, part in zip(many, out, strict=False):
                yield from self._along(number, part, dim)
        elif name == "getitem":
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            plain = all(piece is None or isinstance(piece, slice) for piece in index)
            for dim, piece in enumerate(index) if plain and None not in index else ():
                for number in (piece.start, piece.stop) if isinstance(piece, slice) else ():
                    if isinstance(number, Number) and 0 < number < given.shape[dim]:
                        yield from self._along(number, given.narrow(dim, 0, int(number)), dim)
        elif name == "channel_shuffle" and isinstance(rest[0], Number):
            for layer in self._ledger.memory.layers(given):
                if layer.shape[1] > 1:
                    yield rest[0], layer.transpose(0, 1).reshape(int(rest[0]), -1)
        elif name == "narrow":
            yield from self._along(args[3], out, args[1])
        elif name == "layer_norm":
            for dim, number in enumerate(_flat(rest[:1])):
                yield from self._along(number, out, dim - len(_flat(rest[:1])))

    def _along(self, number: Any, tensor: Tensor, dim: int) -> Iterator[tuple[Number, Layer]]:
        """The number with the marks of what it counts."""
        if isinstance(number, Number) and tensor.shape[dim] == number:
            for layer in self._ledger.memory.layers(tensor):
                if layer.shape[dim] > 1:
                    yield number, layer.movedim(dim, 0)


@contextmanager
def owned(model: nn.Module) -> Iterator[None]:
    """The numbers of a model's modules know whose they are in here."""
    before: list[tuple[nn.Module, str, Any]] = []
    for name, module in model.named_modules():
        theirs = type(module).__module__.startswith("torch.nn.")
        if theirs and any(p is not None for p in module._parameters.values()):
            continue  # those of torch's layers are told by their weights
        for key, value in list(vars(module).items()):
            if (new := _owned(value, Owner(name, key))) is not value:
                before.append((module, key, value))
                module.__dict__[key] = new
    try:
        yield
    finally:
        for module, key, value in before:
            module.__dict__[key] = value


def _owned(value: Any, owner: Owner) -> Any:
    if type(value) is int and value > 1:
        number = Number(value)
        number.owner = owner
        return number
    if type(value) in (tuple, list) and value and all(type(one) is int for one in value):
        entries = (Owner(owner.module, owner.attribute, k) for k in range(len(value)))
        return type(value)(_owned(one, entry) for one, entry in zip(value, entries, strict=True))
    return value


def _flat(values: Sequence[Any]) -> list[Any]:
    return [one for v in values for one in (v if isinstance(v, (list, tuple)) else [v])]

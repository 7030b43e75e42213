"""Whole numbers of a model's code that know what they count.

Code says widths with numbers: those that its modules hold (``self.heads``), and those that it reads
off a tensor (``b, n, c = x.shape``). While a forward pass is followed, both know where they come
from. They stay what they are in shapes; where code computes with them as amounts, ``d ** -0.5``,
the book is asked, as a smaller network computes with fewer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import gcd
from typing import Any, Protocol

from torch import Tensor, nn


class Book(Protocol):
    """Who wants to know of amounts."""

    def amount(self, number: Number) -> int:
        """What a number is where code computes with it."""


class Number(int):
    """A number that something is known of."""

    book: Book

    def __float__(self) -> float:
        return float(self.book.amount(self))

    def __pow__(self, other: Any, modulo: Any = None) -> Any:
        if isinstance(other, float):
            return float(self) ** other
        return int.__pow__(self, other, modulo) if modulo is not None else int.__pow__(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return other / float(self)

    def __deepcopy__(self, memo: object) -> int:
        return int(self)

    def __reduce__(self) -> Any:
        return int, (int(self),)


@dataclass(frozen=True)
class Owner:
    """A number that a module holds: ``module.attribute``, or one entry of a tuple or list."""

    module: str
    attribute: str
    entry: int | None = None


class Owned(Number):
    """A number that a module holds, so many times."""

    owner: Owner
    times = 1

    @classmethod
    def of(cls, number: int, owner: Owner, book: Book, times: int = 1) -> Owned:
        """``times * number``."""
        found = cls(number * times)
        found.owner, found.book, found.times = owner, book, times
        return found

    def __mul__(self, other: Any) -> Any:
        if type(other) is int and other > 0:
            return Owned.of(int(self) // self.times, self.owner, self.book, self.times * other)
        return int.__mul__(self, other)

    __rmul__ = __mul__


class Size(Number):
    """The size of a tensor along a dimension, or so many times or parts of it."""

    tensor: Tensor
    dim: int
    times = 1
    parts = 1

    @classmethod
    def of(cls, tensor: Tensor, dim: int, book: Book) -> Size:
        """That of a tensor."""
        found = cls(tensor.shape[dim])
        found.tensor, found.dim, found.book = tensor, dim, book
        return found

    def _as(self, times: int, parts: int) -> Size:
        found = Size(int(self) * times // parts)
        found.tensor, found.dim, found.book = self.tensor, self.dim, self.book
        times, parts = self.times * times, self.parts * parts
        found.times, found.parts = times // gcd(times, parts), parts // gcd(times, parts)
        return found

    def __floordiv__(self, other: Any) -> Any:
        if isinstance(other, int) and other > 0 and int(self) % other == 0:
            return self._as(1, int(other))
        return int.__floordiv__(self, other)

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, int) and other > 0:
            return self._as(int(other), 1)
        return int.__mul__(self, other)

    __rmul__ = __mul__


@contextmanager
def owned(model: nn.Module, book: Book) -> Iterator[None]:
    """The numbers of a model's modules know whose they are in here."""
    before: list[tuple[nn.Module, str, Any]] = []
    for name, module in model.named_modules():
        theirs = type(module).__module__.startswith("torch.nn.")
        if theirs and any(p is not None for p in module._parameters.values()):
            continue  # those of torch's layers are told by their weights
        for key, value in list(vars(module).items()):
            if (new := _owned(value, Owner(name, key), book)) is not value:
                before.append((module, key, value))
                module.__dict__[key] = new
    try:
        yield
    finally:
        for module, key, value in before:
            module.__dict__[key] = value


def _owned(value: Any, owner: Owner, book: Book) -> Any:
    if type(value) is int and value > 1:
        return Owned.of(value, owner, book)
    if type(value) in (tuple, list) and value and all(type(one) is int for one in value):
        entries = (Owner(owner.module, owner.attribute, k) for k in range(len(value)))
        both = zip(value, entries, strict=True)
        return type(value)(_owned(one, entry, book) for one, entry in both)
    return value

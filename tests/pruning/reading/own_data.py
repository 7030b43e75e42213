"""Functions that users might write: right ones, and ones that do whatever code may do."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from pruning.errors import InputError


class Made(Dataset[Any]):
    """Samples of one shape with labels 0, 1, 0, ...; change: what is given in place of one."""

    def __init__(self, count: int = 20, first: int = 0, **change: Any) -> None:
        self.count, self.first = count, first
        self.change = {int(key.removeprefix("at_")): value for key, value in change.items()}

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        if index in self.change:
            found = self.change[index]
            if isinstance(found, BaseException):
                raise found
            return found
        return torch.full((1, 6, 6), float(index)), self.first + index % 2


def sample(value: float = 0.0, shape: tuple[int, ...] = (1, 6, 6)) -> Tensor:
    return torch.full(shape, value)


class Scaled(Made):
    """Pictures with values from 0 to `top`, of a kind."""

    def __init__(self, top: float, kind: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.top, self.kind = top, kind

    def __getitem__(self, index: int) -> Any:
        values = torch.linspace(0, self.top, 36).reshape(1, 6, 6)
        return values.roll(index, 2).to(self.kind), index % 2


def bytes_and_floats() -> Any:
    return Scaled(1), Scaled(1), Scaled(255, torch.uint8)


def fractions_and_255() -> Any:
    return Scaled(1), Scaled(1), Scaled(255)


class Words(Made):
    def __getitem__(self, index: int) -> Any:
        return sample(), ("cat", "dog")[index % 2]


class Named(Made):
    classes = ("a", "b", "c")


class Listed(Made):
    """Has its labels in a list, and is too long to be looked at one by one."""

    def __init__(self) -> None:
        super().__init__(100_000)
        self.targets = [index % 5 for index in range(100_000)]
        self.seen = 0

    def __getitem__(self, index: int) -> Any:
        self.seen += 1
        return sample(), self.targets[index]


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter([])


class NoLength(Made):
    def __len__(self) -> int:
        raise SystemExit(0)


GOOD = Made()
PARTS: dict[str, Any] = {
    "empty": Made(0),
    "shapes": Made(at_7=(sample(shape=(1, 7, 6)), 1)),
    "raises": Made(at_3=OSError("truncated file")),
    "exits": Made(at_3=SystemExit(0)),
    "interrupts": Made(at_19=KeyboardInterrupt()),
    "endless_recursion": Made(at_3=RecursionError("too deep")),
    "negative": Made(at_4=(sample(), -1)),
    "more": Made(at_4=(sample(), 10)),
    "fraction": Made(at_4=(sample(), 0.5)),
    "nan": Made(at_4=(sample(float("nan")), 0)),
    "complex": Made(at_4=(sample().to(torch.complex64), 0)),
    "text": Made(at_0=("a picture", 0)),
    "triple": Made(at_4=(sample(), 0, 0)),
    "alone": Made(at_4=sample()),
    "number": 3,
    "loader": DataLoader(GOOD),
    "iterable": Endless(),
    "no_length": NoLength(),
}


def parts(train: str = "good", validation: str = "good", test: str = "good") -> Any:
    return tuple(PARTS.get(name, GOOD) for name in (train, validation, test))


def words() -> Any:
    return Words(), Words(), Words()


def from_one() -> list[Any]:
    return [Made(first=1), Made(first=1), None]


def named() -> Any:
    return Named(), Named(), Named()


def listed() -> Any:
    return Listed(), Listed(), Listed()


def in_bytes() -> Any:
    pixels = torch.full((1, 6, 6), 255, dtype=torch.uint8)
    whole = Made(**{f"at_{index}": (pixels, index % 2) for index in range(20)})
    return whole, whole, whole


def arrays(**changes: Any) -> dict[str, Any]:
    return {"x": np.random.default_rng(0).random((30, 4)), "y": np.arange(30) % 3, **changes}


def exits(code: int = 0) -> None:
    sys.exit(code)


def interrupts() -> None:
    raise KeyboardInterrupt


def recurses() -> None:
    recurses()


def several_lines() -> None:
    raise ValueError("first\nsecond\n" + "long " * 200)


def refuses() -> None:
    raise InputError("my.field: what is wrong")


def nothing() -> None:
    pass


def two() -> Any:
    return GOOD, GOOD


def untested() -> Any:
    return GOOD, None, GOOD


def untrained() -> Any:
    return None, GOOD, GOOD


def endless() -> Any:
    return Made(10**12), GOOD, GOOD


def unlisted() -> Any:
    return Made(10**8), GOOD, GOOD


class TargetsExit(Made):
    @property
    def targets(self) -> Any:
        sys.exit(0)


def targets_exit() -> Any:
    return TargetsExit(), GOOD, GOOD


class ClassesRaise(Made):
    @property
    def classes(self) -> Any:
        raise RuntimeError("no classes")


def classes_raise() -> Any:
    return ClassesRaise(), GOOD, GOOD


class NoArrays(Mapping[str, Any]):
    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[str]:
        return iter("xy")

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError("no array")


class Exiting(NoArrays):
    def __iter__(self) -> Iterator[str]:
        sys.exit(0)


def mapping_raises() -> Any:
    return NoArrays()


def mapping_exits() -> Any:
    return Exiting()


async def later() -> Any:
    return GOOD, GOOD, GOOD

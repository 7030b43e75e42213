"""Policies that break the contract, each in one way."""

from __future__ import annotations

import random
import time
from collections.abc import Hashable, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field, PrivateAttr

from pruning import AtEpoch, History, Magnitude, Mask, OneShot, Policy, Probe, Prune

LAST = [39]


class Cuts(Policy):
    """Takes the last unit after an epoch, and keeps the contract."""

    name: ClassVar[str] = "cuts"
    after: int = 2

    def decide(self, history: History) -> Any:
        return Prune.of(LAST) if history.epoch == self.after else None


class Dice(Cuts):
    name: ClassVar[str] = "dice"
    of: str = "numpy"

    def decide(self, history: History) -> Any:
        draw = {"numpy": np.random.rand, "random": random.random, "torch": lambda: torch.rand(1)}
        return Prune.of([int(draw[self.of]() * 40)]) if history.epoch == self.after else None


class Idle(Dice):
    """Draws, and makes no use of it."""

    name: ClassVar[str] = "idle"

    def decide(self, history: History) -> Any:
        super().decide(history)
        return None


class Counts(Cuts):
    """Cuts when it is asked for the fourth time."""

    name: ClassVar[str] = "counts"
    _asked: int = PrivateAttr(0)

    def decide(self, history: History) -> Any:
        self._asked += 1
        return Prune.of(LAST) if self._asked == 4 else None


class Remembers(Cuts):
    """Cuts late, if it was there early."""

    name: ClassVar[str] = "remembers"
    _seen: set[int] = PrivateAttr(default_factory=set)

    def decide(self, history: History) -> Any:
        self._seen.add(history.epoch)
        return Prune.of(LAST) if history.epoch == 6 and 1 in self._seen else None


class Once(Cuts):
    """Cuts until a training has come to its end."""

    name: ClassVar[str] = "once"
    ended: ClassVar[list[int]] = []

    def decide(self, history: History) -> Any:
        return None if self.ended else super().decide(history)

    def indicator(self, history: History) -> float | None:
        if history.epoch == history.epochs:
            self.ended.append(history.epoch)
        return None


class Peeks(Cuts):
    """Cuts if somebody else had measured what it did not ask for."""

    name: ClassVar[str] = "peeks"

    def probes(self) -> Sequence[Probe]:
        return (Magnitude(),)

    def asks(self, epoch: int, epochs: int, acted: bool) -> bool:
        return epoch < self.after

    def decide(self, history: History) -> Any:
        return super().decide(history) if history.last.probes else None


class Impatient(Cuts):
    name: ClassVar[str] = "impatient"

    def decide(self, history: History) -> Any:
        return Prune.of(LAST) if time.time() < 1e9 else None


class Dated(Cuts):
    name: ClassVar[str] = "dated"

    def indicator(self, history: History) -> float | None:
        return float(datetime.now().year < 1999)


class WholeLayer(Cuts):
    name: ClassVar[str] = "whole_layer"

    def decide(self, history: History) -> Any:
        return Prune.of(range(8)) if history.epoch == self.after else None


class NoFloor(Cuts):
    """Ranks all units together and leaves no layer its last."""

    name: ClassVar[str] = "no_floor"

    def probes(self) -> Sequence[Probe]:
        return (Magnitude(),)

    def decide(self, history: History) -> Any:
        scores = history.last.probes["magnitude"]
        return Prune.of(np.argsort(scores)[:12]) if history.epoch == self.after else None


class Twice(Cuts):
    name: ClassVar[str] = "twice"

    def decide(self, history: History) -> Any:
        return Prune.of(LAST) if history.epoch >= self.after else None


class Beyond(Cuts):
    name: ClassVar[str] = "beyond"

    def decide(self, history: History) -> Any:
        return Prune.of([40]) if history.epoch == self.after else None


class Unordered(Cuts):
    name: ClassVar[str] = "unordered"

    def decide(self, history: History) -> Any:
        return Prune((39, 3)) if history.epoch == self.after else None


class NumpyUnits(Cuts):
    name: ClassVar[str] = "numpy_units"

    def decide(self, history: History) -> Any:
        return Prune(tuple(np.array(LAST))) if history.epoch == self.after else None


class Nothing(Cuts):
    name: ClassVar[str] = "nothing"

    def decide(self, history: History) -> Any:
        return Prune(()) if history.epoch == self.after else None


class TooMany(Cuts):
    name: ClassVar[str] = "too_many"
    ratio: float = 0.1

    def decide(self, history: History) -> Any:
        return Prune.of(range(1, 7)) if history.epoch == self.after else None


class TooSparse(Cuts):
    name: ClassVar[str] = "too_sparse"
    sparsity: float = 0.2

    def decide(self, history: History) -> Any:
        return Mask(0.5) if history.epoch == self.after else None


class Writes(Cuts):
    """Ranks in place."""

    name: ClassVar[str] = "writes"

    def probes(self) -> Sequence[Probe]:
        return (Magnitude(),)

    def decide(self, history: History) -> Any:
        history.last.probes["magnitude"].sort()
        return super().decide(history)


class Lossy(Cuts):
    name: ClassVar[str] = "lossy"
    after: int = Field(2, exclude=True)


class Fixed(Cuts):
    name: ClassVar[str] = "fixed"

    @classmethod
    def parse(cls, data: Any, prefix: str = "") -> Any:
        return cls.model_construct(**{key: data[key] for key in data if key == "after"})


class Slow(Cuts):
    name: ClassVar[str] = "slow"

    def decide(self, history: History) -> Any:
        began = sum(range(20 * history.layout.total))
        return super().decide(history) if began else None


class Hungry(Cuts):
    name: ClassVar[str] = "hungry"

    def decide(self, history: History) -> Any:
        return super().decide(history) if np.ones((history.layout.total, 2500)).all() else None


class Early(Cuts):
    name: ClassVar[str] = "early"

    def first_action(self, epochs: int) -> tuple[int, int]:
        return 3, epochs


class Never(Cuts):
    name: ClassVar[str] = "never"

    def first_action(self, epochs: int) -> None:
        return None


class Beside(Cuts):
    name: ClassVar[str] = "beside"

    def first_action(self, epochs: int) -> tuple[int, int]:
        return 0, 20


class SameKey(AtEpoch):
    """Forgets that the ratio matters."""

    name: ClassVar[str] = "same_key"

    def action_key(self) -> Hashable:
        return "same"


class ListKey(Cuts):
    name: ClassVar[str] = "list_key"

    def action_key(self) -> Any:
        return [self.after]


class Picky(Cuts):
    name: ClassVar[str] = "picky"

    def check(self, epochs: int) -> None:
        if epochs < 3:
            raise KeyError(epochs)


class Refuses(Cuts):
    name: ClassVar[str] = "refuses"

    def check(self, epochs: int) -> None:
        raise ValueError("after: never")


class Raises(Cuts):
    name: ClassVar[str] = "raises"

    def decide(self, history: History) -> Any:
        if history.epoch == self.after:
            raise LookupError("no\nidea")
        return None


class Units(Cuts):
    name: ClassVar[str] = "units"

    def decide(self, history: History) -> Any:
        return LAST


class Single(Cuts):
    name: ClassVar[str] = "single"

    def indicator(self, history: History) -> Any:
        return np.float32(1)


class Undefined(Cuts):
    name: ClassVar[str] = "undefined"

    def indicator(self, history: History) -> Any:
        return float("nan")


class Nameless(Policy):
    def decide(self, history: History) -> Any:
        return None


class Strict(OneShot):
    """Whatever has no defaults that fit."""

    name: ClassVar[str] = "strict"
    ratio: Annotated[float, Field(gt=0, lt=1)] = 2.0

    def decide(self, history: History) -> Any:
        return None

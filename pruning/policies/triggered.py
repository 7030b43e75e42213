"""Triggered: one cut, as soon as an indicator says that the time has come."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Annotated, ClassVar

from pydantic import Field

from pruning.history import History
from pruning.policies.base import Prune
from pruning.policies.one_shot import OneShot
from pruning.structure.layout import Layout


class Triggered(OneShot):
    """Watches a number, the indicator, and prunes once it crosses a threshold; never twice.

    A new one is a subclass with ``title`` (its name in warnings) and ``value``.

    threshold: that the indicator must reach, or not exceed where it ``falls``.
    window: how many epochs the indicator looks at.
    earliest: no cut before so many epochs were trained [G].
    latest: share of the training after which the cut is made in any case, with a warning [G];
    null never forces it.
    """

    title: ClassVar[str]
    falls: ClassVar[bool] = False

    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    window: Annotated[int, Field(ge=1)] = 5
    earliest: Annotated[int, Field(ge=0)] = 0
    latest: Annotated[float, Field(gt=0, le=1)] | None = 1 / 3

    @abstractmethod
    def value(self, history: History, end: int) -> float | None:
        """The indicator after record number ``end``, None where it is undefined.

        It may depend on ``window`` and on what the sub-network depends on, and on no other setting:
        policies that agree in these share it.
        """

    @property
    def first(self) -> int:
        """After how many epochs the indicator can first cross; the untrained network counts."""
        return self.window

    def limit(self, layout: Layout) -> float:
        """The threshold in force on a network of these layers."""
        assert self.threshold is not None
        return self.threshold

    def decide(self, history: History) -> Prune | None:
        """The cut, at the trigger or at ``latest``; never twice."""
        if history.pruned or history.epoch < self.earliest:
            return None
        if self.fires(history):
            return self.cut(history)
        if history.epochs and self.latest and history.epoch >= self.latest * history.epochs:
            missed = "fell under" if self.falls else "reached"
            warning = (
                f"{self.title} never {missed} {self.limit(history.layout):g}: pruned after epoch "
                f"{history.epoch} because of latest={self.latest:.3g}"
            )
            return self.cut(history, [warning])
        return None

    def fires(self, history: History) -> bool:
        """Whether the indicator has crossed the threshold after the newest epoch."""
        value = self.indicator(history)
        if value is None:
            return False
        limit = self.limit(history.layout)
        return value <= limit if self.falls else value >= limit

    def indicator(self, history: History) -> float | None:
        """Its value after the newest epoch."""
        return self.course(history, 1)[-1]

    def course(self, history: History, length: int | None = None) -> list[float | None]:
        """Its values after the last ``length`` records (default window + 1), None if undefined."""
        length = self.window + 1 if length is None else length
        key = (type(self).value, self.window, *self.choice)

        def after(end: int) -> float | None:
            return history.records[end].remember(key, lambda _: self.value(history, end))

        count = len(history.records)
        return [after(end) for end in range(max(0, count - length), count)]

    def first_action(self, epochs: int) -> tuple[int, int]:
        """From the first epoch at which it can cross to ``latest``, which may come before that."""
        forced = epochs if self.latest is None else math.ceil(self.latest * epochs)
        forced = min(max(forced, self.earliest), epochs)
        return min(max(self.first, self.earliest), forced), forced

    def check(self, epochs: int) -> None:
        """Refuse a window or an ``earliest`` that leaves no epoch to prune at."""
        fields = ("window", self.window, self.first), ("earliest", self.earliest, self.earliest)
        for field, value, first in fields:
            if first >= epochs:
                raise ValueError(
                    f"{field}: {value} is not allowed: the training has {epochs} epochs "
                    f"(allowed: up to {epochs - 1 - first + value})"
                )

"""Metrics: by what the networks of a task are judged, each to be high or low."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pruning.names import is_dotted
from pruning.reading.target import UNLABELLED
from pruning.settings import Settings
from pruning.training import torchmetric

if TYPE_CHECKING:  # a task is read, and refused, without torch
    from torch import Tensor

Direction = Literal["max", "min"]
Sums = Callable[["Tensor", "Tensor"], tuple["Tensor", "Tensor"]]
"""From outputs and targets to what is added up over a split: a sum, and how many it is of."""


def right_classes(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Samples (or pixels) whose largest output is their class, among those that have one."""
    right = (output.argmax(1) == target).sum()
    return right, (target != UNLABELLED).sum()


def right_labels(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Labels, each there or not, that the sign of their logit tells."""
    right = ((output > 0) == (target > 0.5)).sum()
    return right, right.new_tensor(target.numel())


def accuracy(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The share of right classes, or of right labels."""
    return (right_labels if target.is_floating_point() else right_classes)(output, target)


def mse(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The mean squared error."""
    errors = (output.float() - target).double().square()
    return errors.sum(), errors.new_tensor(errors.numel())


def mae(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The mean absolute error."""
    errors = (output.float() - target).double().abs()
    return errors.sum(), errors.new_tensor(errors.numel())


METRICS: dict[str, tuple[Sums, Direction]] = {
    "accuracy": (accuracy, "max"),
    "mse": (mse, "min"),
    "mae": (mae, "min"),
}
LOSS = "loss"
"""The task's loss as a metric: it is measured in any case."""


class MetricSpec(Settings):
    """accuracy, mse, mae or loss; a name of torchmetrics; or ``package.module:attribute``.

    One's own is a function of the outputs and targets of a whole split (on the CPU), or has
    ``update(output, target)`` and ``compute()`` and is made with the options if it is a class.
    direction: ``max`` or ``min``, to be given where nobody else knows it. called: its name in the
    results, by default the last part of ``name``.
    """

    name: str
    direction: Direction | None = None
    options: dict[str, Any] = {}
    called: str | None = None

    @property
    def short(self) -> str:
        """Its name in the results, after ``val_`` and ``test_``."""
        return self.called or re.sub(r"\W+", "_", re.split(r"[.:]", self.name)[-1])

    @property
    def ours(self) -> bool:
        """Whether it is added up batch by batch, or the loss itself."""
        return self.name in METRICS or self.name == LOSS

    @property
    def theirs(self) -> bool:
        """Whether it is one of torchmetrics."""
        return not self.ours and torchmetric.is_name(self.name)

    def way(self) -> Direction:
        """Whether it is to be high or low. Raises ValueError for what is unknown."""
        if self.ours:
            known: Direction = "min" if self.name == LOSS else METRICS[self.name][1]
            if self.options:
                raise ValueError(f"{self.name}: takes no options")
            if self.direction not in (None, known):
                raise ValueError(f"{self.name}: {self.direction} is not allowed: it is {known}")
            return known
        if not self.theirs and not is_dotted(self.name):
            raise ValueError(torchmetric.unknown_name(self.name, {*METRICS, LOSS}))
        if self.direction is None:
            found = torchmetric.direction(self.name, self.options) if self.theirs else None
            if found is None:
                raise ValueError(f"{self.name}: direction must be given (allowed: max, min)")
            return found
        return self.direction


def as_list(given: Any) -> Any:
    """A name, a list, one mapping with ``name``, or names with their directions or settings."""
    if isinstance(given, str):
        given = [given]
    if isinstance(given, Mapping):
        given = [given] if "name" in given else [_named(*item) for item in given.items()]
    if not isinstance(given, list | tuple):
        return given
    return [{"name": one} if isinstance(one, str) else one for one in given]


def _named(name: Any, given: Any) -> Any:
    more = {"direction": given} if isinstance(given, str) else given or {}
    return {"name": name, **more}


def measured(specs: Sequence[MetricSpec]) -> dict[str, Direction]:
    """Each metric's name in the results, and whether it is to be high or low.

    Raises ValueError for names that are unknown or stand twice.
    """
    found: dict[str, Direction] = {}
    for spec in specs:
        if not re.fullmatch(r"\w+", spec.short):
            raise ValueError(f"{spec.short!r} is not allowed: letters, digits and _ make a name")
        if spec.short in found or (spec.short == LOSS and spec.name != LOSS):
            raise ValueError(f"two metrics would be called {spec.short!r}; give one a 'called'")
        found[spec.short] = spec.way()
    return found

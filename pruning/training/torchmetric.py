"""Metrics of torchmetrics, by their names: found, made for a task, and fed batch by batch.

Its import takes seconds, so only a task that names one waits for it.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Collection, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from pruning.errors import unknown
from pruning.reading.target import CLASSES, UNLABELLED, Target

if TYPE_CHECKING:  # a task is read, and refused, without torch
    import torch
    from torch import Tensor

PACKAGE = "torchmetrics"
ROOMS = ("", ".classification", ".regression", ".segmentation", ".image", ".audio")


@cache
def _known() -> dict[str, Any]:
    """Its metrics by their names; the general ones before those of its rooms."""
    base = importlib.import_module(PACKAGE).Metric
    found: dict[str, Any] = {}
    for room in ROOMS:
        module = importlib.import_module(PACKAGE + room)
        for name in module.__all__:
            kind = getattr(module, name, None)
            if inspect.isclass(kind) and issubclass(kind, base) and kind is not base:
                found.setdefault(name, kind)
    return found


def is_name(name: str) -> bool:
    """Whether torchmetrics has it: ``R2Score``, or ``torchmetrics.regression:R2Score``."""
    package, separator, _ = name.replace(":", ".").partition(".")
    return (package == PACKAGE or not separator) and _last(name) in _known()


def unknown_name(name: str, ours: Collection[str]) -> str:
    """The message for a name that neither we nor torchmetrics have."""
    text = unknown("metric", name, {*ours, *_known()}).partition(" (allowed")[0]
    allowed = f"{', '.join(sorted(ours))}, a class of torchmetrics, package.module:attribute"
    return f"{text} (allowed: {allowed})"


def direction(name: str, options: Mapping[str, Any]) -> Literal["max", "min"] | None:
    """As its class says; None where it does not."""
    higher = _kind(name).higher_is_better
    if higher is None:  # a name for several classes, by their task
        higher = _made(name, options, 2, CLASSES).higher_is_better
    return None if higher is None else "max" if higher else "min"


def make(
    name: str, options: Mapping[str, Any], outputs: int, target: Target, device: torch.device
) -> Any:
    """The metric, ready for a split; what it must know of the data and was not told is filled in.

    Raises ValueError for options that do not fit.
    """
    return _made(name, options, outputs, target).to(device)


def _kind(name: str) -> Any:
    return _known()[_last(name)]


def _last(name: str) -> str:
    return name.rpartition(":")[2].rpartition(".")[2]


def _made(name: str, options: Mapping[str, Any], outputs: int, target: Target) -> Any:
    kind = _kind(name)
    takes = inspect.signature(kind).parameters
    given = {key: part for key, part in _filled(outputs, target).items() if key in takes}
    try:
        return kind(**given | dict(options), sync_on_compute=False)
    except Exception as error:  # each complains in its own way
        raise ValueError(f"{name}: {' '.join(str(error).split())}") from None


def _filled(outputs: int, target: Target) -> dict[str, Any]:
    if target.kind == "values":
        return {"task": "binary" if outputs == 1 else "multilabel", "num_labels": outputs}
    ignored = {"ignore_index": UNLABELLED} if target.shape else {}
    return {"task": "multiclass", "num_classes": outputs, **ignored}


class Fed:
    """A metric fed batch by batch.

    probabilities: of an output, as metrics of classes want them. whole: whether targets are whole
    numbers.
    """

    def __init__(
        self, metric: Any, probabilities: Callable[[Tensor], Tensor], whole: bool = False
    ) -> None:
        self.metric, self.probabilities, self.whole = metric, probabilities, whole

    def update(self, output: Tensor, target: Tensor) -> None:
        """One batch; a single column becomes a vector."""
        found = self.probabilities(output.float())
        if target.is_floating_point() and target.shape[1:] == (1,):
            found, target = found.flatten(), target.flatten()
        self.metric.update(found, target.long() if self.whole else target)

    def compute(self) -> Any:
        """Of all batches."""
        return self.metric.compute()

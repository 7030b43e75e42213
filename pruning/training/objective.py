"""The objective of a task: its loss, and the metrics that its networks are judged by.

Metrics that are means are added up batch by batch, in training too. All others see the outputs of a
whole split, and only where it is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import isclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from pruning.errors import InputError
from pruning.names import import_dotted
from pruning.training import torchmetric
from pruning.training.loss import Loss, probabilities
from pruning.training.metrics import LOSS, METRICS, MetricSpec, Sums
from pruning.training.outputs import main_output

if TYPE_CHECKING:
    from pruning.training.data import Data
    from pruning.training.task import Task


class Stream(Protocol):
    """A metric on its way through a split."""

    def update(self, output: Tensor, target: Tensor, /) -> object:
        """Take a batch in."""

    def compute(self) -> Any:
        """The metric of all batches: a number."""


@dataclass(frozen=True)
class Objective:
    """summed: metrics that are means. streamed: all others, begun anew for each split."""

    loss: Loss
    summed: Mapping[str, Sums]
    streamed: Mapping[str, Callable[[], Stream]]

    @classmethod
    def of(cls, task: Task, data: Data, device: torch.device) -> Objective:
        """Raises InputError for what cannot be had, or does not fit."""
        specs = {spec.short: spec for spec in task.judged_by if spec.name != LOSS}
        streamed = {}
        for name, spec in specs.items():
            if not spec.ours:
                try:
                    streamed[name] = _streamed(spec, task, data, device)
                    streamed[name]()
                except Exception as error:  # one's own code may fail in any way
                    reason = " ".join(str(error).split())
                    raise InputError(f"task.metrics: {spec.name}: {reason}") from None
        summed = {name: METRICS[spec.name][0] for name, spec in specs.items() if spec.ours}
        return cls(Loss.of(task.loss, device), summed, streamed)

    @property
    def width(self) -> int:
        """How many sums a batch comes to."""
        return 2 + 2 * len(self.summed)

    def step(self, output: Any, target: Tensor, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
        """The mean loss of a batch, and its sums, float64 [width]."""
        loss = self.loss(output, target, smoothing)
        sums = [loss.detach() * len(target), loss.new_tensor(len(target))]
        if self.summed:
            main = main_output(output).detach()
            sums += [part for metric in self.summed.values() for part in metric(main, target)]
        return loss, torch.stack([part.double() for part in sums])

    def figures(self, split: str, sums: Sequence[float]) -> dict[str, float]:
        """The means under the names of records: ``val_loss``, ``val_accuracy``."""
        means = [total / count for total, count in zip(sums[::2], sums[1::2], strict=True)]
        return dict(zip((f"{split}_{name}" for name in (LOSS, *self.summed)), means, strict=True))

    def streams(self) -> dict[str, Stream]:
        """The metrics that are no means, ready for a split."""
        return {name: make() for name, make in self.streamed.items()}


def scalar(name: str, value: Any) -> float:
    """A metric's value. Raises InputError unless it is one number."""
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        shape = getattr(value, "shape", None)
        found = f"{tuple(shape)} values" if shape is not None else type(value).__name__
        raise InputError(f"task.metrics: {name} gives {found}; one number is needed") from None


def _streamed(
    spec: MetricSpec, task: Task, data: Data, device: torch.device
) -> Callable[[], Stream]:
    if spec.theirs:
        whole, likely = task.loss.name == "bce_with_logits", probabilities(task.loss.name)
        given = spec.name, spec.options, data.outputs, data.target, device
        return lambda: torchmetric.Fed(torchmetric.make(*given), likely, whole)
    found: Any = import_dotted(spec.name)
    streams, made_anew = hasattr(found, "update") and hasattr(found, "compute"), isclass(found)
    if streams and made_anew:
        return partial(found, **spec.options)
    if streams:
        return lambda: _begun_anew(found)
    if not callable(found):
        raise ValueError(f"is {type(found).__name__}, not a function")
    return lambda: _Whole(found, spec.options)


def _begun_anew(stream: Any) -> Any:
    stream.reset()
    return stream


class _Whole:
    """A function of all outputs and targets of a split, gathered on the CPU."""

    def __init__(self, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
        self.function, self.options = function, options
        self.parts: list[tuple[Tensor, Tensor]] = []

    def update(self, output: Tensor, target: Tensor) -> None:
        self.parts.append((output.float().cpu(), target.cpu()))

    def compute(self) -> Any:
        outputs, targets = zip(*self.parts, strict=True)
        return self.function(torch.cat(outputs), torch.cat(targets), **self.options)

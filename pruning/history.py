"""What was measured, epoch by epoch: all that a policy may look at."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from pruning.structure.layout import Layout

T = TypeVar("T")


_LOSSES = {"train_loss": "training loss", "val_loss": "validation loss"}


def not_finite(metrics: Mapping[str, float]) -> str:
    """Which loss, of training or validation, is no finite number; "" if both are.

    Infinity counts: outputs so large that a loss overflows are no results either. The test split
    does not: nothing is judged by it.
    """
    return next((name for name in _LOSSES if not math.isfinite(metrics.get(name, 0.0))), "")


NO_NUMBER = float(np.finfo(np.float32).min)
"""A score that is none, in a record: NaN there says that a unit is gone."""


@dataclass(frozen=True, eq=False)
class Record:
    """What one epoch left behind.

    epoch: how many epochs were trained so far; the record of the untrained network has 0.
    alive: bool [units], the units the network had during the epoch.
    probes: by their keys. A saliency is float32 [units] in dense numbering, NaN where a unit is
    gone; what is no score per unit is float64 of a shape of its own.
    metrics: losses and metrics on the training and the validation split.
    test: the same on the test split; hidden from policies.
    costs: params, macs (of one sample), units, masked (weights that are held at zero), samples
    (trained on in this epoch).
    seconds: train, evaluate, probe:NAME, ...; hidden from policies.
    """

    epoch: int
    alive: npt.NDArray[np.bool_]
    probes: Mapping[str, npt.NDArray[np.floating]]
    metrics: Mapping[str, float] = field(default_factory=dict)
    test: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    _memo: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def diverged(self) -> str:
        """Why the training came to nothing in this epoch; "" if it did not."""
        name = not_finite(self.metrics)
        if not name:
            return ""
        return f"diverged: the {_LOSSES[name]} is {self.metrics[name]} in epoch {self.epoch}"

    def visible(self) -> Record:
        """The record without what a policy must not see: the clock and the test split."""
        return replace(self, test={}, seconds={})

    def remember(self, key: Any, compute: Callable[[Record], T]) -> T:
        """``compute(self)``, computed once a key: policies that differ in a threshold share it."""
        if key not in self._memo:
            self._memo[key] = compute(self)
        found: T = self._memo[key]
        return found

    def to_bytes(self) -> bytes:
        """One safetensors file: arrays as tensors, the rest as JSON in its header."""
        tensors: dict[str, npt.NDArray[Any]] = {"alive": self.alive}
        tensors |= {f"probe.{name}": values for name, values in self.probes.items()}
        rest = {
            "epoch": self.epoch,
            "metrics": dict(self.metrics),
            "test": dict(self.test),
            "costs": dict(self.costs),
            "seconds": dict(self.seconds),
        }
        return save(tensors, metadata={"record": json.dumps(rest)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Record:
        """The inverse of ``to_bytes``."""
        tensors = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        rest = json.loads(header["__metadata__"]["record"])
        alive = tensors.pop("alive").astype(bool)
        probes = {name.removeprefix("probe."): values for name, values in tensors.items()}
        return cls(alive=alive, probes=probes, **rest)


@dataclass(frozen=True, eq=False)
class History:
    """The records of one path, in order, beginning with the untrained network.

    layout: the dense network's units. epochs: length of the training, None if unknown.
    seed: of the trial; a policy that draws at random mixes it with a seed of its own. reference:
    where the policy ended that a control is compared with, None for all others.
    """

    layout: Layout
    records: tuple[Record, ...]
    epochs: int | None = None
    seed: int = 0
    reference: Record | None = None

    @classmethod
    def of(
        cls,
        layout: Layout,
        records: Sequence[Record],
        epochs: int | None = None,
        seed: int = 0,
        reference: Record | None = None,
    ) -> History:
        """A policy's view of ``records``."""
        end = reference.visible() if reference else None
        return cls(layout, tuple(record.visible() for record in records), epochs, seed, end)

    @property
    def last(self) -> Record:
        """The newest record."""
        return self.records[-1]

    @property
    def epoch(self) -> int:
        """How many epochs were trained so far."""
        return self.last.epoch

    @property
    def pruned(self) -> bool:
        """Whether any unit of the dense network is gone."""
        return not bool(self.last.alive.all())

    def plus(self, record: Record) -> History:
        """This history with one more record."""
        return replace(self, records=(*self.records, record.visible()))

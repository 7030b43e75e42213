"""Real trainings, as a ride opens them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pruning.history import Record
from pruning.saliency import Probe
from pruning.training import snapshot
from pruning.training.loop import Training
from pruning.training.task import Task


@dataclass(frozen=True)
class Trainer:
    """Opens trainings on a device, ``cpu`` or ``cuda``."""

    device: str = "cpu"

    def open(
        self,
        task: Task,
        seed: int,
        probes: Sequence[Probe],
        data: bytes | None,
        records: Sequence[Record],
    ) -> Training:
        """From the start, or from a snapshot and the records up to it."""
        if data is None:
            return Training(task, seed, probes, self.device)
        return snapshot.resume(data, task, seed, list(records), tuple(probes), self.device)

    def take(self, training: Training) -> bytes:
        """A snapshot."""
        return snapshot.take(training)

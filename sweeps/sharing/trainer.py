"""Real trainings, as a ride opens them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pruning.history import Record
from pruning.parallel.team import Team, TeamTraining
from pruning.saliency import Probe
from pruning.training.task import Task


@dataclass(frozen=True)
class Trainer:
    """Opens trainings that a team runs; by default one process on the CPU."""

    team: Team = field(default_factory=Team)

    def open(
        self,
        task: Task,
        seed: int,
        probes: Sequence[Probe],
        data: bytes | None,
        records: Sequence[Record],
    ) -> TeamTraining:
        """From the start, or from a snapshot and the records up to it."""
        return self.team.open(task, seed, probes, data, records)

    def take(self, training: TeamTraining) -> bytes:
        """A snapshot."""
        return self.team.take(training)

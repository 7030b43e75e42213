"""The oracle grid of a cut: trials that prune at given epochs, the best of them, and their cost."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pruning.errors import InputError
from pruning.policies import AtEpoch, OneShot, policy
from pruning.settings import canonical
from sweeps.judging.learning import at_chance
from sweeps.judging.regret import best, complete
from sweeps.results.rows import Row


@dataclass(frozen=True)
class Trial:
    """A row of the results, its policy, and the fields of the task that the sweep varies."""

    row: Row
    policy: OneShot
    task: Mapping[str, Any]

    @classmethod
    def of(cls, row: Row) -> Trial | None:
        """None for a policy that does not cut in one shot; InputError if it cannot be read."""
        task = {key: part for key, part in row["setting"].items() if key.startswith("task.")}
        try:
            found = policy({key: part for key, part in row["setting"].items() if key not in task})
        except ValueError as error:
            raise InputError(f"trial {row['trial']}: {error}") from None
        return cls(row, found, task) if isinstance(found, OneShot) else None

    @cached_property
    def cut(self) -> Hashable:
        """Equal for trials that remove the same units of the same network after an epoch."""
        return canonical(self.task), self.policy.action_key()

    @property
    def epoch(self) -> int | None:
        """The epoch of its cut; None while there is none."""
        if isinstance(self.policy, AtEpoch):
            return self.policy.epoch
        return next(iter(self.row["prune_epochs"] or ()), None)


class Grid:
    """The grid of a cut, from all trials of a sweep.

    rows: its trials by epoch. epochs: those that finished, by seed, on the seeds on which all of
    them did.
    """

    def __init__(self, trials: Iterable[Trial], cut: Hashable) -> None:
        same = [trial for trial in trials if trial.cut == cut]
        found: dict[int, list[Row]] = {}
        self._charged: dict[tuple[int, int | None], float] = {}
        for trial in same:
            if isinstance(trial.policy, AtEpoch):
                found.setdefault(trial.policy.epoch, []).append(trial.row)
            place = trial.row["seed"], trial.epoch
            spent = trial.row["gpu_hours_spent"] or 0.0
            self._charged[place] = self._charged.get(place, 0.0) + spent
        self.rows = {epoch: found[epoch] for epoch in sorted(found)}
        self.epochs = complete(self.rows)
        self.seeds = list(next(iter(self.epochs.values()), ()))

    @cached_property
    def best(self) -> int | None:
        """The oracle's epoch; of equals the earliest. None while nothing can be compared."""
        return best(self.epochs) if self.seeds else None

    def mean(self, column: str) -> float | None:
        """Of the oracle, over seeds."""
        return None if self.best is None else average(self.epochs[self.best].values(), column)

    @cached_property
    def unlearned(self) -> str:
        """Why the oracle is none: it did not learn. "" if it did, or that is not known."""
        return (
            "" if self.best is None else at_chance("the oracle", [*self.epochs[self.best].values()])
        )

    @property
    def hours_alone(self) -> float | None:
        """Device-hours of the whole grid for one seed, each trial for itself."""
        if not self.seeds:
            return None
        return sum(average(rows.values(), "gpu_hours") for rows in self.epochs.values())

    @property
    def hours_shared(self) -> float | None:
        """Device-hours of the whole grid for one seed if its trials share what they can, at most.

        Whoever comes first pays for what is shared, often ``dense`` for the training up to the
        cuts. So the last trial of the grid counts as if alone, that training with it. Of each other
        counts what was charged to it and to those who made the same cut, and not more than alone.
        """
        if not self.seeds:
            return None
        *others, last = self.epochs
        tails: list[float] = [
            min(self._charged[seed, epoch], self.epochs[epoch][seed]["gpu_hours"])
            for epoch in others
            for seed in self.seeds
        ]
        return average(self.epochs[last].values(), "gpu_hours") + sum(tails) / len(self.seeds)


def average(rows: Iterable[Row], column: str) -> float:
    """The mean of a column."""
    return float(np.mean([row[column] for row in rows]))

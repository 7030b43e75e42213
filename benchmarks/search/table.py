"""The table: how every setting of a sweep went on every seed, read back from the storage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.search.even import Place, evened
from sweeps.file.sweep import Sweep
from sweeps.file.trials import TrialSpec
from sweeps.judging.front import Floats, hypervolume, hypervolume_course, nadir, pareto
from sweeps.results.curves import Point, course, outcome
from sweeps.sharing.library import Library
from sweeps.sharing.rider import Rider, State, remembered
from sweeps.sharing.tree import Tree
from sweeps.storage.store import Origin, Store

DIGITS = 9
"""Means that agree in so many are equal: what is left is how they were summed."""


@dataclass(frozen=True, eq=False)
class Way:
    """A stored trial.

    places: of all its epochs, the untrained network's first. points: its curve, from one epoch on.
    result: as the store has it of a finished trial.
    """

    spec: TrialSpec
    state: State
    places: Sequence[Place]
    points: Sequence[Point]
    result: Mapping[str, Any]

    def outcome(self, objectives: Iterable[str]) -> list[float]:
        """How it ended."""
        return [self.result["summary"][name] for name in objectives]

    def deciding(self, epoch: int) -> float:
        """The seconds its decision after an epoch took."""
        return self.state.decided[epoch][0]

    def rider(self, epoch: int) -> Rider:
        """The trial as it was after an epoch."""
        turns = [turn for turn in self.state.turns if turn.epoch <= epoch]
        trunk = Origin(self.spec.task, self.spec.seed)
        path = turns[-1].path if turns else trunk.address
        state = State(path, epoch, self.state.decided[: epoch + 1], turns)
        rider = Rider(self.spec.address, self.spec.policy, trunk, self.spec.task.epochs)
        rider.state = state
        return rider


class Table:
    """All settings, what each epoch took, and the front of the means over seeds.

    means: of the objectives, by setting. seconds: of the device, by place, decisions left out.
    reference: the worst of each objective, that hypervolumes are measured from.
    """

    def __init__(
        self, ways: Sequence[Way], seconds: Mapping[Place, float], objectives: Mapping[str, str]
    ) -> None:
        self.ways = {way.spec.address: way for way in ways}
        self.seconds, self.objectives = seconds, objectives
        groups: dict[str, list[Way]] = {}
        for way in ways:
            groups.setdefault(way.spec.group, []).append(way)
        self.means = {
            group: np.mean([way.outcome(objectives) for way in of], axis=0).round(DIGITS)
            for group, of in groups.items()
        }
        points = np.array(list(self.means.values()))
        best = pareto(points, objectives)
        self.front = {group for group, one in zip(groups, best, strict=True) if one}
        self.reference = nadir(points, objectives)
        self.volume = hypervolume(points, objectives, self.reference)

    @property
    def total(self) -> float:
        """The device-seconds of everything."""
        deciding = [way.deciding(epoch) for way in self.ways.values() for _, epoch in way.places]
        return sum(self.seconds.values()) + sum(deciding)

    def described(self) -> dict[str, Any]:
        """Its figures."""
        return {
            "settings": len(self.means),
            "trials": len(self.ways),
            "epochs": sum(epoch > 0 for _, epoch in self.seconds),
            "device_hours": self.total / 3600,
            "objectives": dict(self.objectives),
            "reference": dict(zip(self.objectives, self.reference, strict=True)),
            "front": len(self.front),
        }

    def shares(self, groups: Sequence[str]) -> Floats:
        """Of the whole hypervolume, that of the first 1, 2, ... of these settings."""
        points = np.array([self.means[group] for group in groups])
        return hypervolume_course(points, self.objectives, self.reference) / self.volume

    @classmethod
    def read(cls, sweep: Sweep, store: Store) -> Table:
        """Of a sweep whose trials are all stored. Raises LookupError if one is not.

        Its seconds are evened out.
        """
        library = Library(store)
        tree = Tree(library)
        trials = {spec.address: spec for spec in sweep.trials()}
        for order, (key, spec) in enumerate(trials.items()):
            trunk = Origin(spec.task, spec.seed)
            state, _ = remembered(store.trial(key), spec.policy)
            after = spec.reference.address if spec.reference else None
            tree.join(Rider(key, spec.policy, trunk, spec.task.epochs, order, state, after))
        riders = [rider for rider, _ in tree.ended]
        failed = [rider for rider in riders if not rider.finished]
        if failed or len(riders) < len(trials):
            reason = failed[0].state.failure if failed else "not all of it is stored"
            raise LookupError(f"a trial has no end: {reason}")
        places = {rider.key: library.owners(rider) for rider in riders}
        epochs = evened(
            {
                place: stored
                for rider, line in tree.ended
                for place, stored in zip(places[rider.key], line, strict=True)
            }
        )
        seconds = {
            place: sum(stored.record.seconds.values()) * stored.devices
            for place, stored in epochs.items()
        }
        ways = []
        for rider in riders:
            line = [epochs[place] for place in places[rider.key]]
            points, result = course(line, rider), outcome(line, rider)
            ways.append(Way(trials[rider.key], rider.state, places[rider.key], points, result))
        return cls(ways, seconds, sweep.objectives)

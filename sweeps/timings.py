"""How long an epoch takes, from what is stored or from a short calibration."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pruning.training.task import Task
from sweeps.library import Library
from sweeps.rider import Rider
from sweeps.store import Store, Stored
from sweeps.survey import Survey, stored_paths

ALWAYS = ("train", "evaluate")
ENOUGH = 200
"""So many epochs are looked at where only other seeds are stored."""


@dataclass(frozen=True)
class Timings:
    """Mean device-seconds an epoch takes, by what they are spent on.

    dense: on the trunk. pruned: on the other paths, None if nothing is known of them.
    """

    source: Literal["stored", "calibrated"]
    dense: Mapping[str, float]
    pruned: Mapping[str, float] | None = None

    def dense_hours(self, sections: Collection[str]) -> float:
        """Of a dense epoch with the probes of these sections."""
        return _hours(self.dense, sections)

    def pruned_hours(self, sections: Collection[str]) -> float:
        """Of a pruned epoch; as if it were dense, where nothing is known of such."""
        return _hours(self.dense if self.pruned is None else self.pruned, sections)


def _hours(seconds: Mapping[str, float], sections: Collection[str]) -> float:
    return sum(seconds.get(name, 0.0) for name in {*ALWAYS, *sections}) / 3600


def stored_timings(library: Library, riders: Iterable[Rider], task: Task) -> Timings | None:
    """From the epochs these riders stand on, else from other seeds of the task, else None."""
    own = {place for rider in riders for place in library.places(rider)}
    return _timings(library, own) or _timings(library, _of_other_seeds(library.store, task))


def _timings(library: Library, places: Iterable[tuple[str, int]]) -> Timings | None:
    dense: list[Stored] = []
    pruned: list[Stored] = []
    for path, epoch in places:
        branching, stored = library.store.path(path), library.figures(path, epoch)
        if branching and stored:
            (dense if branching.task else pruned).append(stored)
    return Timings("stored", _mean(dense), _mean(pruned) if pruned else None) if dense else None


def _mean(epochs: Sequence[Stored]) -> dict[str, float]:
    """Device-seconds by section, the mean of the epochs that have it."""
    spent: dict[str, list[float]] = {}
    for stored in epochs:
        for section, seconds in stored.record.seconds.items():
            spent.setdefault(section, []).append(seconds * stored.devices)
    return {section: math.fsum(each) / len(each) for section, each in spent.items()}


def _of_other_seeds(store: Store, task: Task) -> Iterator[tuple[str, int]]:
    """Some epochs of the same task, of trunks and of other paths."""
    found = Survey(stored_paths(store), {}, {}, [])
    dense: list[tuple[str, int]] = []
    pruned: list[tuple[str, int]] = []
    for path in found.paths.values():
        trunk = found.trunk(path.address)
        if trunk and trunk.task and trunk.task.address() == task.address():
            places = dense if trunk is path else pruned
            places += [(path.address, epoch) for epoch in path.records if epoch > 0]
    yield from dense[:ENOUGH]
    yield from pruned[:ENOUGH]

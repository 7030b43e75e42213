"""How long an epoch takes, from what is stored or from a short calibration."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pruning.training.task import Task
from sweeps.sharing.library import Library
from sweeps.sharing.rider import Rider
from sweeps.storage.store import Store
from sweeps.storage.survey import Survey, stored_paths

ALWAYS = ("train", "evaluate")
ENOUGH = 200
"""So many epochs are looked at, or somewhat fewer, of trunks and of other paths."""

Place = tuple[str, int]


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


def _timings(library: Library, places: Iterable[Place]) -> Timings | None:
    places = sorted(places)
    branchings = {path: library.store.path(path) for path, _ in places}
    trunks = {path for path, origin in branchings.items() if origin and origin.task}
    dense = _mean(library, [place for place in places if place[0] in trunks])
    pruned = _mean(library, [place for place in places if place[0] not in trunks])
    return Timings("stored", dense, pruned) if dense else None


def _mean(library: Library, places: Sequence[Place]) -> dict[str, float] | None:
    """Device-seconds by section, the mean of the epochs that have it; None without epochs."""
    spent: dict[str, list[float]] = {}
    for place in places[:: 1 + len(places) // ENOUGH]:
        stored = library.figures(*place)
        if stored is not None:
            for section, seconds in stored.record.seconds.items():
                spent.setdefault(section, []).append(seconds * stored.devices)
    return {section: math.fsum(each) / len(each) for section, each in spent.items()} or None


def _of_other_seeds(store: Store, task: Task) -> Iterator[Place]:
    """Epochs of the same task."""
    found = Survey(stored_paths(store), {}, {}, [])
    for path in found.paths.values():
        trunk = found.trunk(path.address)
        if trunk and trunk.task and trunk.task.address() == task.address():
            yield from ((path.address, epoch) for epoch in path.records if epoch > 0)

"""What a trial costs: of each of its epochs what epochs of that shape take.

A single epoch is measured while others use the machine, and of two trainings of one shape the one
that was disturbed would look dearer. So the price of a part of an epoch is the median over all that
are alike in a sweep: of one task, with a network of one shape, on as many devices.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from statistics import median
from typing import NamedTuple

from pruning.training.summary import own_seconds
from sweeps.sharing.rider import Rider
from sweeps.storage.store import Stored

Item = tuple[str, str, float, tuple[int, ...]]
"""A task by its address, a section of the meter, devices, and the network's costs."""


class Bill(NamedTuple):
    """How often a trial has each, and the hours of its own decisions."""

    items: Counter[Item]
    decided: float


Place = tuple[str, int]
"""A path and an epoch of it."""


class Prices:
    """Filled by all epochs of a sweep, each once."""

    def __init__(self) -> None:
        self._spent: defaultdict[Item, array[float]] = defaultdict(lambda: array("d"))
        self._seen: dict[Place, Collection[str]] = {}

    def bill(self, rider: Rider, places: Iterable[Place], epochs: Sequence[Stored]) -> Bill:
        """What a trial alone would have had; its epochs set prices, too."""
        task = rider.trunk.task.address() if rider.trunk.task else ""
        found: Counter[Item] = Counter()
        for place, stored in zip(places, epochs, strict=False):
            record = stored.record
            shape = tuple(record.costs[name] for name in ("params", "macs", "units", "masked"))
            items = {name: (task, name, stored.devices, shape) for name in record.seconds}
            found.update(items[name] for name in own_seconds(record, rider.sections))
            for name in items.keys() - self._seen.get(place, ()):
                self._spent[items[name]].append(record.seconds[name])
            self._seen[place] = tuple(items)
        each = zip(rider.state.decided, epochs, strict=False)
        return Bill(found, sum(took * one.devices for (took, _), one in each) / 3600)

    def figures(self, bills: Iterable[Bill]) -> Iterator[dict[str, float]]:
        """The results' columns of time of each: seconds by section, and device-hours of all."""
        each = {item: median(spent) for item, spent in self._spent.items()}
        for bill in bills:
            parts = {item: count * each[item] for item, count in sorted(bill.items.items())}
            probes = sum(spent for item, spent in parts.items() if item[1].startswith("probe:"))
            yield {
                "train_seconds": sum(spent for item, spent in parts.items() if item[1] == "train"),
                "probe_seconds": probes,
                "gpu_hours": bill.decided + sum(spent * i[2] for i, spent in parts.items()) / 3600,
            }

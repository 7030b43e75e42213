"""Stored epochs as they are read again: each once, and one history for all who are at its end."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pruning.history import History, Record
from pruning.structure.layout import Layout
from sweeps.sharing.rider import Rider
from sweeps.storage.store import Origin, Store, Stored

T = TypeVar("T")

FIGURES_OF_PATHS = 4096
ARRAYS_OF_PATHS = 32
"""How many paths are kept in memory, without and with what was measured of every unit."""


class Gone(Exception):  # noqa: N818 - no error: it is trained again
    """Something that was stored is not there any more."""


class Recent(Generic[T]):
    """The entries used last, no more than ``size`` of them."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._entries: OrderedDict[str, dict[int, T]] = OrderedDict()

    def of(self, key: str) -> dict[int, T]:
        """The entry of a key, made if need be."""
        found = self._entries.setdefault(key, {})
        self._entries.move_to_end(key)
        while len(self._entries) > self.size:
            self._entries.popitem(last=False)
        return found


@dataclass
class _Seen:
    """What policies may see of one record, and the history that ends with it once it is asked."""

    record: Record
    history: History | None = field(default=None)


class Library:
    """Reads a store's epochs, and hands out the histories that policies decide on."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.forget()

    def forget(self) -> None:
        """Read everything anew."""
        self.store.forget()
        self._figures: Recent[Stored] = Recent(FIGURES_OF_PATHS)
        self._seen: Recent[_Seen] = Recent(ARRAYS_OF_PATHS)
        self._layouts: dict[str, Layout] = {}

    def add(self, path: str, stored: Stored) -> None:
        """An epoch that was just stored, whole or only its figures."""
        epoch = stored.record.epoch
        self._figures.of(path)[epoch] = stored.figures()
        seen = self._seen.of(path)
        # Histories hold the record they were made with; a new one may have more probes.
        for later in [number for number in seen if number >= epoch]:
            del seen[later]
        # What workers report travels without arrays: those are read when a policy asks.
        if len(stored.record.alive):
            seen[epoch] = _Seen(stored.record.visible())
        if stored.layout:
            self._layouts[path] = stored.layout

    def figures(self, path: str, epoch: int) -> Stored | None:
        """An epoch without its arrays, asked of the path that holds it; None if it is not there."""
        known = self._figures.of(path)
        if epoch not in known:
            stored = self.store.record(path, epoch)
            if stored is None:
                return None
            self.add(path, stored)
        return known[epoch]

    def has(self, path: str, epoch: int, probes: Collection[str]) -> bool:
        """Whether this epoch is stored, with these probes."""
        found = self.figures(path, epoch)
        return found is not None and found.measured.issuperset(probes)

    def course(self, path: str, epoch: int) -> list[Stored]:
        """The figures of all epochs from the trunk's first to this one. Raises Gone."""
        found = [self.figures(owner, number) for owner, number in self._owners(path, epoch)]
        if any(one is None for one in found):
            raise Gone(f"an epoch before {epoch} of path {path}")
        return [one for one in found if one is not None]

    def places(self, rider: Rider) -> set[tuple[str, int]]:
        """The epochs of training a rider stands on, each by the path that holds it."""
        path, epoch = rider.state.path, rider.state.epoch
        return {place for place in self._owners(path, epoch) if place[1] > 0}

    def owners(self, rider: Rider) -> list[tuple[str, int]]:
        """For every epoch that a rider has behind it, the untrained network's first, its place."""
        return self._owners(rider.state.path, rider.state.epoch)

    def trunk(self, path: str) -> Origin:
        """Where a path begins. Raises Gone."""
        trunk = self.store.path(line(self.store, path)[0][0])
        if trunk is None or trunk.task is None:
            raise Gone(f"the trunk of path {path}")
        return trunk

    def layout(self, path: str) -> Layout | None:
        """The units of the network that was trained along a path; None before it began."""
        root = line(self.store, path)[0][0]
        if root not in self._layouts:
            self.figures(root, -1)
        return self._layouts.get(root)

    def history(self, path: str, epoch: int) -> History:
        """What policies see after this epoch. Raises Gone."""
        newest = self._one(path, epoch)
        # One for all riders at its end: policies keep what they work out with its records, so that
        # 150 thresholds cost little more than one.
        if newest.history is None:
            records = tuple(self._one(*place).record for place in self._owners(path, epoch))
            trunk = self.trunk(path)
            layout = self.layout(path)
            if layout is None:
                raise Gone(f"the layout of path {path}")
            newest.history = History(layout, records, trunk.epochs, trunk.seed)
        return newest.history

    def _one(self, path: str, epoch: int) -> _Seen:
        known = self._seen.of(path)
        if epoch not in known:
            stored = self.store.record(path, epoch)
            if stored is None:
                raise Gone(f"epoch {epoch} of path {path}")
            known[epoch] = _Seen(stored.record.visible())
            if stored.layout:
                self._layouts[path] = stored.layout
        return known[epoch]

    def _owners(self, path: str, epoch: int) -> list[tuple[str, int]]:
        """For every epoch up to this one the path that holds it."""
        places: list[tuple[str, int]] = []
        for owner, end in line(self.store, path):
            last = epoch if end < 0 else min(end, epoch)
            places += [(owner, number) for number in range(len(places), last + 1)]
        return places


def line(store: Store, path: str) -> list[tuple[str, int]]:
    """The paths from the trunk to this one, each with the epoch it is left after; the last has no
    end: -1. Raises Gone."""
    found = store.line(path)
    if found is None:
        raise Gone(f"what path {path} is")
    return found


def nearest_snapshot(
    library: Library, path: str, epoch: int
) -> tuple[int, bytes | None, Sequence[Record]]:
    """The last snapshot on the way to an epoch of a path, and the records up to it.

    Before it the place in the path's ``line`` of the path that holds it; without any snapshot 0,
    and no record. Raises Gone.
    """
    way = line(library.store, path)
    for leg in reversed(range(len(way))):
        owner, end = way[leg]
        last = epoch if end < 0 else min(end, epoch)
        for number in sorted(library.store.epochs(owner)[1], reverse=True):
            data = library.store.snapshot(owner, number) if number <= last else None
            if data is not None:
                return leg, data, library.history(owner, number).records
    return 0, None, ()

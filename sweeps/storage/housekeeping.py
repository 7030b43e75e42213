"""Making room in a storage: what of it may go, and letting it go."""

from __future__ import annotations

import contextlib
import heapq
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pruning.errors import InputError
from sweeps.storage import limits
from sweeps.storage.busy import busy, refuse_if_busy
from sweeps.storage.files import Entry, Files
from sweeps.storage.lock import locked
from sweeps.storage.store import Store, folder_name
from sweeps.storage.survey import StoredPath, StoredSweep, Survey, survey


@dataclass(frozen=True)
class Removal:
    """The files that go, in an order that may stop anywhere, and the bytes that stay."""

    entries: tuple[Entry, ...]
    left: int

    @classmethod
    def of(cls, entries: Iterable[Entry], found: Survey) -> Removal:
        """These files, of all that were found."""
        entries = tuple(entries)
        return cls(entries, found.size - sum(entry.size for entry in entries))

    @property
    def size(self) -> int:
        """Bytes that go."""
        return sum(entry.size for entry in self.entries)

    def by_kind(self) -> dict[str, tuple[int, int]]:
        """How many snapshots, records, paths, trials and sweeps go, and how many bytes each."""
        found = {kind: (0, 0) for kind in ("snapshots", "records", "paths", "trials", "sweeps")}
        for entry in self.entries:
            kind, _, name = entry.name.partition("/")
            if kind == "paths":
                inside = {"s": "snapshots", "r": "records", "d": "notes"}
                kind = inside.get(name.rpartition("/")[2][0], kind)
            if kind == "notes":
                continue
            count, size = found[kind]
            found[kind] = count + 1, size + entry.size
        return found


Choose = Callable[[Survey], Removal]


def prune(
    store: Store,
    choose: Choose,
    agreed: Callable[[Removal], bool],
    dry_run: bool = False,
) -> Removal:
    """Remove what ``choose`` finds, once ``agreed`` says so; never with ``dry_run``.

    Raises InputError while a driver works on this storage; none starts on these tasks meanwhile.
    """
    if dry_run:
        return choose(survey(store))
    refuse_if_busy(store.files)

    def refuse(holder: dict[str, Any]) -> None:
        raise busy(store.files, holder)

    # What to lock is seen before, what goes only under the locks: a driver may have been at work
    # in between.
    before = survey(store)
    tasks = {path.task.address() for path in before.paths.values() if path.task}
    names = [f"task-{task}" for task in tasks]
    names += [f"sweep-{folder_name(sweep.name)}" for sweep in before.sweeps]
    with locked(store.files, names, owner="store prune", wait=refuse):
        removal = choose(survey(store))
        if removal.entries and agreed(removal):
            _remove(store.files, removal)
    return removal


def _remove(files: Files, removal: Removal) -> None:
    for entry in removal.entries:
        files.delete(entry.name)
    if not files.remote:
        for folder in {Path(files.address, entry.name).parent for entry in removal.entries}:
            with contextlib.suppress(OSError):  # not empty
                folder.rmdir()


# What may go


def choice(
    age: str | None, sweep: str | None, size: str | None, snapshots_only: bool = False
) -> Choose:
    """What the options of ``earlyprune store prune`` ask for. Raises InputError."""
    limits.check(age, sweep, size)
    (chosen,) = (
        make(option)
        for make, option in ((older_than, age), (of_sweep, sweep), (down_to, size))
        if option is not None
    )
    return only_snapshots(chosen) if snapshots_only else chosen


def older_than(text: str, now: float | None = None) -> Choose:
    """Paths of which no file was written within a time such as ``30d``.

    A path that a stored one forked from stays as long as that one. Results of trials stay.
    """
    limit = (time.time() if now is None else now) - 3600 * limits.hours(text)

    def choose(found: Survey) -> Removal:
        go: list[StoredPath] = []
        gone: set[str] = set()
        for path in _leaves_first(found, found.paths):
            forks = found.forks.get(path.address, [])
            if path.modified < limit and gone.issuperset(forks):
                go.append(path)
                gone.add(path.address)
        return Removal.of(_files(go), found)

    return choose


def of_sweep(name: str) -> Choose:
    """A sweep, and the trials and paths that no other sweep has."""

    def choose(found: Survey) -> Removal:
        mine = [sweep for sweep in found.sweeps if sweep.name == name]
        if not mine:
            there = ", ".join(sorted(sweep.name for sweep in found.sweeps)) or "none"
            raise InputError(f"--sweep: {name!r} is not in this storage (there: {there})")
        trials, paths = _only(mine[0], found)
        return Removal.of((*_files(paths), *trials, mine[0].entry), found)

    return choose


def down_to(text: str) -> Choose:
    """What has to go for a storage of a size such as ``10GB``.

    Snapshots first, the oldest before the others and the last of each path after all others; then
    whole paths, the oldest of those that no other path forked from. Results of trials stay.
    """
    limit = limits.count_bytes(text)

    def choose(found: Survey) -> Removal:
        left = found.size
        go: list[Entry] = []
        for batch in _by_worth(found):
            if left <= limit:
                break
            go += batch
            left -= sum(entry.size for entry in batch)
        return Removal.of(go, found)

    return choose


def only_snapshots(choose: Choose) -> Choose:
    """Of what ``choose`` finds the snapshots: what they were taken of can be trained again."""

    def snapshots(found: Survey) -> Removal:
        entries = choose(found).entries
        kept = {e.name for path in found.paths.values() for e in path.snapshots.values()}
        return Removal.of((entry for entry in entries if entry.name in kept), found)

    return snapshots


def _only(sweep: StoredSweep, found: Survey) -> tuple[list[Entry], list[StoredPath]]:
    """The trials and paths that this sweep alone has, the leaves first.

    A path on which no trial has ended may be that of one that is not done: it stays where another
    sweep has such a trial on the same trunk.
    """
    others = [other for other in found.sweeps if other is not sweep]
    shared = {key for other in others for key in other.trunks}
    trials = [found.trials[k] for k in sweep.trunks if k in found.trials and k not in shared]
    needed = {path for key in shared for path in found.line(found.ends.get(key, ""))}
    waiting = {
        trunk for other in others for key, trunk in other.trunks.items() if key not in found.ends
    }
    ours = {path for key in sweep.trunks for path in found.line(found.ends.get(key, ""))}
    trunks = set(sweep.trunks.values())
    go = set()
    for address, trunk in found.begins.items():
        unclear = trunk in waiting and (address == trunk or address not in ours)
        if trunk in trunks and unclear:
            needed.update(found.line(address))
        elif trunk in trunks:
            go.add(address)
    return trials, _leaves_first(found, go - needed)


def _by_worth(found: Survey) -> Iterable[list[Entry]]:
    """All files of paths in the order in which they go: snapshots one by one, then paths."""
    snapshots = [
        (epoch == max(path.snapshots), entry.modified, entry.name, entry)
        for path in found.paths.values()
        for epoch, entry in path.snapshots.items()
    ]
    for *_, entry in sorted(snapshots):
        yield [entry]
    forks = {address: len(found.forks.get(address, ())) for address in found.paths}
    leaves = [(found.paths[a].modified, a) for a, count in forks.items() if count == 0]
    heapq.heapify(leaves)
    while leaves:
        path = found.paths[heapq.heappop(leaves)[1]]
        taken = {entry.name for entry in path.snapshots.values()}
        yield [entry for entry in _files([path]) if entry.name not in taken]
        if path.parent in forks:
            forks[path.parent] -= 1
            if forks[path.parent] == 0:
                heapq.heappush(leaves, (found.paths[path.parent].modified, path.parent))


def _leaves_first(found: Survey, addresses: Iterable[str]) -> list[StoredPath]:
    deepest = sorted(addresses, key=lambda address: (-len(found.line(address)), address))
    return [found.paths[address] for address in deepest]


def _files(paths: Iterable[StoredPath]) -> list[Entry]:
    """Their files, what a path is after all it holds."""
    # Interrupted, the rest can still be told apart, and be removed by the next call.
    return [
        entry
        for path in paths
        for entry in sorted(path.files, key=lambda one: (one.name.endswith("/path"), one.name))
    ]

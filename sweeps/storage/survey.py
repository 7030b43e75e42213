"""What a storage holds, file by file. What is damaged or foreign is set aside, never an error."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pruning.training.task import Task
from sweeps.storage.files import Entry
from sweeps.storage.store import Origin, Store

UNREADABLE = (ValueError, KeyError, TypeError, AttributeError)
"""What content raises that is whole, but not what was expected."""

_OF_A_PATH = re.compile(r"paths/([^/]+)/(path|deciding|(record|snapshot)-(\d+))")


@dataclass
class StoredPath:
    """The files of one path. origin: what it is, None if that cannot be read."""

    address: str
    origin: Origin | None = None
    files: list[Entry] = field(default_factory=list)
    records: dict[int, Entry] = field(default_factory=dict)
    snapshots: dict[int, Entry] = field(default_factory=dict)

    @property
    def parent(self) -> str | None:
        """The path that it left."""
        return self.origin.parent if self.origin else None

    @property
    def task(self) -> Task | None:
        """What is trained, of a trunk."""
        return self.origin.task if self.origin else None

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(entry.size for entry in self.files)

    @property
    def modified(self) -> float:
        """When the newest of its files was written."""
        return max(entry.modified for entry in self.files)


@dataclass(frozen=True)
class StoredSweep:
    """A sweep's file. trunks: by the key of each of its trials the trunk it begins on."""

    name: str
    entry: Entry
    trunks: Mapping[str, str]


@dataclass
class Survey:
    """All of it. ends: by trial the last path it is known to be on. other: bytes of other files."""

    paths: dict[str, StoredPath]
    trials: dict[str, Entry]
    ends: dict[str, str]
    sweeps: list[StoredSweep]
    other: int = 0
    unreadable: list[Entry] = field(default_factory=list)

    @cached_property
    def forks(self) -> dict[str, list[str]]:
        """By path those that left it."""
        found: dict[str, list[str]] = {}
        for path in self.paths.values():
            if path.parent is not None:
                found.setdefault(path.parent, []).append(path.address)
        return found

    @property
    def size(self) -> int:
        """Bytes of paths, trials and sweeps."""
        entries = [*self.trials.values(), *(sweep.entry for sweep in self.sweeps), *self.unreadable]
        return sum(path.size for path in self.paths.values()) + sum(e.size for e in entries)

    @cached_property
    def begins(self) -> dict[str, str]:
        """By path the one it comes from in the end."""
        return {address: self.line(address)[-1] for address in self.paths}

    def line(self, address: str) -> list[str]:
        """A path and those it came from, as far as they are known, itself first."""
        found: list[str] = []
        at: str | None = address
        while at is not None and at in self.paths:
            found.append(at)
            at = self.paths[at].parent
        return found

    def trunk(self, address: str) -> StoredPath | None:
        """The trunk a path comes from, None if the way there is not known."""
        root = self.paths.get(self.begins.get(address, ""))
        return root if root and root.task else None


def survey(store: Store) -> Survey:
    """Look at everything."""
    entries = store.files.entries()
    paths = stored_paths(store, entries)
    found = Survey(paths, {}, {}, [])
    for entry in entries:
        area, _, rest = entry.name.partition("/")
        if area == "trials" and "/" not in rest:
            found.trials[rest] = entry
            end = _end(_json(store, entry.name))
            if end is not None:
                found.ends[rest] = end
        elif area == "sweeps" and "/" not in rest:
            sweep = _sweep(entry, _json(store, entry.name), paths)
            if sweep is None:
                found.unreadable.append(entry)
            else:
                found.sweeps.append(sweep)
        elif area != "locks" and not _OF_A_PATH.fullmatch(entry.name):
            found.other += entry.size
    return found


def stored_paths(store: Store, entries: list[Entry] | None = None) -> dict[str, StoredPath]:
    """Every path by its address."""
    found: dict[str, StoredPath] = {}
    for entry in store.files.entries("paths") if entries is None else entries:
        match = _OF_A_PATH.fullmatch(entry.name)
        if match is None:
            continue
        address, name, kind, epoch = match.groups()
        path = found.setdefault(address, StoredPath(address))
        path.files.append(entry)
        if kind:
            (path.records if kind == "record" else path.snapshots)[int(epoch)] = entry
        if name == "path":
            with _unwarned():
                path.origin = _branching(store, address)
    return found


def _branching(store: Store, address: str) -> Origin | None:
    try:
        found = store.path(address)
        # A file put there by hand may name itself its parent, and the way to the trunk be endless;
        # no digest holds itself. A trunk of an older FORMAT is whole under its old address.
        if found is None or (found.task is None and found.address != address):
            return None
        return found if isinstance(found.seed, int) else None
    except UNREADABLE:
        return None


def _json(store: Store, name: str) -> Any:
    try:
        with _unwarned():
            return json.loads(store.files.read(name) or b"null")
    except ValueError:
        return None


def _end(trial: Any) -> str | None:
    """The path a trial's state says it is on."""
    try:
        path = trial["state"]["path"]
    except UNREADABLE:
        return None
    return path if isinstance(path, str) else None


def _sweep(entry: Entry, content: Any, paths: Mapping[str, StoredPath]) -> StoredSweep | None:
    try:
        name = str(content["name"])
        seeds = {str(trial["key"]): int(trial["seed"]) for trial in content["trials"]}
        task = Task.parse(content["config"]["task"])
    except UNREADABLE:
        return None
    trunks = {}
    for key, seed in seeds.items():
        # A sweep's file does not say whether its trials shared; what is stored does.
        alone = Origin(task=task, seed=seed, alone=key).address
        shared = Origin(task=task, seed=seed).address
        trunks[key] = alone if alone in paths else shared
    return StoredSweep(name, entry, trunks)


def _unwarned() -> warnings.catch_warnings[None]:
    """Damage is told in our own words here."""
    return warnings.catch_warnings(action="ignore")

"""A store, a library and trainings that hold nothing, for simulating thousands of trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pruning.actions import Action
from pruning.history import History, Record
from pruning.structure.layout import Layout
from pruning.training.task import Task
from sweeps.storage.store import Origin, Stored

LAYOUT = Layout(("all",), (1,))


@dataclass
class Memory:
    """A store that remembers which epochs there are, and what paths are."""

    paths: dict[str, Origin] = field(default_factory=dict)
    lines: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    records: dict[str, set[int]] = field(default_factory=dict)
    snapshots: dict[str, set[int]] = field(default_factory=dict)

    def know(self, origin: Origin) -> str:
        address = origin.address
        if address not in self.paths:
            self.paths[address] = origin
            before = self.lines[origin.parent] if origin.parent else []
            ends = [*before[:-1], *((path, origin.epoch) for path, _ in before[-1:])]
            self.lines[address] = [*ends, (address, -1)]
            self.records[address], self.snapshots[address] = set(), set()
        return address

    def fork(self, parent: str, epoch: int, action: Action) -> str:
        return self.know(Origin(parent=parent, epoch=epoch, action=action))

    def path(self, address: str) -> Origin | None:
        return self.paths.get(address)

    def line(self, address: str) -> list[tuple[str, int]] | None:
        return self.lines.get(address)

    def epochs(self, path: str) -> tuple[set[int], set[int]]:
        return set(self.records[path]), set(self.snapshots[path])

    def record(self, path: str, epoch: int) -> Stored | None:
        return stored(epoch) if epoch in self.records[path] else None

    def write_record(self, path: str, written: Stored) -> None:
        self.records[path].add(written.record.epoch)

    def snapshot(self, path: str, epoch: int) -> bytes | None:
        return b"" if epoch in self.snapshots[path] else None

    def write_snapshot(self, path: str, epoch: int, data: bytes) -> None:
        self.snapshots[path].add(epoch)

    def drop_snapshot(self, path: str, epoch: int) -> None:
        self.snapshots[path].discard(epoch)

    def decider(self, path: str) -> str:
        return ""

    def note_decider(self, path: str, trial: str) -> None:
        """Nobody's decision ends a process here."""


def stored(epoch: int) -> Stored:
    """What an epoch leaves behind: nothing."""
    return Stored(Record(epoch, np.ones(1, dtype=np.bool_), {}))


@dataclass
class Shelf:
    """A library of such a store; a history says only how many epochs were trained."""

    store: Memory
    histories: dict[int, History] = field(default_factory=dict)

    def add(self, path: str, one: Stored) -> None:
        """The store has it."""

    def forget(self) -> None:
        """There is nothing to forget."""

    def figures(self, path: str, epoch: int) -> Stored | None:
        return self.store.record(path, epoch)

    def has(self, path: str, epoch: int, probes: object) -> bool:
        return epoch in self.store.records[path]

    def course(self, path: str, epoch: int) -> list[Stored]:
        return []

    def trunk(self, path: str) -> Origin:
        return self.store.paths[self.store.lines[path][0][0]]

    def layout(self, path: str) -> None:
        """Nothing is known of the network's units, nor needed."""

    def history(self, path: str, epoch: int) -> History:
        if epoch not in self.histories:
            self.histories[epoch] = History(LAYOUT, (stored(epoch).record,))
        return self.histories[epoch]


class NoTraining:
    """Trains nothing, and counts."""

    layout = LAYOUT
    class_names = None

    def __init__(self, epoch: int) -> None:
        self.epoch_number = epoch

    def begin(self) -> Record:
        return self.epoch()

    def epoch(self) -> Record:
        self.epoch_number += 1
        return stored(self.epoch_number).record

    def apply(self, action: Action) -> None:
        """Nothing changes."""

    def watch(self, probes: object) -> None:
        """Nothing is measured."""


class NoTrainer:
    """Opens trainings of nothing."""

    def open(
        self,
        task: Task,
        seed: int,
        probes: object,
        snapshot: bytes | None,
        records: Sequence[Record],
    ) -> NoTraining:
        return NoTraining(records[-1].epoch if records else -1)

    def take(self, training: Any) -> bytes:
        return b""

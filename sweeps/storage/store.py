"""Every epoch that was ever trained, and the sweeps and trials that rode them.

    sweeps/NAME                 what a sweep consists of
    trials/KEY                  how a trial went: its decisions, its figures
    paths/ADDRESS/path          what fixes a training: its task and seed, or a fork of another path
    paths/ADDRESS/record-0005   what an epoch left behind, and who was charged for it
    paths/ADDRESS/snapshot-0005 the training after that epoch

An address is the digest of the path's content, so equal trainings meet, whoever asks for them. A
forked path holds only the epochs after its fork. What is damaged or gone counts as never trained.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pruning.actions import Action, from_json
from pruning.errors import InputError
from pruning.history import Record
from pruning.settings import digest
from pruning.structure.layout import Layout
from pruning.training.task import Task
from sweeps.storage.files import Files, open_files

_NOTHING = np.zeros(0, dtype=np.bool_)

FORMAT = 2
"""Part of every trunk's address: raised when a change makes the same task train otherwise."""


@dataclass(frozen=True)
class Origin:
    """Where a path comes from: a trunk has a task and a seed, a fork its parent and an action.

    alone: the trial that has this trunk for itself, where nothing is to be shared.
    """

    task: Task | None = None
    seed: int = 0
    alone: str | None = None
    parent: str | None = None
    epoch: int = -1
    action: Action | None = None

    @property
    def epochs(self) -> int:
        """Length of the training, of a trunk."""
        return self.task.epochs if self.task else 0

    @cached_property
    def address(self) -> str:
        """The digest of what fixes the training."""
        if self.task is None:
            return digest(self._fork())
        parts = {"format": FORMAT, "task": self.task.identity(), "seed": self.seed}
        return digest(parts | ({"alone": self.alone} if self.alone else {}))

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        if self.task is None:
            return self._fork()
        task = self.task.model_dump(mode="json")
        return {"task": task, "seed": self.seed, "alone": self.alone}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Origin:
        """The inverse of ``to_json``."""
        if "task" in data:
            return cls(Task.parse(data["task"]), data["seed"], data["alone"])
        return cls(parent=data["parent"], epoch=data["epoch"], action=from_json(data))

    def _fork(self) -> dict[str, Any]:
        assert self.action is not None
        return {"parent": self.parent, "epoch": self.epoch, **self.action.to_json()}


@dataclass(frozen=True, eq=False)
class Stored:
    """A record as it is kept.

    charges: device-seconds by trial, their sum is all that the devices did for it. devices: that
    trained it. measured: the keys of the probes that were asked for. trained: how often it was
    trained (again only where something was lost or not measured). layout: of the dense network,
    class_names: what its outputs stand for; both with the untrained network's record. wall: seconds
    that passed, whoever else used the devices.
    """

    record: Record
    charges: Mapping[str, float] = field(default_factory=dict)
    devices: float = 1
    measured: frozenset[str] = frozenset()
    trained: int = 1
    layout: Layout | None = None
    class_names: tuple[str, ...] | None = None
    wall: float = 0.0

    def figures(self) -> Stored:
        """This without its arrays."""
        light = replace(self.record, alive=_NOTHING, probes={}, _memo={})
        return replace(self, record=light)

    def again(self, other: Stored) -> Stored:
        """This and the same epoch trained once more: what either measured, and both their costs."""
        # Seconds are those of one training, as a trial alone has one; charges are all there were.
        seconds = {**other.record.seconds, **self.record.seconds}
        probes = {**other.record.probes, **self.record.probes}
        charges = dict(self.charges)
        for trial, spent in other.charges.items():
            charges[trial] = charges.get(trial, 0.0) + spent
        return replace(
            self,
            record=replace(self.record, probes=probes, seconds=seconds, _memo={}),
            charges=charges,
            measured=self.measured | other.measured,
            trained=self.trained + other.trained,
            layout=self.layout or other.layout,
            class_names=self.class_names or other.class_names,
        )

    def to_json(self) -> dict[str, Any]:
        """All but the arrays."""
        record = self.record
        return {
            "charges": dict(self.charges),
            "devices": self.devices,
            "measured": sorted(self.measured),
            "trained": self.trained,
            "layout": self.layout and self.layout.to_json(),
            **({"class_names": list(self.class_names)} if self.class_names else {}),
            "epoch": record.epoch,
            "metrics": dict(record.metrics),
            "test": dict(record.test),
            "costs": dict(record.costs),
            "seconds": dict(record.seconds),
            "wall": self.wall,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], arrays: Record | None = None) -> Stored:
        """The inverse of ``to_json``; arrays: a record to take them from."""
        empty = arrays or Record(data["epoch"], _NOTHING, {})
        figures = {name: data[name] for name in ("metrics", "test", "costs", "seconds")}
        return cls(
            replace(empty, epoch=data["epoch"], **figures),
            data["charges"],
            data["devices"],
            frozenset(data["measured"]),
            data["trained"],
            Layout.from_json(data["layout"]) if data["layout"] else None,
            tuple(data["class_names"]) if "class_names" in data else None,
            data.get("wall", 0.0),
        )

    def to_bytes(self) -> bytes:
        """A line of JSON, and the arrays as safetensors."""
        arrays = Record(self.record.epoch, self.record.alive, self.record.probes)
        return json.dumps(self.to_json()).encode() + b"\n" + arrays.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Stored:
        """The inverse of ``to_bytes``."""
        line, _, rest = data.partition(b"\n")
        return cls.from_json(json.loads(line), Record.from_bytes(rest))


class Store:
    """All that is kept at an address: a folder, or whatever fsspec can open (``s3://...``)."""

    def __init__(self, address: str | Path | Files) -> None:
        self.files = address if isinstance(address, Files) else open_files(address)
        self._paths: dict[str, Origin] = {}

    # Paths

    def fork(self, parent: str, epoch: int, action: Action) -> str:
        """The address of the path that leaves ``parent`` after ``epoch`` by this action."""
        return self.know(Origin(parent=parent, epoch=epoch, action=action))

    def know(self, origin: Origin) -> str:
        """The address of a path, whose description is kept."""
        address = origin.address
        # A damaged description is written again: it says no more than who asks knows.
        if self.path(address) is None:
            content = json.dumps(origin.to_json()).encode()
            self.files.write(f"paths/{address}/path", content)
            self._paths[address] = origin
        return address

    def forget(self) -> None:
        """Look anew for what was known of paths."""
        self._paths.clear()

    def path(self, address: str) -> Origin | None:
        """What a path is, None if that is not known."""
        if address not in self._paths:
            data = self.files.read(f"paths/{address}/path")
            if data is None:
                return None
            self._paths[address] = Origin.from_json(json.loads(data))
        return self._paths[address]

    def line(self, address: str) -> list[tuple[str, int]] | None:
        """The paths from the trunk to this one, each with the epoch it is left after.

        The last has no end: -1. None if a path on the way is not known.
        """
        found: list[tuple[str, int]] = []
        last, end = address, -1
        while True:
            found.append((last, end))
            origin = self.path(last)
            if origin is None:
                return None
            if origin.parent is None:
                return found[::-1]
            last, end = origin.parent, origin.epoch

    # Epochs

    def record(self, path: str, epoch: int) -> Stored | None:
        """What an epoch left behind; None if it is not there."""
        data = self.files.read(_name(path, "record", epoch))
        return None if data is None else Stored.from_bytes(data)

    def write_record(self, path: str, stored: Stored) -> None:
        """Keep what an epoch left behind."""
        self.files.write(_name(path, "record", stored.record.epoch), stored.to_bytes())

    def snapshot(self, path: str, epoch: int) -> bytes | None:
        """The training after an epoch; None if it is not there."""
        return self.files.read(_name(path, "snapshot", epoch))

    def write_snapshot(self, path: str, epoch: int, data: bytes) -> None:
        """Keep the training after an epoch."""
        self.files.write(_name(path, "snapshot", epoch), data)

    def drop_snapshot(self, path: str, epoch: int) -> None:
        """Forget a snapshot; its epoch can be trained again."""
        self.files.delete(_name(path, "snapshot", epoch))

    def note_decider(self, path: str, trial: str) -> None:
        """Say who decides now ("" for nobody), lest that end the process."""
        self.files.write(f"paths/{path}/deciding", trial.encode())

    def decider(self, path: str) -> str:
        """Who was deciding when the process ended, "" if nobody was."""
        return (self.files.read(f"paths/{path}/deciding") or b"").decode()

    def epochs(self, path: str) -> tuple[set[int], set[int]]:
        """The epochs of which this path has a record, and those of which it has a snapshot."""
        kinds: dict[str, set[int]] = {"record": set(), "snapshot": set()}
        for entry in self.files.entries(f"paths/{path}"):
            kind, _, number = entry.name.rpartition("/")[2].partition("-")
            if kind in kinds and number.isdecimal():
                kinds[kind].add(int(number))
        return kinds["record"], kinds["snapshot"]

    # Trials and sweeps

    def trial(self, key: str) -> dict[str, Any] | None:
        """How a trial went, None while nothing is known."""
        data = self.files.read(f"trials/{key}")
        return None if data is None else json.loads(data)

    def write_trial(self, key: str, content: Mapping[str, Any]) -> None:
        """Keep how a trial went."""
        self.files.write(f"trials/{key}", json.dumps(content).encode())

    def write_sweep(self, name: str, content: Mapping[str, Any]) -> None:
        """Remember a sweep by its name."""
        self.files.write(f"sweeps/{folder_name(name)}", json.dumps(content, indent=1).encode())

    def read_sweep(self, name: str) -> dict[str, Any]:
        """A sweep's content. Raises InputError, naming the sweeps there are."""
        data = self.files.read(f"sweeps/{folder_name(name)}")
        if data is None:
            listed = ", ".join(sorted(sweep["name"] for sweep in self.sweeps())) or "none"
            raise InputError(f"sweep: {name!r} is not in {self.files.address!r} (there: {listed})")
        content: dict[str, Any] = json.loads(data)
        return content

    def knows(self, name: str) -> bool:
        """Whether a sweep of this name has begun here."""
        return self.files.exists(f"sweeps/{folder_name(name)}")

    def sweeps(self) -> list[dict[str, Any]]:
        """The content of every sweep."""
        found = [self.files.read(entry.name) for entry in self.files.entries("sweeps")]
        return [json.loads(data) for data in found if data is not None]


def _name(path: str, kind: str, epoch: int) -> str:
    return f"paths/{path}/{kind}-{epoch:04d}"


def folder_name(name: str) -> str:
    """A name as a file name: unchanged where that is safe, else told apart by a digest."""
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip(".-")[:60]
    return safe if safe == name else f"{safe}-{digest(name, 8)}"

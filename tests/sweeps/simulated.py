"""A world for the tree in which everything but the training is real, and anything may go wrong."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from pruning import Action, Policy, Probe, Prune
from pruning.foreign import told_where
from pruning.history import History, Record
from pruning.saliency import Random
from pruning.structure.layout import Layout
from pruning.training.task import Task
from sweeps.sharing.library import Gone, Library
from sweeps.sharing.ride import Keep, Report, Ride
from sweeps.sharing.rider import Rider, State
from sweeps.sharing.tree import Branch, Tree
from sweeps.storage.base import Files
from sweeps.storage.files import Entry
from sweeps.storage.store import Origin, Store, Stored

UNITS = 12
LAYOUT = Layout(("a", "b"), (7, 5))


class Killed(BaseException):
    """The worker is gone, in the middle of what it did."""


class DictFiles(Files):
    """Files in memory; ``die_in``: the process ends at that many writes from now."""

    remote = False

    def __init__(self) -> None:
        super().__init__("memory")
        self.content: dict[str, bytes] = {}
        self.die_in: int | None = None

    def check(self) -> None: ...

    def read_plain(self, name: str) -> bytes | None:
        return self.content.get(name)

    def write_plain(self, name: str, data: bytes) -> None:
        if self.die_in is not None:
            self.die_in -= 1
            if self.die_in < 0:
                self.die_in = None
                raise Killed
        self.content[name] = data

    def create(self, name: str, data: bytes) -> bool:
        raise NotImplementedError

    def swap(self, name: str, old: bytes, new: bytes | None) -> bool:
        raise NotImplementedError

    def delete(self, name: str) -> None:
        self.content.pop(name, None)

    def exists(self, name: str) -> bool:
        return name in self.content

    def entries(self, prefix: str = "") -> list[Entry]:
        found = fnmatch.filter(self.content, f"{prefix}/*")
        return [Entry(name, len(self.content[name]), 0.0) for name in sorted(found)]


def mix(*parts: Any) -> int:
    """A number that depends on all parts and on nothing else."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:6], "big")


@dataclass
class FakeTraining:
    """A training whose whole state is a number that no other course of it leads to."""

    probes: Sequence[str]
    trained: Counter[tuple[int, int]]
    state: int
    epoch_number: int = -1
    alive: list[bool] = field(default_factory=lambda: [True] * UNITS)
    layout: ClassVar[Layout] = LAYOUT
    class_names: ClassVar[tuple[str, ...] | None] = None

    def begin(self) -> Record:
        return self._record()

    def epoch(self) -> Record:
        self.state = mix(self.state, "epoch", self.epoch_number + 1)
        self.trained[self.epoch_number + 1, self.state] += 1
        return self._record()

    def apply(self, action: Action) -> None:
        assert isinstance(action, Prune)
        assert action.units
        assert all(self.alive[unit] for unit in action.units)
        for unit in action.units:
            self.alive[unit] = False
        self.state = mix(self.state, "without", action.units)

    def watch(self, probes: Sequence[Probe]) -> None:
        self.probes = [probe.key for probe in probes]

    def take(self) -> bytes:
        return json.dumps([self.state, self.epoch_number, self.alive]).encode()

    def _record(self) -> Record:
        self.epoch_number += 1
        alive = np.array(self.alive)
        probes = {
            key: np.where(alive, mix(self.state, key) % 1000, np.nan).astype(np.float32)
            for key in self.probes
        }
        return Record(self.epoch_number, alive, probes, {"state": float(self.state)})


class FakeTrainer:
    """Opens such trainings and counts each epoch trained, by number and state."""

    def __init__(self) -> None:
        self.trained: Counter[tuple[int, int]] = Counter()

    def open(
        self,
        task: Task,
        seed: int,
        probes: Sequence[Probe],
        snapshot: bytes | None,
        records: Sequence[Record],
    ) -> FakeTraining:
        keys = [probe.key for probe in probes]
        if snapshot is None:
            return FakeTraining(keys, self.trained, mix(task.address(), seed))
        state, number, alive = json.loads(snapshot)
        assert [record.epoch for record in records] == list(range(number + 1))
        assert records[-1].metrics["state"] == state
        return FakeTraining(keys, self.trained, state, number, alive)

    def take(self, training: FakeTraining) -> bytes:
        return training.take()


class Whim(Policy):
    """Acts, and now and then fails, as the probes and the past have it; some agree with others."""

    name: ClassVar[str] = "whim"

    salt: int
    eager: int = 3
    fails: int = 0
    seen: int = 0

    def probes(self) -> list[Probe]:
        return [Random(seed=self.seen)]

    def decide(self, history: History) -> Prune | None:
        (key,) = (probe.key for probe in self.probes())
        values = history.last.probes[key]
        past = [record.metrics["state"] for record in history.records]
        assert len(past) == history.epoch + 1
        draw = mix(float(np.nansum(values)), past, self.salt)
        if draw % 100 < self.fails:
            raise ArithmeticError(f"at {history.epoch}")
        alive = np.flatnonzero(history.last.alive)
        if draw // 100 % 10 >= self.eager or len(alive) < 3:
            return None
        first = draw // 1000 % 2
        return Prune.of(alive[first : first + 1], ["a warning"])

    def indicator(self, history: History) -> float | None:
        return history.last.metrics["state"] % 7


def task(epochs: int) -> Task:
    return Task.parse({"model": "small_cnn", "data": "digits", "epochs": epochs})


@dataclass(frozen=True)
class End:
    """What a trial comes to; equal for equal courses."""

    states: tuple[float, ...]
    turns: tuple[tuple[int, tuple[str, ...]], ...]
    indicators: tuple[float | None, ...]
    failure: str | None


def alone(policy: Policy, seed: int, epochs: int) -> End:
    """The trial trained alone, in one go."""
    probes = list(policy.probes())
    training = FakeTrainer().open(task(epochs), seed, probes, None, ())
    records = [training.begin()]
    turns, indicators = [], []
    while True:
        history = History.of(LAYOUT, records, epochs, seed)
        try:
            action = policy.decide(history) if history.epoch < epochs else None
        except ArithmeticError as error:
            states = tuple(record.metrics["state"] for record in records[:-1])
            reason = f"{told_where(error)}, after epoch {history.epoch}"
            return End(states, tuple(turns), tuple(indicators), reason)
        indicators.append(policy.indicator(history))
        if history.epoch == epochs:
            break
        if action:
            turns.append((history.epoch, action.warnings))
            training.apply(action)
        records.append(training.epoch())
    states = tuple(record.metrics["state"] for record in records)
    return End(states, tuple(turns), tuple(indicators), None)


class World:
    """A driver and its workers, on a storage that outlives both."""

    def __init__(
        self,
        draw: random.Random,
        policies: Sequence[tuple[Policy, int]],
        epochs: int,
        workers: int,
        keep: Keep,
        retries: int = 10**9,
        sharing: bool = True,
        pausing: float = 0,
    ) -> None:
        self.draw, self.epochs, self.workers, self.keep = draw, epochs, workers, keep
        self.retries, self.sharing, self.pausing = retries, sharing, pausing
        self.resting: set[int] = set()
        self.paused = 0
        self.files, self.trainer = DictFiles(), FakeTrainer()
        self.policies = dict(enumerate(policies))
        self.late = set(self.draw.sample(sorted(self.policies), len(policies) // 3))
        self.ends: dict[int, End] = {}
        self.killed = self.lost = 0
        self.start()

    # The driver

    def start(self) -> None:
        """A new driver on the old storage."""
        self.rides: dict[int, tuple[Branch, Ride]] = {}
        self.tree = Tree(Library(Store(self.files)), self.retries, self)
        for number in self.policies:
            if number not in self.late | self.resting:
                self.join(number)

    def marks(self, epochs: int) -> list[int]:
        return [epochs // 2]

    def hopeless(self, aboard: Sequence[Rider], going_on: Sequence[Rider]) -> bool:
        """Whom a whim takes; a branch that all have left asks for nobody."""
        assert {rider.key for rider in going_on} <= {rider.key for rider in aboard}
        return self.draw.random() < self.pausing

    def join(self, number: int) -> None:
        policy, seed = self.policies[number]
        store = self.tree.library.store
        known = store.trial(str(number))
        trunk = Origin(task(self.epochs), seed, None if self.sharing else str(number))
        remembered = State.from_json(known["state"]) if known else None
        self.tree.join(Rider(str(number), policy, trunk, self.epochs, number, remembered))
        self.settle()

    def settle(self) -> None:
        for rider in self.tree.paused:
            assert not rider.ended
            self.paused += 1
            self.resting.add(int(rider.key))
            content = {"state": rider.state.to_json()}
            self.tree.library.store.write_trial(rider.key, content)
        self.tree.paused.clear()
        for rider, course in self.tree.ended:
            end = self.end_of(rider, course)
            number = int(rider.key)
            assert self.ends.setdefault(number, end) == end
            if rider.finished:
                content = {"state": rider.state.to_json()}
                self.tree.library.store.write_trial(rider.key, content)
        self.tree.ended.clear()

    def end_of(self, rider: Rider, course: Sequence[Stored]) -> End:
        decided = course[: rider.state.epoch + 1]
        return End(
            tuple(stored.record.metrics["state"] for stored in decided),
            tuple((turn.epoch, turn.warnings) for turn in rider.state.turns),
            tuple(indicator for _, indicator in rider.state.decided),
            rider.state.failure,
        )

    # What may happen

    def hand_out(self) -> None:
        if len(self.rides) < self.workers:
            branch = self.tree.next()
            if branch:
                self.rides[branch.number] = branch, self.ride(branch)

    def ride(self, branch: Branch) -> Ride:
        """A worker's: it knows only what it was told."""
        riders = []
        for rider in branch.riders:
            copy = Rider(rider.key, rider.policy, rider.trunk, self.epochs, rider.order)
            copy.state = State.from_json(json.loads(json.dumps(rider.state.to_json())))
            riders.append(copy)
        library = Library(Store(self.files))
        return Ride(
            branch.path, riders, library, self.trainer, self.keep, branch.measure, 1, branch.careful
        )

    def work(self) -> None:
        """Some epochs of some branch, and its report."""
        if not self.rides:
            return
        number = self.draw.choice(sorted(self.rides))
        branch, ride = self.rides[number]
        try:
            for _ in range(self.draw.randint(1, 3)):
                ride.advance()
                if ride.due:
                    break
        except Gone as error:
            del self.rides[number]
            self.tree.astray(branch.number, str(error))
            return self.settle()
        report = Report.from_json(json.loads(json.dumps(ride.report().to_json())))
        if not self.tree.report(branch.number, report):
            del self.rides[number]
        self.settle()

    def kill_while_writing(self) -> None:
        """A worker dies at some write of its next epoch."""
        if self.rides:
            number = self.draw.choice(sorted(self.rides))
            branch, ride = self.rides[number]
            self.files.die_in = self.draw.randint(0, 4)
            try:
                ride.advance()
            except Killed:
                self.killed += 1
            except Gone:
                pass
            self.files.die_in = None
            del self.rides[number]  # it did not report, either way
            self.tree.lost(branch.number, "killed")
            self.settle()

    def restart(self) -> None:
        self.start()

    def damage(self) -> None:
        """A file of a path is truncated, flipped, emptied or deleted."""
        names = [name for name in self.files.content if name.startswith("paths/")]
        if names:
            self.lost += 1
            name = self.draw.choice(sorted(names))
            data = self.files.content[name]
            way = self.draw.choice(["truncate", "flip", "empty", "delete"])
            if way == "delete":
                del self.files.content[name]
            elif way == "flip" and data:
                at = self.draw.randrange(len(data))
                self.files.content[name] = data[:at] + bytes([(data[at] ^ 1)]) + data[at + 1 :]
            else:
                self.files.content[name] = data[: len(data) // 2] if way == "truncate" else b""

    def call_back(self) -> None:
        """A paused rider goes on."""
        number = self.draw.choice(sorted(self.resting))
        self.resting.remove(number)
        self.join(number)

    def join_late(self) -> None:
        if self.late:
            number = self.draw.choice(sorted(self.late))
            self.late.remove(number)
            self.join(number)

    def run(self, mishaps: Sequence[str], chance: float) -> None:
        """Until all have ended; as many steps as there could be work for, and no more."""
        limit = 400 + 60 * self.epochs * len(self.policies)
        for step in range(limit):
            if self.tree.done and not self.late and not self.resting:
                return
            calm = step > limit // 2  # whatever was lost, it must come to an end
            if calm:
                self.pausing = 0
            if self.resting and (self.draw.random() < 0.1 or self.tree.done):
                self.call_back()
            elif not calm and mishaps and self.draw.random() < chance:
                getattr(self, self.draw.choice(list(mishaps)))()
            elif self.late and self.draw.random() < 0.1:
                self.join_late()
            else:
                self.hand_out()
                self.work()
        raise AssertionError(f"it hangs: {len(self.rides)} running after {limit} steps")

    # What must hold

    @property
    def again(self) -> int:
        """How many epochs were trained more than once."""
        return sum(count - 1 for count in self.trainer.trained.values())

    def check(self) -> None:
        for number, (policy, seed) in self.policies.items():
            expected = alone(policy, seed, self.epochs)
            assert self.ends[number] == expected, number

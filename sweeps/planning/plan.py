"""What a sweep would cost, without training it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pruning.policies import Policy
from pruning.training.summary import probe_sections
from sweeps.file.sweep import Sweep
from sweeps.file.trials import TrialSpec
from sweeps.planning.counting import Choice, Count, fewest, most
from sweeps.planning.timings import Timings, stored_timings
from sweeps.sharing.library import Library
from sweeps.sharing.rider import Rider, remembered
from sweeps.sharing.tree import Tree
from sweeps.storage.store import Origin, Store, Stored


@dataclass(frozen=True)
class Range:
    """Between two counts of epochs."""

    least: Count
    most: Count

    def __add__(self, other: Range) -> Range:
        return Range(self.least + other.least, self.most + other.most)

    def to_json(self) -> dict[str, int]:
        """The totals."""
        return {"min": self.least.total, "max": self.most.total}


def plan(
    sweep: Sweep, trials: Sequence[TrialSpec], store: Store, calibrated: Timings | None = None
) -> dict[str, Any]:
    """Trials, epochs and device-hours; nothing is written.

    epochs_alone: each trial for itself. epochs_shared: the least and the most distinct epochs,
    depending on when policies act; each cut counts as one that removes something. epochs_left: what
    of them is not stored. Hours are None without timings: ``calibrated``, else those of stored
    epochs. pruned_as_dense: whether pruned epochs had to be counted as dense ones, which makes
    hours an upper bound. search: what it adds at most, its settings not being known beforehand.
    """
    reading = Reading(store.files)
    library = Library(reading)
    riders = replay(trials, reading, library)
    nothing = Range(Count(), Count())
    shared = sum(
        map(_shared, _alike(trials, lambda spec: (spec.task.address(), spec.seed))), nothing
    )
    left = sum(map(_left, _alike(riders, lambda rider: rider.trunk.address)), nothing)
    timings = calibrated or stored_timings(library, riders, sweep.task)
    hours = None if timings is None else _Hours(timings, trials)
    alone = sum(spec.task.epochs for spec in trials)
    return {
        "name": sweep.name,
        "settings": len(trials) // len(sweep.seeds),
        "seeds": len(sweep.seeds),
        "trials": len(trials),
        "trials_finished": sum(rider.finished for rider in riders),
        "epochs_alone": alone,
        "epochs_shared": shared.to_json(),
        "ratio": {
            "min": alone / max(1, shared.most.total),
            "max": alone / max(1, shared.least.total),
        },
        "search": sweep.search and {"trials": sweep.search.trials, "hours": sweep.search.gpu_hours},
        "epochs_stored": len({place for rider in riders for place in library.places(rider)}),
        "epochs_left": left.to_json(),
        "timings": timings and timings.source,
        "pruned_as_dense": None if timings is None else timings.pruned is None,
        "expected_hours_alone": hours and hours.alone(),
        "expected_hours_shared": hours and hours.of(shared),
        "expected_hours_left": hours and hours.of(left),
        "device": "GPU" if sweep.resources.gpus else "CPU",
    }


def replay(trials: Iterable[TrialSpec], store: Reading, library: Library) -> list[Rider]:
    """The trials' riders as far as they come on what is stored.

    Of a trial that has finished it is enough that its epochs are there; they are not read.
    """
    tree, riders = Tree(library), []
    for order, spec in enumerate(trials):
        state, fatal = remembered(store.trial(spec.address), spec.policy)
        if fatal:
            continue
        trunk = Origin(spec.task, spec.seed)
        rider = Rider(spec.address, spec.policy, trunk, spec.task.epochs, order, state)
        if state and store.holds(state.path, state.epoch):
            rider.state = state
        else:
            tree.join(rider)
        riders.append(rider)
    return riders


class Reading(Store):
    """A store that is only read, and remembers what it would have written of paths.

    A file that is not there is looked for once.
    """

    def __init__(self, files: Any) -> None:
        super().__init__(files)
        self._new: dict[str, Origin] = {}
        self._there: dict[str, set[int]] = {}
        self._trials = {entry.name for entry in self.files.entries("trials")}

    def know(self, origin: Origin) -> str:
        address = origin.address
        if self.path(address) is None:
            self._new[address] = self._paths[address] = origin
        return address

    def forget(self) -> None:
        super().forget()
        self._there.clear()
        self._paths |= self._new

    def record(self, path: str, epoch: int) -> Stored | None:
        return super().record(path, epoch) if epoch in self._records(path) else None

    def holds(self, path: str, epoch: int) -> bool:
        """Whether all epochs up to this one are there, damaged or not."""
        line, first = self.line(path), 0
        for owner, end in line or ():
            last = epoch if end < 0 else end
            if not self._records(owner).issuperset(range(first, last + 1)):
                return False
            first = last + 1
        return line is not None

    def _records(self, path: str) -> set[int]:
        if path not in self._there:
            self._there[path] = self.epochs(path)[0]
        return self._there[path]

    def trial(self, key: str) -> dict[str, Any] | None:
        return super().trial(key) if f"trials/{key}" in self._trials else None


# Epochs

T = TypeVar("T")


def _alike(every: Iterable[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    """Those with the same key together."""
    found: dict[Hashable, list[T]] = {}
    for one in every:
        found.setdefault(key(one), []).append(one)
    return list(found.values())


def _shared(trials: Sequence[TrialSpec]) -> Range:
    """What the trials of one seed come to from the start."""
    epochs = trials[0].task.epochs
    choices = [_choice(spec.policy, epochs) for spec in trials]
    return Range(fewest(choices, epochs), most(choices, epochs))


def _choice(policy: Policy, epochs: int, behind: int = -1) -> Choice:
    """What a policy may still do that has not acted after ``behind`` epochs."""
    earliest, latest = policy.first_action(epochs) or (epochs, epochs)
    if latest <= behind:  # its cut removed nothing
        earliest = latest = epochs
    return Choice(policy.action_key(), max(earliest, behind + 1), latest, max(behind, 0))


def _left(riders: Sequence[Rider]) -> Range:
    """What riders of one trunk lack, from where each of them waits."""
    epochs = riders[0].epochs if riders else 0
    choices: list[Choice] = []
    known: dict[Hashable, set[int]] = {}
    waiting: dict[str, int] = {}
    for rider in riders:
        state = rider.state
        if state.failure is not None:
            continue
        if state.turns:
            known.setdefault(rider.policy.action_key(), set()).add(state.turns[0].epoch)
            if not rider.finished:
                reached = min(max(state.epoch, 0), waiting.get(state.path, epochs))
                waiting[state.path] = reached
        elif not rider.finished:
            choices.append(_choice(rider.policy, epochs, state.epoch))
    tails = Count(tails=sum(epochs - reached for reached in waiting.values()))
    return Range(
        fewest(choices, epochs, known) + tails,
        most(choices, epochs, known) + tails,
    )


# Hours


class _Hours:
    """Device-hours of epochs, by what the trials measure."""

    def __init__(self, timings: Timings, trials: Sequence[TrialSpec]) -> None:
        self.timings, self.trials = timings, trials
        sections = [probe_sections(spec.policy.probes()) for spec in trials]
        self.dense = timings.dense_hours(set().union(*sections))
        self.own = [(timings.dense_hours(own), timings.pruned_hours(own)) for own in sections]
        pruning = [
            pruned
            for spec, (_, pruned) in zip(trials, self.own, strict=True)
            if spec.policy.first_action(spec.task.epochs)
        ]
        self.pruned = sum(pruning) / len(pruning) if pruning else 0.0

    def of(self, counts: Range) -> dict[str, float]:
        """Of shared training."""
        found = sorted(
            count.trunk * self.dense + count.tails * self.pruned
            for count in (counts.least, counts.most)
        )
        return dict(zip(("min", "max"), found, strict=True))

    def alone(self) -> float:
        """Of each trial for itself, if it acts in the middle of its span."""
        hours = 0.0
        for spec, (dense, pruned) in zip(self.trials, self.own, strict=True):
            epochs = spec.task.epochs
            span = spec.policy.first_action(epochs) or (epochs, epochs)
            acts = sum(span) / 2
            hours += acts * dense + (epochs - acts) * pruned
        return hours

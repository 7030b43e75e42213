"""One path is trained for those who ride it, until all have left it or it ends.

A ride knows neither Ray nor torch: it drives whatever can train an epoch. One worker calls
``advance``, and ``report`` when ``due``; to advance again is to be told yes to what was proposed.
Kept true, wherever the process is killed:

- Riders decide here, after the epoch and before its record is written: slow policies run side by
  side, on the device that waits for them, and one that ends the process leaves no record on which
  it would decide again in the driver, and end that.
- First the snapshot, then the record, and only then goes the snapshot before: who takes over goes
  on from the last record, and trains only the epoch in flight again.
- Every second of every device is charged once, by ``charge``; who pays stands in the record, so
  that the books survive with the epoch. An epoch trained again adds to what it cost before.
- Where all have left, the training in memory goes on with the first of them: nothing is read back,
  and a trial that is alone is never opened again. The others' forks begin at the snapshot.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from pruning.actions import Action
from pruning.history import Record
from pruning.saliency import Probe
from pruning.structure.layout import Layout
from pruning.training.task import Task
from sweeps.sharing.charges import charge
from sweeps.sharing.library import Gone, Library, line, nearest_snapshot
from sweeps.sharing.rider import Rider, State
from sweeps.storage.store import Stored

Keep = Literal["all", "trunk", "forks"] | int
"""Which snapshots stay: all, those of dense training, or every n-th epoch's; and always those where
a path forked, and the last of each path."""


class Training(Protocol):
    """What a ride drives; ``pruning.training.loop.Training`` is one."""

    @property
    def epoch_number(self) -> int: ...  # epochs trained so far, -1 before the first record
    @property
    def layout(self) -> Layout: ...
    @property
    def class_names(self) -> tuple[str, ...] | None: ...
    def begin(self) -> Record: ...
    def epoch(self) -> Record: ...
    def apply(self, action: Action) -> None: ...
    def watch(self, probes: Sequence[Probe]) -> None: ...


class Trainer(Protocol):
    """Opens trainings, from the start or a snapshot, and takes snapshots of them."""

    def open(
        self,
        task: Task,
        seed: int,
        probes: Sequence[Probe],
        snapshot: bytes | None,
        records: Sequence[Record],
    ) -> Training: ...
    def take(self, training: Any) -> bytes: ...


@dataclass
class Report:
    """What has happened on a ride since its last report.

    path: that it is on. states: of those who rode it, by trial. epochs: what is stored, with the
    path it is of. trained: how many epochs were trained. news: whether a rider has turned or
    ended. proposal: where it could go on at once, as all have left this path; to be driven on is to
    be told yes. over: nothing is left to do.
    """

    path: str
    states: dict[str, State] = field(default_factory=dict)
    epochs: list[tuple[str, Stored]] = field(default_factory=list)
    trained: int = 0
    news: bool = False
    proposal: str | None = None
    over: bool = False

    def to_json(self) -> dict[str, Any]:
        """As it travels."""
        return {
            "path": self.path,
            "states": {key: state.to_json() for key, state in self.states.items()},
            "epochs": [(path, stored.to_json()) for path, stored in self.epochs],
            "trained": self.trained,
            "news": self.news,
            "proposal": self.proposal,
            "over": self.over,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Report:
        """The inverse of ``to_json``."""
        states = {key: State.from_json(state) for key, state in data["states"].items()}
        epochs = [(path, Stored.from_json(stored)) for path, stored in data["epochs"]]
        rest = {name: data[name] for name in ("trained", "news", "proposal", "over")}
        return cls(data["path"], states, epochs, **rest)


class Ride:
    """Trains a path epoch by epoch; after each one its riders decide.

    measure: on this path, whoever rides it, until an epoch: policies that come later need none of
    it again.
    devices: that it holds; each second of each is charged to a rider. careful: leave a note of who
    decides after the first epoch, as that may have ended a process before. clock: the seconds that
    the devices work (``clock_of``).
    Raises Gone where the store no longer has what the riders have seen.
    """

    def __init__(
        self,
        path: str,
        riders: Sequence[Rider],
        library: Library,
        trainer: Trainer,
        keep: Keep = "trunk",
        measure: Sequence[tuple[Probe, int]] = (),
        devices: float = 1,
        careful: bool = False,
        marks: Collection[int] = (),
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.path = path
        self.riders = sorted(riders, key=lambda rider: rider.order)
        self.library, self.store = library, library.store
        self.trainer, self.keep, self.devices = trainer, keep, devices
        self.careful, self.marks, self.clock = careful, frozenset(marks), clock
        self._measure = (path, measure)
        self._training: Training | None = None
        self._stored: set[int] = set()  # epochs of this path that had a record when it was opened
        self._passing: tuple[str, int] | None = None  # the newest snapshot, if it need not stay
        self._mark = self._uncharged = 0.0
        self._report = Report(path)

    def advance(self) -> None:
        """Train one epoch more and let the riders decide."""
        # Since the last call the worker has reported and waited for the driver, which is charged to
        # nobody; what the last epoch did after its record was written is charged to this one.
        self._mark = self.clock() - self._uncharged
        if self._report.proposal:
            self._turn(self._report.proposal)
        if not self._aboard(self.path):  # here, none of their policies can be asked
            self._report.over = True
            return
        training = self._training = self._training or self._open()
        epoch = training.epoch_number + 1
        there = self.store.record(self.path, epoch) if epoch in self._stored else None
        if there and (there.record.diverged or there.measured.issuperset(self._needed(epoch))):
            # Trained again for a probe, riders come to where nothing is missing: the tree replays.
            self._report.epochs.append((self.path, there.figures()))
            self._report.over = True
        else:
            self._train(training, self.path)
            self._look_ahead()
        self._uncharged = self.clock() - self._mark

    @property
    def due(self) -> bool:
        """Whether something has happened that others wait for."""
        return self._report.news or self._report.over

    def report(self) -> Report:
        """What has happened since the last report; whoever has left is no rider any more."""
        report, self._report = self._report, Report(self.path, proposal=self._report.proposal)
        report.states = {rider.key: rider.state for rider in self.riders}
        self.riders = self._aboard(report.proposal or self.path)
        return report

    def _aboard(self, path: str) -> list[Rider]:
        return [r for r in self.riders if r.state.path == path and not r.ended]

    def _needed(self, epoch: int) -> dict[str, Probe]:
        riders = [rider for rider in self._aboard(self.path) if rider.asks(epoch)]
        return {key: probe for rider in riders for key, probe in rider.wants.probes.items()}

    def _probes(self, epoch: int) -> dict[str, Probe]:
        path, measure = self._measure
        more = measure if path == self.path else ()
        found = {probe.key: probe for probe, until in more if epoch <= until}
        return self._needed(epoch) | found

    def _look_ahead(self) -> None:
        if self._aboard(self.path):
            return
        going_on = [rider.state.path for rider in self.riders if not rider.ended]
        self._report.proposal = going_on[0] if going_on else None
        self._report.over = not going_on

    def _turn(self, path: str) -> None:
        """Go on with the path onto which riders have turned."""
        assert self._training is not None
        self._leave_for(path, self._training)
        self.path, self._stored = path, self.store.epochs(path)[0]
        self._report = Report(path)

    # Opening

    def _open(self) -> Training:
        """The training where the riders need it, gone on with from the nearest snapshot before."""
        way = line(self.store, self.path)
        if self.careful:
            # A note of an earlier loss would blame whoever decided then for this one.
            self.store.note_decider(self.path, "")
        self._stored = self.store.epochs(self.path)[0]
        target = min(rider.state.epoch for rider in self._aboard(self.path))
        leg, training = self._nearest(target)
        # Epochs whose snapshot was not kept, or is damaged, are trained again on the way.
        while True:
            owner, end = way[leg]
            if end >= 0 and training.epoch_number == end:
                leg += 1
                self._leave_for(way[leg][0], training)
            elif training.epoch_number < target:
                self._train(training, owner)
            else:
                return training

    def _nearest(self, target: int) -> tuple[int, Training]:
        trunk = self.library.trunk(self.path)
        task, seed = trunk.task, trunk.seed
        assert task is not None
        asked = {key: p for rider in self.riders for key, p in rider.wants.probes.items()}
        probes = list((asked | {p.key: p for p, _ in self._measure[1]}).values())
        leg, data, records = nearest_snapshot(self.library, self.path, target)
        training = self.trainer.open(task, seed, probes, data, records)
        # Decisions name units by number: in a network that another version found other units of,
        # those would be others.
        if self.library.layout(self.path) not in (None, training.layout):
            raise ValueError(
                "what is stored of this network was trained by a version of earlyprune that found "
                "other units in it: give the sweep a new storage"
            )
        return leg, training

    def _leave_for(self, path: str, training: Training) -> None:
        origin = self.store.path(path)
        if origin is None or origin.action is None:
            raise Gone(f"what path {path} is")
        training.apply(origin.action)

    # An epoch

    def _train(self, training: Training, path: str) -> None:
        """Train an epoch of a path; let those decide who ride it; store what it left behind."""
        began_at, begins = time.perf_counter(), training.epoch_number < 0
        probes = self._probes(training.epoch_number + 1)
        training.watch(list(probes.values()))
        record = training.begin() if begins else training.epoch()
        epoch = record.epoch
        aboard = self._aboard(self.path)
        measured = frozenset(probes)
        layout = training.layout if begins else None
        fresh = Stored(record, devices=self.devices, measured=measured, layout=layout)
        if begins:
            fresh = replace(fresh, class_names=training.class_names)
        was_there = path != self.path or epoch in self._stored
        before = self.store.record(path, epoch) if was_there else None
        # Riders decide on what the library holds, as the record is not in the store yet.
        self.library.add(path, before.again(fresh) if before else fresh)

        # Who has this epoch behind it needs it no more, unless all have: then it is trained again
        # to bring them to where they stand.
        paying = [rider for rider in aboard if rider.state.epoch < epoch] or aboard
        deciding = [r for r in aboard if path == self.path and r.state.epoch == epoch - 1]
        decided = self._decide(epoch, deciding)
        turned = any(rider.state.path != path for rider in deciding)

        began = self.clock()
        self.store.write_snapshot(path, epoch, self.trainer.take(training))
        seconds = {**record.seconds, "snapshot": self.clock() - began}
        now = self.clock()
        spent, self._mark = now - self._mark, now
        rest = spent - sum(seconds.values()) - sum(decided.values())
        seconds["other"] = max(0.0, rest)  # of several processes, each has worked its own seconds
        charges = charge(paying, seconds, decided, self.devices)
        wall = time.perf_counter() - began_at
        fresh = replace(fresh, record=replace(record, seconds=seconds), charges=charges, wall=wall)
        stored = before.again(fresh) if before else fresh
        self.store.write_record(path, stored)
        self._report.epochs.append((path, stored.figures()))
        self._report.trained += not begins
        self._report.news |= turned or any(rider.ended for rider in deciding) or epoch in self.marks

        # Not before the record is there: killed above, the path goes on from this older one.
        if self._passing:
            self.store.drop_snapshot(*self._passing)
        stays = turned or self._stays(path, epoch)
        self._passing = None if stays else (path, epoch)

    def _decide(self, epoch: int, deciding: Sequence[Rider]) -> dict[str, float]:
        """Let riders decide; returns the seconds each took."""
        took: dict[str, float] = {}
        history = self.library.history(self.path, epoch) if deciding else None
        for rider in deciding:
            assert history is not None
            began = self.clock()
            if self.careful:
                self.store.note_decider(self.path, rider.key)
            rider.decide(epoch, history, self.store.fork, self.clock)
            took[rider.key] = self.clock() - began
        if self.careful and deciding:
            # It was opened at the last record, and policies are pure: who ended the worker there
            # before has done so by now. Later epochs are spared the writing.
            self.store.note_decider(self.path, "")
            self.careful = False
        return took

    def _stays(self, path: str, epoch: int) -> bool:
        origin = self.store.path(path)
        trunk = origin is not None and origin.task is not None
        nth = isinstance(self.keep, int) and epoch % self.keep == 0
        last = epoch >= self.library.trunk(path).epochs
        return last or nth or self.keep == "all" or (self.keep == "trunk" and trunk)

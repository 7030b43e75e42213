"""The driver of a sweep: lets trials join the tree, and passes on what becomes of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pruning.settings import digest
from sweeps.file.sweep import Sweep
from sweeps.file.trials import TrialSpec
from sweeps.results.curves import Point, course
from sweeps.running.journal import Journal
from sweeps.running.progress import Display
from sweeps.sharing.library import Library
from sweeps.sharing.ride import Report
from sweeps.sharing.rider import Rider, remembered
from sweeps.sharing.tree import Tree
from sweeps.storage.files import StorageError
from sweeps.storage.store import Origin, Store
from sweeps.tracking.tracker import Tracker

if TYPE_CHECKING:  # Optuna takes a second to import
    from sweeps.search.searcher import Searcher
    from sweeps.search.study import Study

SLOTS_SECONDS = 5.0
"""How often it is asked how much the cluster can train at once, as it may grow and shrink."""


class Driver:
    """What holds a running sweep together, between the tree, the journal and the search.

    name: that results are kept under. independent: whether every trial is trained alone. study: of
    the search, if the sweep has one.
    """

    def __init__(
        self,
        sweep: Sweep,
        name: str,
        store: Store,
        tracker: Tracker,
        display: Display,
        independent: bool = False,
        study: Study | None = None,
    ) -> None:
        self.sweep, self.name, self.store = sweep, name, store
        self.independent, self.display = independent, display
        self.library = Library(store)
        self.trials: dict[str, TrialSpec] = {}
        self.journal = Journal(self.trials, self.library, tracker, display)
        # The table keeps its order from run to run, though trials of a search join as they come.
        self._places = {key: place for place, key in enumerate(_keys(store, name))}
        self._spent: dict[tuple[str, int], float] = {}  # device-seconds, by path and epoch
        self._announced: set[str] = set()  # trunks on which all that may come is measured
        self._slots = (0.0, 1)  # when they were counted, how many
        self._policies = [policy for _, _, policy in sweep.examples()] if sweep.search else []
        self.searcher = self._search(study) if study else None
        self.stopping = self.searcher.stopping if self.searcher else None
        self.tree = Tree(self.library, sweep.retries, self.stopping)

    def start(self, trials: Iterable[TrialSpec]) -> None:
        """Let these trials join, and those of a search that was begun before."""
        self.add(trials)
        if self.searcher:
            begun = self.searcher.start()
            for spec in self.searcher.resting:
                *before, _ = spec.line()
                begun += before  # what a paused control is compared with has run
                self.trials[self.key(spec)] = spec
                self.journal.resting.add(self.key(spec))
            self.add(begun)
        self._write()

    def add(self, specs: Iterable[TrialSpec]) -> None:
        """Let trials join, or come back, with all that they refer to."""
        line = {self.key(one): one for spec in specs for one in spec.line()}
        joining = {
            key: one
            for key, one in line.items()
            if key not in self.trials or key in self.journal.resting
        }
        self.trials |= joining
        self.journal.resting -= joining.keys()
        self.display.trials = len(self.trials)
        if joining:
            self._write()
        for key, spec in joining.items():
            self._join(key, spec)
            self.heard(None)

    def heard(self, report: Report | None) -> None:
        """Something has happened in the tree."""
        for path, stored in report.epochs if report else ():
            own = sum(spent for key, spent in stored.charges.items() if key in self.trials)
            self._spent[path, stored.record.epoch] = own
        self.journal.heard(report, self.tree.riders)
        while self.tree.paused:
            rider = self.tree.paused.pop(0)
            self.journal.paused(rider)
            if self.searcher:
                self.searcher.pause(self.trials[rider.key].address)
        while self.tree.ended:
            rider, epochs = self.tree.ended.pop(0)
            for stored, place in zip(epochs, self.library.owners(rider), strict=False):
                own = sum(spent for key, spent in stored.charges.items() if key in self.trials)
                self._spent[place] = own
            if self.stopping and rider.finished:
                self.stopping.compare(rider)
            self._ended(self.trials[rider.key], self.journal.ended(rider, epochs))

    def more(self) -> bool:
        """Begin what the search wants next. Returns whether more may come later."""
        if self.searcher is None:
            return False
        # No sooner than somebody can train it: every draw later is made knowing more.
        if self.tree.running < self._free():
            self.add(self.searcher.more())
        # Nothing else is left to do. Run again, it goes on: so this is no bad input, but code 3.
        if self.searcher.study.hopeless and self.tree.done:
            raise StorageError("the study's database does not come back; run again to go on")
        return not self.searcher.done

    def _search(self, study: Study) -> Searcher:
        from sweeps.search.searcher import Searcher

        return Searcher(self.sweep, study, self._course, self._free, self._hours)

    def key(self, spec: TrialSpec) -> str:
        """The name of a trial in the store and in the tree."""
        return digest([spec.address, "alone"]) if self.independent else spec.address

    def _join(self, key: str, spec: TrialSpec) -> None:
        known = self.store.trial(key)
        state, fatal = remembered(known, spec.policy)
        if known and fatal:  # it would end this process too
            self.journal.final(spec, known, [])
            return self._ended(spec, known)
        trunk = Origin(spec.task, spec.seed, key if self.independent else None)
        if trunk.address not in self._announced:
            self._announced.add(trunk.address)
            for policy in self._policies:
                self.tree.announce(trunk, policy)
        after = self.key(spec.reference) if spec.reference else None
        # Called back, it has its old place: who pays for what is shared must not change.
        before = self.tree.riders.get(key)
        order = before.order if before else len(self.tree.riders)
        self.tree.join(Rider(key, spec.policy, trunk, spec.task.epochs, order, state, after))

    def _ended(self, spec: TrialSpec, result: Any) -> None:
        if self.searcher:
            self.add(self.searcher.ended(spec, result))

    def _write(self) -> None:
        described: list[dict[str, Any]] = [
            {"id": spec.id, "key": key, "setting": spec.shown, "seed": spec.seed}
            for key, spec in self.trials.items()
        ]
        described.sort(key=lambda one: self._places.get(one["key"], len(self._places)))
        config = self.sweep.model_dump(mode="json", exclude={"search": {"study"}})
        content = {
            "name": self.name,
            "objectives": self.sweep.objectives,
            "reference": self.sweep.reference,
        }
        self.store.write_sweep(self.name, {**content, "trials": described, "config": config})

    # What the search asks

    def _course(self, rider: Rider) -> Sequence[Point]:
        return course(self.library.course(rider.state.path, rider.state.epoch), rider)

    def _hours(self) -> float:
        return sum(self._spent.values()) / 3600

    def _free(self) -> int:
        """How many branches the cluster can train at once."""
        now = time.monotonic()
        if now - self._slots[0] > SLOTS_SECONDS:
            self._slots = now, slots(self.sweep.resources.cpus, self.sweep.resources.gpus)
        return self._slots[1]


def _keys(store: Store, name: str) -> list[str]:
    """The trials of this sweep as it was run before, in the order of its table."""
    if name not in {sweep["name"] for sweep in store.sweeps()}:
        return []
    return [trial["key"] for trial in store.read_sweep(name)["trials"]]


def slots(cpus: float, gpus: float) -> int:
    """How many trials of this size Ray's cluster holds, one at least."""
    import ray

    there = ray.cluster_resources() if ray.is_initialized() else {}
    wanted = {"CPU": cpus, "GPU": gpus}
    return max(1, int(min(there.get(kind, 0.0) / need for kind, need in wanted.items() if need)))

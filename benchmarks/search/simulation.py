"""A search of the sweep without training: what it asks for is answered from the table.

The searcher and its study are the project's own. An epoch costs what it cost when it was stored,
once for all trials that stand on it; a trial that was not trained by then waits for whoever does.
Whether a trial is to be paused is asked after every epoch that is trained for it: as the tree asks
where an epoch takes a second or more.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.search.even import Place
from benchmarks.search.table import Table, Way
from sweeps.file.sweep import Sweep
from sweeps.file.trials import TrialSpec
from sweeps.results.curves import Point
from sweeps.search.searcher import Searcher
from sweeps.search.study import Study
from sweeps.sharing.rider import Rider


@dataclass
class Course:
    """How a search went.

    found: the settings that were finished, in order, each with how many trials of the study had
    begun by then and the device-seconds spent. begun: the device-seconds spent when each trial of
    the study began. spent: at the end. settings: that were drawn. trainings: trials that ended,
    one a seed. paused: settings that were paused and never finished.
    """

    found: dict[str, tuple[int, float]] = field(default_factory=dict)
    begun: list[float] = field(default_factory=list)
    spent: float = 0.0
    settings: set[str] = field(default_factory=set)
    trainings: int = 0
    paused: set[str] = field(default_factory=set)


@dataclass(eq=False)
class _Run:
    """A trial on its way: in which epoch, and whether that is trained for it."""

    way: Way
    epoch: int = -1
    training: bool = False
    resting: bool = False

    @property
    def over(self) -> bool:
        return self.epoch + 1 == len(self.way.places)


class Simulation:
    """One search, from its first trial to its last."""

    def __init__(self, table: Table, sweep: Sweep, study: Study) -> None:
        self.table, self.sweep = table, sweep
        self.searcher = Searcher(sweep, study, self._points, spent=self._hours)
        self.course = Course()
        self._runs: dict[str, _Run] = {}
        self._due: list[tuple[float, int, _Run]] = []  # a heap by when, then by who was first
        self._after: dict[str, list[_Run]] = {}  # controls, by the trial they wait for
        self._done: dict[Place, float] = {}  # when each epoch was there
        self._number = 0

    def run(self) -> Course:
        """First what is no part of the search, on all seeds, then the search."""
        self._begin(self.sweep.trials(), 0.0)
        now = self._drain(0.0)
        self._begin(self.searcher.start(), now)
        while not self.searcher.done:
            self._more(now)
            if not self._due and not self.searcher.done:
                raise RuntimeError("the search waits for something that nobody trains")
            now = self._drain(now, search=True)
        self.searcher.close()
        points = self.searcher.points
        self.course.settings = {spec.group for point in points for spec in point.begun}
        self.course.paused = {s.group for s in self.searcher.resting} - self.course.found.keys()
        return self.course

    def _drain(self, now: float, search: bool = False) -> float:
        """Let all trials go on to their ends. Returns when that was."""
        while self._due:
            now, _, run = heapq.heappop(self._due)
            self._arrive(run, now)
            if not run.over and not run.resting:
                self._go_on(run, now)
            elif search:
                self._more(now)
        return now

    def _more(self, now: float) -> None:
        new = self.searcher.more()
        self.course.begun += [self.course.spent] * (
            len(self.searcher.points) - len(self.course.begun)
        )
        self._begin(new, now)

    def _begin(self, specs: Iterable[TrialSpec], now: float) -> None:
        """As the driver: with what they are compared with, and those that rest go on."""
        for spec in (one for given in specs for one in given.line()):
            run = self._runs.get(spec.address)
            if run is None:
                run = self._runs[spec.address] = _Run(self.table.ways[spec.address])
                before = spec.reference and self._runs[spec.reference.address]
                if before and not before.over:
                    self._after.setdefault(before.way.spec.address, []).append(run)
                    continue
            elif not run.resting:
                continue
            run.resting = False
            self._push(run, now)

    def _push(self, run: _Run, now: float) -> None:
        self._number += 1
        heapq.heappush(self._due, (now, self._number, run))

    def _go_on(self, run: _Run, now: float) -> None:
        """Into the next epoch; who comes there first pays for it."""
        run.epoch += 1
        place = run.way.places[run.epoch]
        run.training = place not in self._done
        if run.training:
            seconds = self.table.seconds[place]
            self._done[place] = now + seconds
            self.course.spent += seconds
        deciding = run.way.deciding(run.epoch)
        self.course.spent += deciding
        self._push(run, max(now, self._done[place]) + deciding)

    def _arrive(self, run: _Run, now: float) -> None:
        """At the end of an epoch."""
        if run.training:
            run.training = False
            self._judge(run)
        if run.over:
            self._end(run, now)

    def _judge(self, run: _Run) -> None:
        rider = run.way.rider(run.epoch)
        going_on = [] if run.over else [rider]
        judge = self.searcher.stopping
        hopeless = judge is not None and judge.hopeless([rider], going_on)
        if hopeless and going_on and rider.key not in self._after:
            run.resting = True
            self.searcher.pause(rider.key)

    def _end(self, run: _Run, now: float) -> None:
        spec = run.way.spec
        self.course.trainings += 1
        self.course.found.setdefault(spec.group, (len(self.searcher.points), self.course.spent))
        for control in self._after.pop(spec.address, ()):
            self._push(control, now)
        self._begin(self.searcher.ended(spec, run.way.result), now)

    def _points(self, rider: Rider) -> Sequence[Point]:
        return self.table.ways[rider.key].points[: rider.state.epoch]

    def _hours(self) -> float:
        return self.course.spent / 3600

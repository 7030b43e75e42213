"""The tree of shared training: who rides which path, and what is to be trained next.

A state machine without Ray, clock or threads, so that thousands of courses full of kills, damage
and late riders can be tried (tests/sweeps/test_tree_simulated.py). One driver calls it, from one
thread. Riders join, follow what is stored, and wait where the next epoch is not; who waits on the
same path rides one branch. ``next`` hands a branch out; ``report``, ``lost`` or ``astray`` say what
became of it, and the tree says who goes on where. Kept true after every call:

- A path is trained by one branch at a time. So no epoch is trained twice, unless it was lost, or
  lacks a probe, or the snapshot to go on from was not kept.
- A rider is aboard one branch, in one queue, behind the trial it is compared with, paused, or done.
- Nothing here has to survive: a driver that was killed joins all riders again, and they follow.

A killed worker's branch goes on in ``lost``: its riders read what it has stored, up to the epoch in
flight, and wait again; the next worker opens their path at its last snapshot.

At first each decision looked through all riders; for 10,000 (`benchmarks.sharing.scale`) queues
know their rank, and trunks their probes. Known limit: who joins late decides on stored epochs here,
in the driver's own process and time (``_follow_one``), slow policies, too.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from pruning.policies import Policy
from pruning.saliency import Probe
from sweeps.sharing.library import Gone, Library
from sweeps.sharing.ride import Report
from sweeps.sharing.rider import ENDED_WORKER, Rider, Wants
from sweeps.storage.store import Origin, Stored

_Place = tuple[str, int]


@dataclass(eq=False)
class Branch:
    """A path that is being trained for its riders."""

    number: int
    path: str
    riders: list[Rider]
    measure: list[tuple[Probe, int]]  # on dense training, until this epoch, whoever has left it
    careful: bool = False  # one of its riders was on a branch that was lost
    began: dict[str, _Place] = field(default_factory=dict)  # where each rider was, by trial


class _Queue:
    """Those who wait for the next epochs of a path.

    rank: where they stand in line: the most epochs left first, then the order of the sweep.
    """

    def __init__(self) -> None:
        self.riders: list[Rider] = []
        self.rank = (0, 0)

    def add(self, rider: Rider) -> None:
        self.riders.append(rider)
        # The longest way first: begun last, it alone would be left running at the end.
        rank = (rider.state.epoch - rider.epochs, rider.order)
        self.rank = min(self.rank, rank) if len(self.riders) > 1 else rank


class Judge(Protocol):
    """Says where it is not worth going on."""

    def marks(self, epochs: int) -> list[int]:
        """After which epochs of a training it wants to be asked."""

    def hopeless(self, aboard: Sequence[Rider], going_on: Sequence[Rider]) -> bool:
        """Whether a branch may rest; of those aboard some have just left it."""


class Tree:
    """Riders on their ways.

    judge: whose riders may be paused, all of a branch at once. A paused rider is out of the tree
    until it joins again. retries: how often in a row a branch may be lost without a new epoch
    before its riders have failed. From the second time on notes are left of who is deciding, and
    only who ended the process with it is to blame.
    """

    def __init__(self, library: Library, retries: int = 2, judge: Judge | None = None) -> None:
        self.library, self.retries, self.judge = library, retries, judge
        self.riders: dict[str, Rider] = {}
        self.ended: list[tuple[Rider, list[Stored]]] = []  # with the epochs they stand on
        self.paused: list[Rider] = []  # since somebody looked
        self._waiting: dict[str, _Queue] = {}
        self._running: dict[str, Branch] = {}
        self._branches: dict[int, Branch] = {}
        self._numbers = itertools.count()
        self._order: list[tuple[int, int, str]] = []  # (-epochs left, order, path), a heap
        self._measured: dict[
            str, dict[str, tuple[Probe, int]]
        ] = {}  # by trunk, with its last epoch
        self._dependents: dict[str, list[Rider]] = {}  # controls, by the trial they wait for
        self._losses: dict[str, int] = {}  # in a row without a new epoch, by trial

    @property
    def running(self) -> int:
        """How many branches are out."""
        return len(self._branches)

    @property
    def done(self) -> bool:
        """Whether every rider has ended."""
        return not self._waiting and not self._branches and not self._dependents

    def join(self, rider: Rider) -> None:
        """Let a rider follow what is stored and wait for the rest; at any time.

        A control waits until the trial has ended that it is compared with, which joins before it.
        """
        self.riders[rider.key] = rider
        # Before anybody waits: dense training measures for all, also for those who leave it early,
        # or a policy that is added later would need its epochs once more.
        self._announce(rider.trunk, rider.wants)
        self.library.store.know(rider.trunk)
        if rider.after is None:
            return self._place(rider)
        before = self.riders.get(rider.after)
        if before and not before.ended:
            self._dependents.setdefault(before.key, []).append(rider)
        else:
            self._compare(rider, before)

    def announce(self, trunk: Origin, policy: Policy) -> None:
        """Measure what this policy asks for on a trunk, as it may join later."""
        with suppress(Exception):  # of a policy that cannot say it, its riders will fail
            self._announce(trunk, Wants.of(policy, trunk.epochs))

    def _announce(self, trunk: Origin, wants: Wants) -> None:
        asked = self._measured.setdefault(trunk.address, {})
        until = max(wants.epochs[False], default=-1)
        for key, probe in wants.probes.items():
            asked[key] = probe, max(until, asked.get(key, (probe, -1))[1])

    def next(self) -> Branch | None:
        """The branch to train next, the longest first; None if all that is needed is running."""
        while self._order:
            # Entries stay in the heap when their queue goes, runs, or gets another rank.
            left, order, path = heapq.heappop(self._order)
            queue = self._waiting.get(path)
            if queue and path not in self._running and (left, order) == queue.rank:
                return self._begin(path, queue.riders)
        return None

    def report(self, number: int, report: Report) -> bool:
        """Take in what a branch has done. Returns whether it is to go on."""
        branch = self._branches[number]
        for path, stored in report.epochs:
            self.library.add(path, stored)
        riders = branch.riders
        # The worker decided on copies of these riders; theirs are the states that count.
        for rider in riders:
            before, rider.state = _place_of(rider), report.states[rider.key]
            if _place_of(rider) != before:
                self._losses.pop(rider.key, None)
        on = report.proposal or branch.path
        # Another branch is on the path proposed: two would train it twice. These riders wait for
        # what that one stores.
        if report.over or (report.proposal and on in self._running):
            on = ""
        branch.riders = [r for r in riders if r.state.path == on and not r.ended]
        rest = self._rest(riders, branch.riders)
        if rest:
            self.paused += branch.riders
        going_on = {rider.key for rider in branch.riders}
        if rest or not branch.riders:
            self._finish(branch)
        elif on != branch.path:
            self._move(branch, on)
        for rider in riders:
            if rider.key not in going_on:
                self._place(rider)
        # A worker may have trained epochs of the paths before its own, too, on its way there.
        for path in {path for path, _ in report.epochs}:
            self._catch_up(path)
        return bool(going_on) and not rest

    def _rest(self, aboard: Sequence[Rider], going_on: Sequence[Rider]) -> bool:
        # The judge is asked though nobody goes on: it takes down how far those aboard have come.
        if self.judge is None or not self.judge.hopeless(aboard, going_on) or not going_on:
            return False
        # Who is waited for is not paused: its control would wait for ever.
        return not any(rider.key in self._dependents for rider in going_on)

    def lost(self, number: int, reason: str, trace: str = "") -> None:
        """A branch has ended before its time: its riders go on from what is stored.

        trace: where in the code, if it could still say so.
        """
        branch = self._branches[number]
        self._finish(branch)
        # A policy may end its process (os.kill, out of memory), and takes all aboard with it. After
        # one loss it may have been the machine; from then on the worker notes who decides.
        decider = self.library.store.decider(branch.path) if branch.careful else ""
        blamed = [rider for rider in branch.riders if rider.key == decider]
        reason = f"{ENDED_WORKER} while it decided after" if blamed else f"{reason}, in"
        for rider in branch.riders:
            # What it stored and could not report any more is not trained again, and counts as
            # progress: machines that are taken away now and then fail nobody.
            self._follow(rider)
            if _place_of(rider) != branch.began[rider.key]:
                self._losses[rider.key] = 0
            if rider in (blamed or branch.riders):
                self._blame(rider, f"{reason} epoch {rider.state.epoch + 1}", trace)
            self._place(rider)

    def astray(self, number: int, reason: str) -> None:
        """A branch found that what its riders have seen is not stored any more."""
        branch = self._branches[number]
        self._finish(branch)
        for rider in branch.riders:
            self._restart(rider)
            # A machine that does not see the storage finds nothing each time: this has to end.
            self._blame(rider, reason)
            self._place(rider)

    def _blame(self, rider: Rider, reason: str, trace: str = "") -> None:
        self._losses[rider.key] = self._losses.get(rider.key, 0) + 1
        if self._losses[rider.key] > self.retries and not rider.ended:
            rider.state.failure, rider.state.trace = reason, trace

    # Riders

    def _place(self, rider: Rider) -> None:
        """Let a rider follow what is stored, then wait, or end."""
        self._follow(rider)
        if rider.ended:
            return self._end(rider)
        path = rider.state.path
        queue = self._waiting.setdefault(path, _Queue())
        queue.add(rider)
        if path not in self._running:
            heapq.heappush(self._order, (*queue.rank, path))

    def _end(self, rider: Rider) -> None:
        try:
            course = self._course(rider)
        except Gone:  # it ended on epochs of which one was damaged or removed since
            self._restart(rider)
            return self._place(rider)
        self.ended.append((rider, course))
        for control in self._dependents.pop(rider.key, ()):
            self._compare(control, rider)

    def _compare(self, control: Rider, before: Rider | None) -> None:
        """Place a control, once the one has ended that it is compared with."""
        if before is None:
            # Who ended its worker in an earlier run does not join again, see Driver._join.
            control.state.failure = "the policy it is compared with is not tried again"
        elif before.state.failure is not None:
            control.state.failure = f"the policy it is compared with failed: {before.state.failure}"
        else:
            path, epoch = before.state.path, before.state.epoch
            try:
                control.refer(path, epoch, self.library.history(path, epoch).last)
            except Gone as what:
                control.state.failure = f"{what} is not in the storage any more"
        self._place(control)

    def _follow(self, rider: Rider) -> None:
        while not rider.ended:
            try:
                if not self._follow_one(rider):
                    return
            except Gone:
                self._restart(rider)

    def _restart(self, rider: Rider) -> None:
        """Back to the trunk, believing nothing that was read before."""
        self.library.forget()
        self.library.store.know(rider.trunk)  # its description may be what was lost
        rider.restart()

    def _course(self, rider: Rider) -> list[Stored]:
        path, epoch = rider.state.path, rider.state.epoch
        if rider.state.failure is not None and self.library.figures(path, epoch + 1):
            epoch += 1  # trained for it, though it did not get to decide
        return self.library.course(path, epoch)

    def _follow_one(self, rider: Rider) -> bool:
        """One epoch on, if it is stored."""
        path, epoch = rider.state.path, rider.state.epoch + 1
        stored = self.library.figures(path, epoch)
        diverged = stored is not None and bool(stored.record.diverged)
        if not (diverged or self.library.has(path, epoch, rider.needs(epoch))):
            return False
        if rider.knows(epoch) and not diverged:  # earlier builds went on
            rider.recall(epoch)
            # Only decisions describe the fork they lead to; of one recalled, that may be gone.
            if self.library.store.path(rider.state.path) is None:
                rider.restart()
        else:
            rider.decide(epoch, self.library.history(path, epoch), self.library.store.fork)
        return True

    def _catch_up(self, path: str) -> None:
        """New epochs of a path are stored: whoever joined it late follows."""
        late = self._waiting.pop(path, None)
        for rider in late.riders if late else ():
            self._place(rider)

    # Branches

    def _begin(self, path: str, waiting: list[Rider]) -> Branch:
        del self._waiting[path]
        # They need not stand at the same epoch: on a path that is stored, who lacks a probe waits
        # further back. The ride begins there.
        riders = sorted(waiting, key=lambda rider: rider.order)
        careful = any(self._losses.get(rider.key) for rider in riders)
        began = {rider.key: _place_of(rider) for rider in riders}
        measure = list(self._measured.get(path, {}).values())
        number = next(self._numbers)
        branch = Branch(number, path, riders, measure, careful, began)
        self._branches[branch.number] = self._running[path] = branch
        return branch

    def _move(self, branch: Branch, path: str) -> None:
        self._free(branch.path)
        branch.path = path
        self._running[path] = branch
        branch.began = {rider.key: _place_of(rider) for rider in branch.riders}

    def _finish(self, branch: Branch) -> None:
        del self._branches[branch.number]
        self._free(branch.path)

    def _free(self, path: str) -> None:
        del self._running[path]
        queue = self._waiting.get(path)
        if queue:
            heapq.heappush(self._order, (*queue.rank, path))


def _place_of(rider: Rider) -> _Place:
    return rider.state.path, rider.state.epoch

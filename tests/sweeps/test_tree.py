"""The tree, case by case: who goes first, who pays, who is to blame."""

from __future__ import annotations

import random
import signal
import sys
import warnings
from collections.abc import Iterator

import pytest
from simulated import FakeTraining, Whim, World, alone

from pruning import Policy, Prune
from pruning.history import History
from pruning.structure.layout import Layout
from sweeps.sharing.charges import charge
from sweeps.sharing.rider import ENDED_WORKER, Rider
from sweeps.storage.store import Origin


class At(Policy):
    """Removes one unit after an epoch."""

    name = "at"
    epoch: int
    unit: int = 0

    def decide(self, history: History) -> Prune | None:
        return Prune.of([self.unit]) if history.epoch == self.epoch else None


class Deadly(Policy):
    """Takes its process with it."""

    name = "deadly"

    def decide(self, history: History) -> Prune | None:
        if history.epoch == 2:
            signal.raise_signal(signal.SIGINT)  # no wall holds that
        return None


class Unasked(Policy):
    """Cannot say what it measures."""

    name = "unasked"

    def asks(self, epoch: int, epochs: int, acted: bool) -> bool:
        sys.exit(0)

    def decide(self, history: History) -> Prune | None:
        return None


class Mortal(World):
    """A world where a policy may end the process that asks it, as the system would."""

    def work(self) -> None:
        running = dict(self.rides)
        for number, (branch, ride) in running.items():
            del self.rides[number]
            try:
                ride.advance()
            except KeyboardInterrupt:
                self.tree.lost(branch.number, "its worker died")
            else:
                if self.tree.report(number, ride.report()):
                    self.rides[number] = branch, ride
            self.settle()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def world(*policies: Policy, kind: type[World] = World, epochs: int = 6, **options: int) -> World:
    settings = {"workers": 1, "keep": "all", **options}
    found = kind(random.Random(0), [(p, 0) for p in policies], epochs, **settings)  # type: ignore[arg-type]
    while found.late:
        found.join_late()
    return found


def test_the_longest_is_handed_out_first_then_the_order_of_the_sweep() -> None:
    found = world(*(At(epoch=epoch, unit=unit) for epoch in (4, 1, 2) for unit in (1, 0)))
    branch = found.tree.next()
    assert branch is not None
    found.rides[branch.number] = branch, found.ride(branch)
    while found.rides:
        found.work()
    waiting = []
    while branch := found.tree.next():
        rider = branch.riders[0]
        waiting.append((rider.state.epoch, rider.policy.unit))  # type: ignore[attr-defined]
    assert waiting == [(1, 1), (1, 0), (2, 1), (2, 0), (4, 0)]  # (4, 1) goes on where it is


def test_who_decides_alike_rides_on_together() -> None:
    found = world(At(epoch=2), At(epoch=2), At(epoch=2, unit=5))
    found.run([], 0)
    assert sum(found.trainer.trained.values()) == 2 + 4 + 4


def test_a_path_that_nobody_rides_stops_at_once() -> None:
    found = world(At(epoch=2), At(epoch=3))
    found.run([], 0)
    assert sum(found.trainer.trained.values()) == 3 + 4 + 3


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A process that was started in the background ignores the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_only_who_ends_the_worker_fails_and_is_named() -> None:
    found = world(Whim(salt=1, eager=0), Deadly(), At(epoch=3), kind=Mortal, retries=2)
    found.run([], 0)
    assert found.ends[1].failure == f"{ENDED_WORKER} while it decided after epoch 2"
    for number in (0, 2):
        assert found.ends[number] == alone(found.policies[number][0], 0, 6)


def test_who_cannot_be_asked_fails_alone() -> None:
    found = world(At(epoch=1), Unasked(), At(epoch=3))
    found.run([], 0)
    failure = found.ends[1].failure
    assert failure is not None
    assert failure.startswith("SystemExit: 0: it would end the program, in test_tree.py, line ")
    for number in (0, 2):
        assert found.ends[number] == alone(found.policies[number][0], 0, 6)


def test_a_network_in_which_other_units_were_found_is_not_gone_on_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = world(At(epoch=2))
    first.run([], 0)
    later = world(At(epoch=2), At(epoch=4))
    later.files = first.files
    later.start()
    monkeypatch.setattr(FakeTraining, "layout", Layout(("a", "b"), (7, 6)))
    with pytest.raises(ValueError, match="found other units in it: give the sweep a new storage"):
        later.run([], 0)


def test_a_branch_that_is_always_lost_fails_its_riders_and_no_others() -> None:
    found = world(At(epoch=1), At(epoch=1, unit=3), retries=1)
    path = {}
    for _ in range(200):
        if found.tree.done:
            break
        found.hand_out()
        for number, (branch, ride) in list(found.rides.items()):
            path[number] = branch.path
            if branch.path != found.tree.riders["0"].trunk.address and "1" in {
                rider.key for rider in branch.riders
            }:
                del found.rides[number]
                found.tree.lost(number, "the machine is bad")
                found.settle()
            else:
                ride.advance()
                if not found.tree.report(number, ride.report()):
                    del found.rides[number]
                found.settle()
    assert found.ends[1].failure == "the machine is bad, in epoch 2"
    assert found.ends[0].failure is None


def test_losses_with_progress_between_them_are_forgiven() -> None:
    found = world(At(epoch=1), epochs=12, retries=1)
    losses = 0
    while not found.tree.done:
        found.hand_out()
        ((number, (branch, ride)),) = found.rides.items()
        ride.advance()  # stored, and lost before it could say so
        del found.rides[number]
        found.tree.lost(branch.number, "killed")
        found.settle()
        losses += 1
    assert losses > 10
    found.check()


def test_each_second_is_charged_once_and_a_probe_to_who_asked() -> None:
    task_free = Origin(parent="x", action=Prune(()))
    first = Rider("first", At(epoch=1), task_free, 6, 0)
    asking = Rider("asking", Whim(salt=0, seen=1), task_free, 6, 1)
    seconds = {"train": 5.0, "snapshot": 0.5, 'probe:random{"seed":1}': 2.0}
    charges = charge([first, asking], seconds, {"asking": 0.25, "gone": 1.0}, devices=4)
    assert charges == {"first": 22.0, "asking": 9.0, "gone": 4.0}

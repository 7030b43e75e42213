"""Random courses of shared training: whatever happens, everyone ends as if it had been alone."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Iterator, Sequence

import pytest
from simulated import Whim, World

COURSES = int(os.environ.get("EARLYPRUNE_COURSES", "400"))
"""Of each kind. A failing seed is in the name of the failure: give it as EARLYPRUNE_SEED."""

SEEDS = [int(os.environ["EARLYPRUNE_SEED"])] if "EARLYPRUNE_SEED" in os.environ else range(COURSES)


@pytest.fixture(autouse=True)
def _damage_is_expected() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def world(seed: int, probes: int = 1, late: bool = True, **options: object) -> World:
    """A few policies, some alike, on one or two seeds."""
    draw = random.Random(seed)
    policies = [
        (
            Whim(
                salt=draw.randrange(4),
                eager=draw.choice([0, 1, 3, 6]),
                fails=draw.choice([0, 0, 0, 4]),
                seen=draw.randrange(probes),
            ),
            draw.randrange(2),
        )
        for _ in range(draw.randint(1, 7))
    ]
    settings = {
        "epochs": draw.choice([1, 2, 4, 7]),
        "workers": draw.randint(1, 4),
        "keep": draw.choice(["all", "trunk", "forks", 1, 2, 3]),
    }
    found = World(draw, policies, **{**settings, **options})  # type: ignore[arg-type]
    if not late:
        while found.late:
            found.join_late()
    return found


def each(kind: str, mishaps: Sequence[str], chance: float, **options: object) -> Iterator[World]:
    for seed in SEEDS:
        found = world(seed, **options)  # type: ignore[arg-type]
        try:
            found.run(mishaps, chance)
            found.check()
        except Exception as error:
            raise AssertionError(f"{kind}: EARLYPRUNE_SEED={seed}") from error
        yield found


def test_undisturbed_every_distinct_epoch_is_trained_once() -> None:
    shared = 0
    for found in each("undisturbed", [], 0, late=False):
        assert found.again == 0
        alone = sum(len(end.states) for end in found.ends.values())
        shared += len(found.trainer.trained) < alone
    assert shared > COURSES / 2 or len(SEEDS) == 1


def test_late_riders_join_paths_that_run_or_are_done() -> None:
    for found in each("late", [], 0, keep="all"):
        assert found.again == 0


def test_a_killed_worker_costs_the_epoch_in_flight() -> None:
    for found in each("killed", ["kill_while_writing", "restart"], 0.15, late=False):
        assert found.again <= found.killed


def test_what_is_lost_is_trained_again_and_nothing_else() -> None:
    for found in each("damaged", ["damage"], 0.15, late=False, keep="all"):
        assert found.again <= found.lost * found.workers


def test_everything_at_once() -> None:
    mishaps = ["damage", "kill_while_writing", "restart"]
    for _ in each("everything", mishaps, 0.25, probes=3):
        pass


def test_paused_and_called_back_everyone_ends_as_if_never_paused() -> None:
    paused = 0
    for found in each("paused", [], 0, late=False, pausing=0.3, keep="all"):
        assert found.again == 0
        paused += found.paused
    assert paused > COURSES or len(SEEDS) == 1


def test_paused_while_everything_goes_wrong() -> None:
    mishaps = ["damage", "kill_while_writing", "restart"]
    for _ in each("paused and everything", mishaps, 0.2, probes=2, pausing=0.2):
        pass


def test_alone_nothing_is_shared() -> None:
    for found in each("alone", ["kill_while_writing"], 0.1, sharing=False):
        ends = found.ends.values()
        failing = sum(end.failure is not None for end in ends)
        trained = sum(found.trainer.trained.values())
        assert trained >= sum(len(end.states) - 1 for end in ends)
        assert trained <= sum(len(end.states) - 1 for end in ends) + failing + found.killed

"""Epochs of shared training against all that could happen, by brute force."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from sweeps.planning.counting import Choice, Count, fewest, most


def by_brute_force(
    choices: list[Choice], epochs: int, known: dict[str, set[int]]
) -> tuple[int, int]:
    totals = []
    for decided in product(*(range(c.earliest, c.latest + 1) for c in choices)):
        left = {(c.key, at) for c, at in zip(choices, decided, strict=True)}
        tails = sum(epochs - at for key, at in left if at not in known.get(str(key), ()))
        trunk = {
            epoch
            for c, at in zip(choices, decided, strict=True)
            for epoch in range(c.since + 1, at + 1)
        }
        totals.append(len(trunk) + tails)
    return min(totals), max(totals)


def drawn(draw: np.random.Generator, epochs: int, since: int) -> list[Choice]:
    choices = []
    for _ in range(draw.integers(1, 6)):
        earliest, latest = sorted(draw.integers(since, epochs + 1, 2).tolist())
        choices.append(Choice("ab"[draw.integers(2)], earliest, latest, since))
    return choices


@pytest.mark.parametrize("seed", range(10))
def test_the_least_and_the_most_are_exact(seed: int) -> None:
    draw = np.random.default_rng(seed)
    for _ in range(50):
        epochs, since = int(draw.integers(2, 6)), int(draw.integers(2))
        choices = drawn(draw, epochs, since)
        some = {key: set(draw.integers(0, epochs, draw.integers(3)).tolist()) for key in "ab"}
        for known in (some, {}):
            found = fewest(choices, epochs, known).total, most(choices, epochs, known).total
            assert found == by_brute_force(choices, epochs, known)


def test_riders_at_different_epochs_of_the_trunk() -> None:
    draw = np.random.default_rng(0)
    for _ in range(100):
        choices = [*drawn(draw, 5, 0), *drawn(draw, 5, 3)][:6]
        least, greatest = by_brute_force(choices, 5, {})
        assert least <= fewest(choices, 5).total <= greatest <= most(choices, 5).total


def test_nobody_needs_nothing() -> None:
    assert fewest([], 9) == most([], 9) == Count(0, 0)


def test_a_trunk_that_somebody_may_ride_to_the_end() -> None:
    free = Choice("b", 2, 9)
    assert fewest([free], 9) == Count(2, 7)
    assert most([free], 9) == Count(2, 7)
    assert fewest([Choice("a", 9, 9), free], 9) == Count(9, 0)
    assert most([Choice("a", 9, 9), free], 9) == Count(9, 7)


def test_a_late_rider_lengthens_the_trunk_where_that_costs_more() -> None:
    at_three = Choice("a", 3, 3)
    assert fewest([at_three, Choice("b", 0, 8)], 10) == Count(3, 14)
    assert most([at_three, Choice("b", 0, 8)], 10) == Count(3, 17)
    assert most([Choice("b", 0, 8), Choice("b", 0, 0), Choice("b", 1, 1)], 10) == Count(2, 27)

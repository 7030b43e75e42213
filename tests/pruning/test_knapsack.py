"""The knapsack over layers against trying everything, at given prices and at true costs."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest
import torch

from pruning.policies.aim import NEAR, Budget
from pruning.policies.by_price import by_price
from pruning.policies.knapsack import BINS, knapsack
from pruning.policies.widths import Rungs
from pruning.structure.network import Network
from pruning.structure.pricing import evaluate, macs_by_width, params_by_width
from pruning.training.models import small_cnn, small_resnet

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def options(draw: np.random.Generator) -> tuple[list[Floats], list[Ints]]:
    """Of three or four layers; values need not rise evenly, nor at all."""
    sizes = draw.integers(1, 7, draw.integers(3, 5))
    values = [np.cumsum(draw.normal(0.3, 1, size)) for size in sizes]
    return values, [np.sort(draw.integers(0, 40, size)) for size in sizes]


@pytest.mark.parametrize("seed", range(30))
def test_equals_trying_everything(seed: int) -> None:
    draw = np.random.default_rng(seed)
    values, weights = options(draw)
    room = sum(int(one[0]) for one in weights) + int(draw.integers(0, 60))
    assert room < BINS
    found = knapsack(values, weights, room)
    assert sum(one[at] for one, at in zip(weights, found, strict=True)) <= room
    best = max(
        sum(one[at] for one, at in zip(values, every, strict=True))
        for every in product(*(range(len(one)) for one in values))
        if sum(one[at] for one, at in zip(weights, every, strict=True)) <= room
    )
    got = sum(one[at] for one, at in zip(values, found, strict=True))
    assert got == pytest.approx(best, abs=1e-12)


def test_large_weights_are_told_apart_in_bins() -> None:
    values = [np.array([0.0, 1.0]), np.array([0.0, 2.0]), np.array([0.0, 2.5])]
    weights = [np.array([0, 10**9]), np.array([0, 10**9]), np.array([0, 2 * 10**9])]
    assert knapsack(values, weights, 2 * 10**9).tolist() == [1, 1, 0]
    assert knapsack(values, weights, 3 * 10**9).tolist() == [0, 1, 1]


def case(seed: int) -> tuple[list[Floats], Rungs, Budget]:
    """Scores of a small network, of layers of unequal worth, and an aim for it."""
    draw = np.random.default_rng(seed)
    if seed % 2:
        widths = list(map(int, draw.integers(3, 8, 4)))
        model = small_cnn((1, 8, 8), 10, widths=widths, pool_after=[1])
    else:
        model = small_resnet((1, 8, 8), 10, widths=list(map(int, draw.integers(4, 8, 2))))
    network = Network(model.eval(), torch.randn(2, 1, 8, 8))
    terms = (params_by_width if seed % 3 else macs_by_width)(network)
    sizes = np.asarray(network.layout.sizes)
    scores = [np.sort(draw.lognormal(size=n) * draw.lognormal())[::-1] for n in sizes]
    whole = float(evaluate(terms, sizes))
    budget = Budget(lambda w: evaluate(terms, w), draw.uniform(0.25, 0.85) * whole, whole)
    return scores, Rungs(sizes, np.ones_like(sizes), 1), budget


def best(scores: list[Floats], rungs: Rungs, budget: Budget) -> float:
    """The largest saliency of all choices of units whose cost is up to the target and near it."""
    every = np.array([*product(*(range(1, n + 1) for n in rungs.alive))])
    miss = budget.miss(every)
    fits = every[(miss <= 0) & (miss >= -NEAR)]
    return max((worth(scores, one) for one in fits), default=np.nan)


def worth(scores: list[Floats], widths: Ints) -> float:
    return float(sum(one[:n].sum() for one, n in zip(scores, widths, strict=True)))


@pytest.mark.parametrize("seed", range(24))
def test_what_is_chosen_is_the_best_of_all_that_can_be(seed: int) -> None:
    scores, rungs, budget = case(seed)
    found = by_price(rungs, scores, budget)
    wanted = best(scores, rungs, budget)
    if np.isnan(wanted):
        assert abs(budget.miss(found)) <= NEAR, "no choice below the target is near: one above is"
    else:
        assert worth(scores, found) == pytest.approx(wanted)
        assert -NEAR <= budget.miss(found) <= 0


def test_where_only_what_lies_beside_is_tried_it_comes_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in networks of so many layers, or so wide ones, that there are more choices than that."""
    everything, none = Rungs.around, np.empty((0, 0), np.int64)
    monkeypatch.setattr(
        Rungs, "around", lambda own, w, reach: none if reach > 1 else everything(own, w, reach)
    )
    shares = []
    for seed in range(40):
        scores, rungs, budget = case(seed)
        shares.append(worth(scores, by_price(rungs, scores, budget)) / best(scores, rungs, budget))
    assert np.nanmean(shares) > 0.99

"""Scope ``price``: the most saliency that can be had for a cost, by a knapsack over layers.

After HALP (Shen et al., Structural Pruning via Latency-Saliency Knapsack, NeurIPS 2022). A unit's
value is its saliency, and what a layer keeps are its best. A unit's price is what the network would
cost less without it; it falls as the layers before and behind get narrower. So as in HALP the way
down is gone in rounds, each a knapsack at the prices of the widths that the last round left. Then,
which is ours, knapsacks at the prices of the end take back what was given up too early: choices
that are worth more and fit are taken, ever nearer to where it stands. At last all that lie around
are tried at their true cost, as far as they are few: all there are, in a small network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pruning.policies.aim import NEAR, Budget
from pruning.policies.knapsack import knapsack
from pruning.policies.widths import Rungs, mended, nearest
from pruning.structure.layout import Ints

Floats = npt.NDArray[np.float64]

ROUNDS = 8
OPTIONS = 128
"""Widths of a layer that one knapsack chooses among."""
LOOKS = 32
"""Knapsacks at the end, at most."""


@dataclass(frozen=True)
class Choices:
    """What may be chosen: a rung of each layer. scores: of each layer's units, the best first."""

    rungs: Rungs
    scores: Sequence[Floats]
    budget: Budget

    @cached_property
    def widths(self) -> list[Ints]:
        """Of each layer, rising."""
        return [self.rungs.of(layer) for layer in range(len(self.scores))]

    @cached_property
    def worth(self) -> list[Floats]:
        """What a layer is worth at each of its widths."""
        sums = [np.cumsum(scores) for scores in self.scores]
        return [one[at - 1] for one, at in zip(sums, self.widths, strict=True)]

    @cached_property
    def top(self) -> Ints:
        """The highest rungs, [layers]."""
        return np.array([len(one) - 1 for one in self.widths])

    def at(self, rungs: Ints) -> Ints:
        """The widths on these rungs, [..., layers]."""
        return np.stack([one[rungs[..., g]] for g, one in enumerate(self.widths)], axis=-1)

    def value(self, rungs: Ints) -> Floats:
        """What stays on these rungs is worth, [..., layers] -> [...]."""
        return np.asarray(np.sum([w[rungs[..., g]] for g, w in enumerate(self.worth)], axis=0))

    def cost(self, rungs: Ints) -> Floats:
        """What it costs."""
        return self.budget.cost(self.at(rungs))

    def prices(self, rungs: Ints) -> Floats:
        """What the network on these rungs would cost less without a unit, of each layer."""
        step = np.eye(len(rungs), dtype=np.int64)
        high = np.minimum(np.maximum(rungs, step), self.top)
        low = np.maximum(high - step, 0)
        units = (self.at(high) - self.at(low)).sum(axis=-1)
        return np.asarray((self.cost(high) - self.cost(low)) / np.maximum(units, 1))


def by_price(rungs: Rungs, scores: Sequence[Floats], budget: Budget) -> Ints:
    """The widths that keep the most saliency at a cost up to the target and near it, [layers].

    scores: of the units that are left in each layer, the best first.
    """
    choices = Choices(rungs, scores, budget)
    found = choices.at(_improved(choices, _descended(choices)))
    return _settled(choices, mended(rungs, found, budget))


def _settled(choices: Choices, widths: Ints) -> Ints:
    """The best of all choices that are around, as far as these are few, until it is the best."""
    for _ in range(LOOKS):
        reach = int(choices.rungs.alive.max())
        while reach and not len(every := choices.rungs.around(widths, reach)):
            reach //= 2
        found = _best(choices, every) if reach else widths
        if (found == widths).all():
            break
        widths = found
    return widths


def _best(choices: Choices, every: Ints) -> Ints:
    """Of these widths [choices, layers] the most valuable up to the target and near it."""
    miss = choices.budget.miss(every)
    fits = every[(miss <= 0) & (miss >= -NEAR)]
    if not len(fits):
        return nearest(choices.budget, every)
    rungs = [np.searchsorted(own, fits[:, g]) for g, own in enumerate(choices.widths)]
    return np.asarray(fits[int(np.argmax(choices.value(np.stack(rungs, axis=-1))))])


def _descended(choices: Choices) -> Ints:
    """Rungs whose cost is within the target, reached in rounds."""
    now, whole = choices.top, float(choices.cost(choices.top))
    for number in range(1, ROUNDS + 1):
        goal = whole * (choices.budget.target / whole) ** (number / ROUNDS)
        now = _chosen(choices, now, goal, np.zeros_like(now), now)
    while choices.cost(now) > choices.budget.target and now.any():
        now = _one_less(choices, now)
    return now


def _one_less(choices: Choices, now: Ints) -> Ints:
    """Without the rung that is worth least for its price."""
    less = np.maximum(now - np.eye(len(now), dtype=np.int64), 0)
    lost = choices.value(now) - choices.value(less)
    saved = choices.cost(now) - choices.cost(less)
    each = np.divide(lost, saved, out=np.full(len(now), np.inf), where=saved > 0)
    return np.asarray(less[int(np.argmin(each))])


def _improved(choices: Choices, now: Ints) -> Ints:
    """Rungs that fit and are worth no less, looked for ever nearer."""
    reach = int(now.max(initial=1))
    for _ in range(LOOKS):
        low, high = np.maximum(now - reach, 0), np.minimum(now + reach, choices.top)
        other = _chosen(choices, now, choices.budget.target, low, high)
        fits = choices.cost(other) <= choices.budget.target
        if fits and choices.value(other) > choices.value(now):
            now = other
        elif reach == 1:
            break
        else:
            reach //= 2
    return now


def _chosen(choices: Choices, now: Ints, goal: float, low: Ints, high: Ints) -> Ints:
    """Of the rungs from ``low`` to ``high`` the most valuable for ``goal``, at the prices now."""
    prices, base = choices.prices(now), choices.at(low)
    room = goal - float(choices.cost(now)) + math.fsum(prices * (choices.at(now) - base))
    if room < 0:
        return low
    options = [
        np.unique([*np.linspace(start, end, OPTIONS).astype(np.int64), here])
        for start, end, here in zip(low, high, now, strict=True)
    ]
    values = [worth[at] - worth[at[0]] for worth, at in zip(choices.worth, options, strict=True)]
    weights = [
        np.rint(price * (widths[at] - widths[at[0]])).astype(np.int64)
        for price, widths, at in zip(prices, choices.widths, options, strict=True)
    ]
    picked = knapsack(values, weights, int(room))
    return np.array([at[option] for at, option in zip(options, picked, strict=True)])

"""BEP, Bayesian early pruning: remove the units that are predicted to end low.

Rajpal, Zhang, Low: Balancing training time vs. performance with Bayesian Early Pruning.

A step forecasts each layer that has too many units (`pruning.forecast`), draws joint samples, and
walks the units by falling mean (`worth_keeping`). Kept true: a step never goes below the budget,
and the last decision meets it by what was measured, so that no forecast has the last word. Each
layer draws from a stream of both seeds, the epoch and its own number, so that which layers compete
changes nobody's samples. Fits, the costly part, do not depend on penalty, ratio or seed and are
remembered with the record: a sweep over penalties pays for them once. Like any policy it may be
asked by anybody who has the history, in any process, and again.

Tried: the untrained network's saliency as a measurement, which ordered the units no better, and to
standardise a layer over all its epochs, which turned rankings of gradients round. The last value
forecasts better wherever a saliency wanders slowly and with little noise, as magnitudes do
(docs/fidelity.md): hence ``forecast``. Meeting the budget before the last epoch, as in the paper,
left short trainings no time to recover: hence ``end``.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from pruning.forecast.gaussian import Forecast
from pruning.forecast.keeping import worth_keeping
from pruning.forecast.kinds import Kind, fit
from pruning.forecast.kinds import forecast as forecast_of
from pruning.forecast.scale import Standardize
from pruning.history import History
from pruning.policies.base import Policy, Prune
from pruning.policies.one_shot import OneShot
from pruning.policies.selection import Mask, Scope, round_up
from pruning.saliency import AnySaliency, FeatureTaylor

Floats = npt.NDArray[np.floating]
Units = npt.NDArray[np.int64]

LayerForecast = tuple[int, Units, Forecast]
"""A layer's number, its live units and what they will score."""

ABSURD = 1e30
"""A saliency beyond it stands for what was no number (`Pruner` files NaN as the least float32)."""


class BEP(OneShot):
    """Forecast every unit's saliency s_T at the end of training; prune what is not worth keeping.

    The problem: masks m_1 >= ... >= m_T that maximise E[m_T . s_T] where at most B_s units may
    remain and the training may cost so much [L]. Solved step by step [L, details G]: of joint
    samples s_i of s_T and their means mu keep the top B_s by mu; walk the other live units by
    falling mu, and keep unit a if mean_i max(0, s_i[a] - thr_i) >= penalty * (T - t), where thr_i
    is sample i's B_s-th largest kept value; prune the rest. At the end cut to exactly B_s by
    measured saliency.

    penalty: the paper's lambda, which replaces its cost budget. In the unit of saliency, as T - t
    is the share of the training that is left [G]: larger prunes earlier, trains faster, risks
    more. Sweep it log-uniform over 1e-7 to 1e-1; on a small network's feature maps 1e-7 pruned to
    the end, 1e-4 all at once.
    ratio: share of the units that is gone at the end; what remains is B_s, which an aim may give,
    too. saliency: any will do
    [C]; on feature maps [L]. scope: ``layer`` gives each layer a B_s of its own, ``global`` one to
    all [G].
    burn_in: share of the training before the first step [G]. every: epochs between steps; each sees
    every epoch before it [G]. end: share of the training after which the budget is met, by the last
    cut. 1 is the paper's T, before the last epoch [L]; a network that is cut there has no time left
    to recover: short trainings want less [G].
    samples: S [L]. forecast: ``lmc`` is the paper's Gaussian process, the others are there to
    compare with. standardize: see `pruning.forecast.scale` [G]. seed: of the samples, mixed with
    the trial's.

    The untrained network's saliency is left out: with it the order of the units was forecast no
    better [G]. After a prune the survivors' saliencies may jump; what was measured of them before
    counts on, what was measured of the others does not [G].
    """

    name: ClassVar[str] = "bep"
    paper: ClassVar[str] = (
        "Rajpal, Zhang, Low, Balancing training time vs. performance with Bayesian Early Pruning"
    )

    penalty: Annotated[float, Field(ge=0)] = 1e-5
    saliency: AnySaliency = FeatureTaylor()
    scope: Scope = "layer"
    burn_in: Annotated[float, Field(ge=0, lt=1)] = 0.1
    end: Annotated[float, Field(gt=0, le=1)] = 1.0
    every: Annotated[int, Field(ge=1)] = 1
    samples: Annotated[int, Field(ge=1)] = 1000
    forecast: Kind = "lmc"
    standardize: Standardize = "record"
    seed: Annotated[int, Field(ge=0)] = 0

    def asks(self, epoch: int, epochs: int, acted: bool) -> bool:
        """Until the last decision."""
        return epoch <= self._last_decision(epochs)

    def decide(self, history: History) -> Prune | None:
        """What is not worth keeping, at a step; what is over B_s, before the last epoch.

        Raises ValueError if nobody said how many epochs there are, or nothing was measured.
        """
        if history.epochs is None:
            raise ValueError("bep needs to know how many epochs there are")
        last = self._last_decision(history.epochs)
        if history.epoch >= last:
            return self.cut(history) if history.epoch == last else None
        if not self._is_step(history.epoch, history.epochs):
            return None
        if self.scores(history.last) is None:
            return self.cut(history)  # says what is missing
        gone = history.last.alive & ~self._kept(history)
        return Prune.of(np.flatnonzero(gone)) if gone.any() else None

    def indicator(self, history: History) -> float:
        """The share of the dense network's units that is left."""
        return float(history.last.alive.mean())

    def check(self, epochs: int) -> None:
        """Refuse a training that has no step before the last decision."""
        if self._first_step(epochs) >= self._last_decision(epochs):
            raise ValueError(
                f"burn_in: {self.burn_in:g} is not allowed: nothing could be forecast in a "
                f"training of {epochs} epochs before its last decision"
            )

    def first_action(self, epochs: int) -> tuple[int, int]:
        """From the first step to the last decision, which always cuts."""
        last = self._last_decision(epochs)
        return min(self._first_step(epochs), last), last

    def action_key(self) -> Hashable:
        """Its own."""
        return Policy.action_key(self)

    def _last_decision(self, epochs: int) -> int:
        # 0.55 * 100 is a little more than 55 in floating point
        return max(0, min(epochs - 1, math.ceil(self.end * epochs - 1e-9)))

    def _first_step(self, epochs: int) -> int:
        return max(1, math.ceil(self.burn_in * epochs - 1e-9))

    def _is_step(self, epoch: int, epochs: int) -> bool:
        since = epoch - self._first_step(epochs)
        return since >= 0 and since % self.every == 0

    def _kept(self, history: History) -> Mask:
        """What is worth keeping after the newest epoch; bool [units]."""
        assert history.epochs is not None
        forecasts = [self._forecast(history, layer) for layer in self._prunable(history)]
        means = np.where(history.last.alive, 0.0, np.nan)
        for _, units, found in forecasts:
            means[units] = found.mean
        kept = self._top(means, history)
        cost = self.penalty * (1 - history.epoch / history.epochs)
        pooled = self.scope != "layer" and forecasts
        together = [forecasts] if pooled else [[one] for one in forecasts]
        for pool in together:
            units = np.concatenate([units for _, units, _ in pool])
            drawn = self._samples(pool, history)
            kept[units] = worth_keeping(drawn, means[units], kept[units], cost)
        return kept

    def _prunable(self, history: History) -> Iterable[int]:
        """The layers whose units compete: all that have more than they may keep."""
        alive = history.last.alive
        # how many of a layer may stay does not depend on who: any scores will do
        allowed = self._top(np.where(alive, 0.0, np.nan), history)
        over = history.layout.counts(alive) - history.layout.counts(allowed)
        if self.scope != "layer":
            return range(len(over)) if over.any() else ()
        return map(int, np.flatnonzero(over))

    def _top(self, scores: Floats, history: History) -> Mask:
        """The top B_s by ``scores``, [units] with NaN where a unit is gone; bool [units]."""
        kept = self.keep(scores, history)
        return round_up(kept, scores, history.layout, self.round_to) if self.round_to > 1 else kept

    def _forecast(self, history: History, layer: int) -> LayerForecast:
        """Of the live units of a layer.

        The hyperparameters are remembered: policies that differ in the penalty or the ratio fit
        them once.
        """
        assert history.epochs is not None
        layout, how = history.layout, (self.forecast, self.standardize)
        start, end = layout.offsets[layer : layer + 2]
        units = start + np.flatnonzero(history.last.alive[start:end])
        found = [(r.epoch, self.scores(r)) for r in history.records if r.epoch > 0]
        seen = [
            (epoch / history.epochs, scores[units]) for epoch, scores in found if scores is not None
        ]
        times = np.array([time for time, _ in seen])
        values = tamed(np.array([scores for _, scores in seen]))
        known = history.last.remember(
            ("forecast", self.saliency.key, *how, history.epochs, layer),
            lambda _: fit(times, values, *how),
        )
        return layer, units, forecast_of(times, values, 1.0, *how, known)

    def _samples(self, pool: Sequence[LayerForecast], history: History) -> Floats:
        """Joint samples of the layers of a pool, [units, S]; each layer draws from its own seed."""
        # single precision: all units of a ResNet-50 by 1,000 samples are 0.1 GB like this
        drawn = np.empty((sum(len(units) for _, units, _ in pool), self.samples), np.float32)
        start = 0
        for layer, units, found in pool:
            stream = np.random.default_rng([self.seed, history.seed, history.epoch, layer])
            drawn[start : start + len(units)] = found.samples(self.samples, stream).T
            start += len(units)
        return drawn


def tamed(measured: Floats) -> npt.NDArray[np.float64]:
    """Scores of a layer [n, A] with the lowest other score in place of absurdly low ones.

    Absurdly high ones become the highest, in each measurement for itself; 0 where all are absurd.
    Left in, one of them would be all of the spread by which the others are told apart.
    """
    values = measured.astype(np.float64)
    absurd = np.abs(values) > ABSURD
    low = np.where(absurd, np.inf, values).min(axis=1, keepdims=True)
    high = np.where(absurd, -np.inf, values).max(axis=1, keepdims=True)
    none = np.isinf(low)
    return np.clip(values, np.where(none, 0.0, low), np.where(none, 0.0, high))

"""What papers quote: the cost saved at an accuracy, the accuracy gained at a cost, beside dense.

Which objectives these are ``Axes`` says: of a task without classes the accuracy is its first
metric, the sign turned where less is better. Both are read off the front of means over seeds.
Intervals: 95 %, percentile bootstrap over seeds, the same draw for every setting (Efron and
Tibshirani, An Introduction to the Bootstrap, 1993).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pruning.policies.control import Control
from pruning.policies.registry import POLICIES
from pruning.saliency import Random
from sweeps.judging.axes import Axes
from sweeps.judging.front import Floats, accuracy_at, between, cost_at, trace
from sweeps.judging.learning import unlearned
from sweeps.results.rows import DIGITS, Row, by_setting, mean, metrics_of

DROPS = (0.0, 0.005, 0.01)
"""Accuracies given up for a saving: fractions, of other metrics shares of dense's value."""

SHARES = (1.0, 0.75, 0.5)
"""Costs at which a gain is read off, as shares of dense training's."""

ALL, RANDOM_UNITS = "all", "random units"

Part = tuple[str, str, float]
"""Policy, settings, weight."""


@dataclass(frozen=True)
class Saving:
    """The least cost at which a family, with dense, reaches ``target``: dense's accuracy - drop.

    cost: in the objective's unit. saved: 1 - cost / dense's cost, 0 if only dense reaches the
    target. low, high: its interval, None for one seed. settings: the one or two it lies between,
    weights summing to 1. test_change: their test accuracy, so weighted, less dense's (above 0 if
    it is better); None if it is not known.
    """

    family: str
    drop: float
    target: float
    cost: float
    saved: float
    low: float | None
    high: float | None
    settings: tuple[Part, ...]
    test_change: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return _plain(self)


@dataclass(frozen=True)
class Gain:
    """The accuracy of a family, with dense, at ``share`` of dense's cost, less dense's accuracy.

    gained is None, and there are no settings, where the front begins above that cost. low, high:
    over the repeats in which it does not. The rest as in ``Saving``.
    """

    family: str
    share: float
    gained: float | None
    low: float | None
    high: float | None
    settings: tuple[Part, ...]
    test_change: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return _plain(self)


def savings(
    rows: Sequence[Row], objectives: Mapping[str, str], repeats: int = 1000, seed: int = 0
) -> list[Saving]:
    """Each family's savings at each of ``DROPS``.

    Families: all policies that are no controls, then each policy, in order of appearance. Dense is
    the most accurate variant of it; others are settings like any. What has not finished is left
    out. repeats, seed: of the bootstrap. Empty without dense, or without objectives of both kinds,
    or where dense did not learn.
    """
    found = []
    for one in _families(rows, objectives, repeats, seed):
        for drop in DROPS:
            scale = 1.0 if one.axes.fraction else np.abs(one.dense[:, 1])
            target = np.round(one.dense[:, 1] - drop * scale, DIGITS)
            costs = cost_at(one.front, target)
            saved = 1 - costs / one.dense[:, 0]
            low, high = _interval(saved[1:])
            settings, change = one.at(1, target[0])
            found.append(
                Saving(
                    family=one.name,
                    drop=drop,
                    target=one.axes.sign * float(target[0]),
                    cost=float(costs[0]),
                    saved=float(saved[0]),
                    low=low,
                    high=high,
                    settings=settings,
                    test_change=change,
                )
            )
    return found


def gains(
    rows: Sequence[Row], objectives: Mapping[str, str], repeats: int = 1000, seed: int = 0
) -> list[Gain]:
    """Each family's gains at each of ``SHARES``; otherwise as ``savings``."""
    found = []
    for one in _families(rows, objectives, repeats, seed):
        for share in SHARES:
            cost = share * one.dense[:, 0]
            gained = accuracy_at(one.front, cost) - one.dense[:, 1]
            if math.isnan(gained[0]):
                found.append(Gain(one.name, share, None, None, None, (), None))
            else:
                interval, at = _interval(gained[1:]), one.at(0, cost[0])
                found.append(Gain(one.name, share, float(gained[0]), *interval, *at))
    return found


def is_control(row: Row) -> bool:
    """Whether a trial is there to be beaten: a control policy, or random units."""
    kind = POLICIES.get(row["policy"])
    return family(row) == RANDOM_UNITS or (kind is not None and issubclass(kind, Control))


def family(row: Row) -> str:
    """The policy, or ``random units`` where the saliency is random."""
    saliency = row["setting"].get("saliency")
    name = saliency.get("name") if isinstance(saliency, Mapping) else saliency
    return RANDOM_UNITS if name == Random.name else str(row["policy"])


@dataclass(frozen=True)
class _Family:
    """Figures as they are, in row 0, and resampled.

    front: [1 + repeats, settings, 2], (cost, accuracy) as ``trace`` orders them; groups: the
    settings of row 0, in that order; dense: [1 + repeats, 2]. Accuracies with their sign.
    """

    name: str
    front: Floats
    groups: Sequence[Sequence[Row]]
    dense: Floats
    reference: Sequence[Row]
    axes: Axes

    def at(self, column: int, value: float) -> tuple[tuple[Part, ...], float | None]:
        """The settings beside a value of a column of the front, and the change of test accuracy."""
        lower, upper, weight = map(float, between(self.front[0, :, column], value))
        sides = [(self.groups[int(lower)], 1 - weight), (self.groups[int(upper)], weight)]
        sides = [(group, share) for group, share in sides if share]
        test = sum(share * mean(group, self.axes.test) for group, share in sides)
        change = self.axes.sign * (test - mean(self.reference, self.axes.test)) + 0.0  # no -0
        parts = tuple((group[0]["policy"], group[0]["settings"], share) for group, share in sides)
        return parts, change if math.isfinite(change) else None


def _families(
    rows: Sequence[Row], objectives: Mapping[str, str], repeats: int, seed: int
) -> Iterator[_Family]:
    axes = Axes.of(objectives, metrics_of(rows))
    if axes is None:
        return
    columns = [axes.cost, axes.quality]
    usable = [row for row in rows if _finished(row, columns)]
    groups = list(by_setting(usable).values())
    dense = [index for index, group in enumerate(groups) if group[0]["policy"] == "dense"]
    if not dense or unlearned(rows):
        return
    points = _means(groups, columns, repeats, seed)
    points[..., 1] = axes.sign * np.round(points[..., 1], DIGITS)
    reference = max(dense, key=lambda index: (points[0, index, 1], -points[0, index, 0]))
    unit = points[0, reference, 0]
    if unit <= 0:
        return
    points[..., 0] = np.round(points[..., 0] / unit, DIGITS) * unit
    members: dict[str, list[int]] = {ALL: []}
    for index, group in enumerate(groups):
        if index != reference:
            members.setdefault(family(group[0]), []).append(index)
            members[ALL] += [] if is_control(group[0]) else [index]
    for name, own in members.items():
        if own:
            together = np.array([reference, *own])
            order = together[trace(points[:, together])]
            front = np.take_along_axis(points, order[..., None], 1)
            shown = [groups[index] for index in order[0]]
            yield _Family(name, front, shown, points[:, reference], groups[reference], axes)


def _finished(row: Row, columns: Sequence[str]) -> bool:
    figures = [row[name] for name in columns]
    known = all(figure is not None and math.isfinite(figure) for figure in figures)
    return row["status"] == "finished" and known


def _means(
    groups: Sequence[Sequence[Row]], columns: Sequence[str], repeats: int, seed: int
) -> Floats:
    """Means over seeds, and over each draw of seeds: [1 + repeats, settings, columns].

    NaN where a setting has none of the drawn seeds; one seed is not resampled.
    """
    seeds = sorted({row["seed"] for group in groups for row in group})
    place = {number: index for index, number in enumerate(seeds)}
    totals = np.zeros((len(columns), len(seeds), len(groups)))
    trials = np.zeros((len(seeds), len(groups)))
    for index, group in enumerate(groups):
        for row in group:
            trials[place[row["seed"]], index] += 1
            totals[:, place[row["seed"]], index] += [row[name] for name in columns]
    count = len(seeds)
    drawn = np.random.default_rng(seed).multinomial(
        count, np.full(count, 1 / count), size=repeats if count > 1 else 0
    )
    times = np.vstack([np.ones(count), drawn])
    with np.errstate(invalid="ignore"):
        means = (times @ totals) / (times @ trials)
    return np.moveaxis(means, 0, -1)


def _interval(values: Floats) -> tuple[float | None, float | None]:
    known = values[np.isfinite(values)]
    if not len(known):
        return None, None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def _plain(figure: Saving | Gain) -> dict[str, Any]:
    return {**asdict(figure), "settings": [list(part) for part in figure.settings]}

"""How much and where: from scores to the units that are kept."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from pruning.policies.aim import Budget
from pruning.policies.by_price import by_price
from pruning.policies.widths import Rungs, in_order
from pruning.structure.layout import Layout

Mask = npt.NDArray[np.bool_]
Scope = Literal["global", "layer", "price"]

_HUGE = 1e30
"""Scores beyond it stand for what was no number: sums would be none."""

_TOGETHER = 4
"""How many units stay at least where a norm is over all of them."""


def keep_top(
    scores: npt.NDArray[np.floating], layout: Layout, ratio: float, scope: Scope, floor: float
) -> Mask:
    """The units that stay when ``ratio`` of them goes.

    scores: [units], NaN where a unit is gone. ratio: share of the dense network's units to
    remove, of all of them together (``global``) or of each layer (``layer``). floor: share of
    each layer that stays whatever its scores; at least one unit always does.
    Equal scores are told apart by unit id, lower first, so the ranking is the same everywhere.
    Returns bool [units].
    """
    ranked = _ranked(scores)
    place = _place_within_layer(ranked, layout)
    least = floors(layout, floor)
    if scope == "layer":
        share = np.rint((1 - ratio) * np.asarray(layout.sizes)).astype(np.int64)
        return _best(place, np.maximum(share, least), layout)
    if scope == "price":
        raise ValueError("scope: price needs an aim, which says what units cost")
    kept = _best(place, least, layout)
    budget = layout.total - round(ratio * layout.total)
    free = ranked[~kept[ranked]][: max(0, budget - int(kept.sum()))]
    kept[free] = True
    return kept


def keep_near(
    scores: npt.NDArray[np.floating],
    layout: Layout,
    budget: Budget,
    scope: Scope,
    floor: float,
    multiple: int,
) -> Mask:
    """The units that stay where the network is to cost so much; as ``keep_top`` and ``round_up``.

    Under ``price`` they are those of the largest saliency in sum that can be had for it. All that
    are left stay where they cost no more than the target.
    """
    ranked = _ranked(scores)
    place = _place_within_layer(ranked, layout)
    layers, alive = layout.group_of[ranked], layout.counts(~np.isnan(scores))
    least = np.minimum(floors(layout, floor), alive)
    rungs = Rungs(alive, least, multiple)
    if float(budget.cost(alive)) <= budget.target:
        return _best(place, alive, layout)
    if scope == "price":
        clear = np.clip(scores[ranked].astype(np.float64), -_HUGE, _HUGE)
        own = [clear[layers == layer] for layer in range(len(alive))]
        return _best(place, by_price(rungs, own, budget), layout)
    free = place[ranked] >= least[layers]
    order, layers = place[ranked][free], layers[free]
    if scope == "layer":  # as shares of a layer are rounded
        share = (order + 0.5) / np.asarray(layout.sizes)[layers]
        layers = layers[np.argsort(share, kind="stable")]
    return _best(place, in_order(rungs, layers, budget), layout)


def round_up(kept: Mask, scores: npt.NDArray[np.floating], layout: Layout, multiple: int) -> Mask:
    """Add the best of the units to go, until each layer keeps a multiple of ``multiple``.

    A layer with fewer units than the next multiple keeps all it has.
    """
    target = -(-layout.counts(kept) // multiple) * multiple
    kept_first = np.where(kept, np.inf, scores)
    return _best(_place_within_layer(_ranked(kept_first), layout), target, layout)


def floors(layout: Layout, floor: float) -> npt.NDArray[np.int64]:
    """The least units each layer keeps; int [layers]."""
    sizes = np.asarray(layout.sizes)
    # a norm over one unit is constant, over two it knows their order alone: none trains behind it
    together = np.array([name in layout.together for name in layout.names], dtype=np.bool_)
    least = np.where(together, np.minimum(_TOGETHER, sizes), 1)
    return np.maximum(least, np.ceil(floor * sizes)).astype(np.int64)


def _best(place: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], layout: Layout) -> Mask:
    """The first ``counts`` [layers] units of each layer's ranking; a unit without place is out."""
    return np.asarray((place < counts[layout.group_of]) & (place < layout.total), dtype=np.bool_)


def _ranked(scores: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """The units that have a score, the best first; of equals the lower id."""
    unranked = np.isnan(scores)
    if scores.dtype == np.float32:
        order = _by_score_and_id(scores, unranked)
    else:
        order = np.argsort(-scores, kind="stable")
    return order[: len(scores) - int(unranked.sum())]


def _by_score_and_id(scores: npt.NDArray[np.float32], unranked: Mask) -> npt.NDArray[np.int64]:
    """As a stable argsort of ``-scores``, several times faster: sorts integers of both."""
    bits = (0.0 - scores).view(np.int32).astype(np.int64)  # 0.0 - 0.0 has no sign
    rising = np.where(bits < 0, -(2**31) - bits, bits)  # negative floats rise as their bits fall
    rising[unranked] = 2**31
    return np.sort((rising << 31) + np.arange(len(scores))) & (2**31 - 1)


def _place_within_layer(ranked: npt.NDArray[np.int64], layout: Layout) -> npt.NDArray[np.int64]:
    """For every unit its place in its layer's ranking, 0 the best; unranked units come last."""
    place = np.full(layout.total, layout.total, dtype=np.int64)
    groups = layout.group_of[ranked]
    narrow = groups.astype(np.uint16) if len(layout.sizes) < 2**16 else groups  # sorted much faster
    by_group = np.argsort(narrow, kind="stable")
    counts = np.bincount(groups, minlength=len(layout.sizes))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    place[ranked[by_group]] = np.arange(len(ranked)) - np.repeat(starts, counts)
    return place

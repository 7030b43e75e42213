"""The front: what no other choice beats in every objective, and its geometry.

``directions`` maps each objective, in the order of the columns, to ``max`` or ``min``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def pareto(points: Floats, directions: Mapping[str, str]) -> npt.NDArray[np.bool_]:
    """Which points are not dominated.

    points: [n, objectives].
    A point is dominated if another is at least as good in all and better in one; equal points
    stand together; a point with a value that is not a number never belongs. Returns bool [n].
    """
    gains = np.where(np.isnan(points), -np.inf, points * _signs(directions))
    at_least = (gains[None, :, :] >= gains[:, None, :]).all(-1)
    better = (gains[None, :, :] > gains[:, None, :]).any(-1)
    valid = np.asarray(~np.isnan(points).any(-1))
    return np.asarray(valid & ~(at_least & better).any(-1), dtype=np.bool_)


def nadir(points: Floats, directions: Mapping[str, str]) -> list[float]:
    """The worst finite value of each objective; NaN where it has none.

    points: [n, objectives].
    """
    worst = []
    for values, way in zip(_table(points, directions).T, directions.values(), strict=True):
        finite = values[np.isfinite(values)]
        bound = finite.min if way == "max" else finite.max
        worst.append(float(bound()) if len(finite) else np.nan)
    return worst


def hypervolume(points: Floats, directions: Mapping[str, str], reference: Sequence[float]) -> float:
    """The volume that the points dominate, bounded by the reference point; exact.

    points: [n, objectives]; reference: [objectives]; the unit is the product of theirs. A point
    that is not finite, or not better than the reference in every objective, adds nothing. Slices
    along the last objective, and so on: n log n in two objectives, n times that for each further.
    Raises ValueError if the numbers of objectives differ.
    """
    gains = _above(points, directions, reference)
    return _volume(gains[(gains > 0).all(-1)])


def hypervolume_course(
    points: Floats, directions: Mapping[str, str], reference: Sequence[float]
) -> Floats:
    """``hypervolume`` of the first 1, 2, ..., n points, [n]."""
    return _course(_above(points, directions, reference))


def trace(points: Floats) -> npt.NDArray[np.intp]:
    """Which points (cost, accuracy) the front goes through: cheap and accurate is good.

    points: [..., n, 2], NaN where there is none. Returns [..., n]: the points of the front in
    rising order, repeated in place of what is dominated, so that many fronts make one array.
    """
    missing = np.isnan(points).any(-1)
    costs = np.where(missing, np.inf, points[..., 0])
    accuracies = np.where(missing, -np.inf, points[..., 1])
    order = np.lexsort((-accuracies, costs), axis=-1)
    accuracies = np.take_along_axis(accuracies, order, -1)
    best = np.maximum.accumulate(accuracies, -1)
    rises = accuracies[..., 1:] > best[..., :-1]
    places = np.zeros(order.shape, dtype=np.intp)
    places[..., 1:] = np.where(rises, np.arange(1, order.shape[-1]), 0)
    found: npt.NDArray[np.intp] = np.take_along_axis(
        order, np.maximum.accumulate(places, -1), axis=-1
    )
    return found


def cost_at(front: Floats, accuracy: npt.ArrayLike) -> Floats:
    """The cost at which a front reaches an accuracy, linear between neighbouring points.

    front: [..., n, 2], (cost, accuracy), both rising, repetitions allowed; accuracy: [...]; the
    leading axes broadcast. Returns [...]: below the lowest accuracy the cost of the cheapest
    point, above the highest NaN.
    """
    costs = _interpolated(front[..., 1], front[..., 0], accuracy)
    return np.where(np.less_equal(accuracy, front[..., -1, 1]), costs, np.nan)


def accuracy_at(front: Floats, cost: npt.ArrayLike) -> Floats:
    """The accuracy that a front reaches at a cost, linear between neighbouring points.

    front and shapes as for ``cost_at``. Returns [...]: above the highest cost the accuracy of the
    dearest point, below the lowest NaN.
    """
    accuracies = _interpolated(front[..., 0], front[..., 1], cost)
    return np.where(np.greater_equal(cost, front[..., 0, 0]), accuracies, np.nan)


def between(
    values: Floats, at: npt.ArrayLike
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Floats]:
    """The neighbours of ``at`` in rising values, and the weight of the upper one, in [0, 1].

    values: [..., n], repetitions allowed; at: [...]; leading axes broadcast. Returns indices and
    weights, each [...]; beyond the ends it is the end, with weight 1.
    """
    at = np.asarray(at, dtype=np.float64)[..., None]
    values = np.broadcast_to(values, np.broadcast_shapes(values.shape, at.shape))
    reached = values >= at
    last = values.shape[-1] - 1
    upper = np.where(reached.any(-1, keepdims=True), reached.argmax(-1)[..., None], last)
    lower = np.maximum(upper - 1, 0)
    low, high = (np.take_along_axis(values, index, -1) for index in (lower, upper))
    inside = (low < at) & (at < high)
    weight = np.divide(at - low, high - low, out=np.ones_like(low), where=inside)
    return lower[..., 0], upper[..., 0], weight[..., 0]


def _interpolated(values: Floats, wanted: Floats, at: npt.ArrayLike) -> Floats:
    lower, upper, weight = between(values, at)
    wanted = np.broadcast_to(wanted, (*weight.shape, wanted.shape[-1]))
    low, high = (
        np.take_along_axis(wanted, index[..., None], -1)[..., 0] for index in (lower, upper)
    )
    return np.asarray((1 - weight) * low + weight * high)


def _signs(directions: Mapping[str, str]) -> Floats:
    return np.array([1.0 if way == "max" else -1.0 for way in directions.values()])


def _table(points: Floats, directions: Mapping[str, str]) -> Floats:
    """Points as [n, objectives], also if there are none."""
    points = np.asarray(points, dtype=np.float64)
    return points if points.size else points.reshape(0, len(directions))


def _above(points: Floats, directions: Mapping[str, str], reference: Sequence[float]) -> Floats:
    """What each point gains on the reference, [n, objectives]; 0 where it is not finite."""
    points = _table(points, directions)
    if not points.shape[-1] == len(directions) == len(reference):
        raise ValueError(
            f"points in {points.shape[-1]} objectives, {len(directions)} directions and "
            f"a reference in {len(reference)}: these must agree"
        )
    gains = (points - np.asarray(reference, dtype=np.float64)) * _signs(directions)
    return np.where(np.isfinite(gains), gains, 0.0)


def _volume(gains: Floats) -> float:
    """Of points above the origin: slices along the last objective, best first."""
    if gains.shape[-1] == 1:
        return float(gains.max(initial=0.0))
    gains = gains[np.argsort(-gains[:, -1], kind="stable")]
    depths = -np.diff(gains[:, -1], append=0.0)
    return float(depths @ _course(gains[:, :-1]))


def _course(gains: Floats) -> Floats:
    """The volume of the first 1, ..., n points, [n]; a point not above the origin adds nothing."""
    if gains.shape[-1] == 1:
        return np.maximum.accumulate(np.maximum(gains[:, 0], 0.0))
    course = np.zeros(len(gains))
    volume, front = 0.0, gains[:0]
    for index, point in enumerate(gains):
        if (point > 0).all() and not (front >= point).all(-1).any():
            front = np.vstack([front[~(front <= point).all(-1)], point])
            volume = _volume(front)
        course[index] = volume
    return course

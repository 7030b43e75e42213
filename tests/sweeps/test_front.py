"""The geometry of the front: against pymoo, numpy's interpolation, and by hand."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
from pymoo.indicators.hv import HV
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from sweeps.judging.front import (
    Floats,
    accuracy_at,
    between,
    cost_at,
    hypervolume,
    hypervolume_course,
    nadir,
    pareto,
    trace,
)

BOTH = {"val_accuracy": "max", "gpu_hours": "min"}
WAYS = [["max", "min"], ["min", "min"], ["max", "min", "max"], ["min", "max", "max", "min"]]


def draw(random: np.random.Generator, objectives: int, grid: bool, nan: float = 0.0) -> Floats:
    """Random points; on a grid there are ties and duplicates."""
    count = int(random.integers(1, 25))
    shape = (count, objectives)
    points = random.integers(0, 5, shape) / 4 if grid else random.random(shape)
    points[random.random(shape) < nan] = math.nan
    return points


def directions(ways: list[str]) -> dict[str, str]:
    return {f"objective {index}": way for index, way in enumerate(ways)}


def falling(points: Floats, ways: list[str]) -> Floats:
    """As pymoo has it: less is better."""
    return points * [-1.0 if way == "max" else 1.0 for way in ways]


def volume(points: Floats, ways: list[str], reference: list[float]) -> float:
    known = points[~np.isnan(points).any(1)]
    if not len(known):
        return 0.0
    indicator = HV(ref_point=falling(np.array(reference), ways))
    return float(indicator(falling(known, ways)))


def front_of(points: Floats) -> Floats:
    """The distinct points of the front of (cost, accuracy), by pymoo, in rising order."""
    known = points[~np.isnan(points).any(1)]
    best = NonDominatedSorting().do(known * [1, -1], only_non_dominated_front=True)
    return np.unique(known[best], axis=0)


def test_pareto_by_definition_on_random_points() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        points = random.integers(0, 5, (12, 2)).astype(float)
        points[random.random((12, 2)) < 0.05] = math.nan
        found = pareto(points, BOTH)
        for index, point in enumerate(points):
            beaten = any(
                (other[0] >= point[0] and other[1] <= point[1]) and tuple(other) != tuple(point)
                for other in points
                if not np.isnan(other).any()
            )
            assert found[index] == (not np.isnan(point).any() and not beaten)


@pytest.mark.parametrize("grid", [True, False])
@pytest.mark.parametrize("ways", WAYS)
def test_pareto_is_pymoos(ways: list[str], grid: bool) -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        points = draw(random, len(ways), grid, nan=0.05)
        known = np.flatnonzero(~np.isnan(points).any(1))
        expected: set[int] = set()
        if len(known):
            sort = NonDominatedSorting()
            best = sort.do(falling(points[known], ways), only_non_dominated_front=True)
            expected = set(known[best])
        assert set(np.flatnonzero(pareto(points, directions(ways)))) == expected


@pytest.mark.parametrize("grid", [True, False])
@pytest.mark.parametrize("ways", WAYS)
def test_hypervolume_is_pymoos(ways: list[str], grid: bool) -> None:
    random = np.random.default_rng(2)
    above = 0
    for _ in range(20):
        points = draw(random, len(ways), grid, nan=0.03)
        share = float(random.choice([0.1, 0.25, 0.5]))  # on the grid, too
        reference = [share if way == "max" else 1 - share for way in ways]
        expected = volume(points, ways, reference)
        found = hypervolume(points, directions(ways), reference)
        assert found == pytest.approx(expected, abs=1e-12)
        above += expected > 0
    assert above > 10


@pytest.mark.parametrize("ways", WAYS)
def test_the_course_is_the_volume_of_each_beginning(ways: list[str]) -> None:
    random = np.random.default_rng(3)
    for grid in (True, False):
        points = draw(random, len(ways), grid, nan=0.05)
        reference = [0.1 if way == "max" else 0.9 for way in ways]
        found = hypervolume_course(points, directions(ways), reference)
        expected = [volume(points[: n + 1], ways, reference) for n in range(len(points))]
        assert found.tolist() == pytest.approx(expected, abs=1e-12)
        assert found[-1] > 0


def test_hypervolume_by_hand() -> None:
    points = np.array([[0.9, 1.0], [0.8, 0.5], [0.7, 0.9]])  # the last is dominated
    assert hypervolume(points, BOTH, [0.6, 2.0]) == pytest.approx(0.3 * 1.0 + 0.2 * 0.5)
    assert hypervolume(points[:, :1], {"val_accuracy": "max"}, [0.6]) == pytest.approx(0.3)
    assert hypervolume(points[:1], BOTH, [0.6, 2.0]) == pytest.approx(0.3)


def test_what_is_not_better_than_the_reference_adds_nothing() -> None:
    points = np.array([[0.9, 1.0], [0.8, 0.5]])
    for reference in ([0.9, 0.5], [1.0, 2.0], [0.0, 0.5], [0.9, 2.0], [math.nan, 2.0]):
        assert hypervolume(points, BOTH, reference) == 0.0
    beyond = np.array([[0.95, 3.0], [0.1, 0.1], [math.nan, 0.1], [math.inf, 0.1], [0.99, 2.0]])
    together = np.vstack([points, beyond])
    expected = hypervolume(points, BOTH, [0.6, 2.0])
    assert hypervolume(together, BOTH, [0.6, 2.0]) == expected > 0
    course = hypervolume_course(together[::-1], BOTH, [0.6, 2.0])
    assert course.tolist() == pytest.approx([0, 0, 0, 0, 0, 0.2 * 1.5, expected])


def test_no_points() -> None:
    empty: list[Any] = [np.empty((0, 2)), np.array([])]
    for points in empty:
        assert hypervolume(points, BOTH, [0.0, 1.0]) == 0.0
        assert hypervolume_course(points, BOTH, [0.0, 1.0]).tolist() == []
        assert np.isnan(nadir(points, BOTH)).tolist() == [True, True]


@pytest.mark.parametrize("reference", [[0.0], [0.0, 1.0, 2.0]])
def test_a_reference_in_other_objectives_is_refused(reference: list[float]) -> None:
    with pytest.raises(ValueError, match="must agree"):
        hypervolume(np.ones((3, 2)), BOTH, reference)


def test_nadir_is_the_worst_finite_value() -> None:
    points = np.array([[0.9, 1.0], [0.2, math.inf], [math.nan, 7.0], [-math.inf, 0.1]])
    assert nadir(points, BOTH) == [0.2, 7.0]
    assert nadir(points, {"loss": "min", "speed": "max"}) == [0.9, 0.1]
    assert nadir(points[:1], BOTH) == [0.9, 1.0]
    assert hypervolume(points[:1], BOTH, nadir(points[:1], BOTH)) == 0.0


def test_five_hundred_volumes_of_five_hundred_points_take_no_time() -> None:
    rising = np.linspace(0.01, 1, 500)
    points = np.stack([rising, rising**2], 1)  # all on the front
    start = time.perf_counter()
    for _ in range(500):
        hypervolume(points, BOTH, [0.0, 2.0])
    assert time.perf_counter() - start < 5  # 0.05 s when this was written


@pytest.mark.parametrize("grid", [True, False])
def test_trace_goes_through_the_front_in_rising_order(grid: bool) -> None:
    random = np.random.default_rng(4)
    for _ in range(30):
        points = draw(random, 2, grid, nan=0.2)
        if np.isnan(points).any(1).all():
            continue
        found = points[trace(points)]
        assert np.unique(found, axis=0).tolist() == front_of(points).tolist()
        assert (np.diff(found, axis=0) >= 0).all()


def test_many_fronts_at_once_are_each_alone() -> None:
    random = np.random.default_rng(5)
    points = random.integers(0, 6, (7, 9, 2)) / 5
    points[random.random((7, 9)) < 0.2] = math.nan
    together = trace(points)
    assert together.tolist() == [trace(alone).tolist() for alone in points]
    fronts = np.take_along_axis(points, together[..., None], 1)
    costs, accuracies = cost_at(fronts, np.full(7, 0.7)), accuracy_at(fronts, np.full(7, 0.3))
    for front, cost, accuracy in zip(fronts, costs, accuracies, strict=True):
        assert np.array_equal(cost, cost_at(front, 0.7), equal_nan=True)
        assert np.array_equal(accuracy, accuracy_at(front, 0.3), equal_nan=True)
    assert np.isfinite(costs).any()
    assert np.isfinite(accuracies).any()


@pytest.mark.parametrize("grid", [True, False])
def test_interpolation_is_numpys(grid: bool) -> None:
    random = np.random.default_rng(6)
    for _ in range(30):
        points = draw(random, 2, grid)
        front, simple = points[trace(points)], front_of(points)
        at = np.concatenate([random.uniform(-0.2, 1.2, 20), simple[:, 0], simple[:, 1]])
        costs = np.interp(at, simple[:, 1], simple[:, 0], right=math.nan)
        accuracies = np.interp(at, simple[:, 0], simple[:, 1], left=math.nan)
        assert cost_at(front, at) == pytest.approx(costs, nan_ok=True)
        assert accuracy_at(front, at) == pytest.approx(accuracies, nan_ok=True)


def test_the_ends_of_a_front() -> None:
    front = np.array([[0.4, 0.8], [0.6, 0.9]])
    assert cost_at(front, [0.1, 0.8, 0.85, 0.9]).tolist() == pytest.approx([0.4, 0.4, 0.5, 0.6])
    assert math.isnan(cost_at(front, 0.91))
    assert accuracy_at(front, [0.4, 0.55, 0.6, 9.0]).tolist() == pytest.approx(
        [0.8, 0.875, 0.9, 0.9]
    )
    assert math.isnan(accuracy_at(front, 0.39))
    single = front[:1]
    assert (float(cost_at(single, 0.5)), float(accuracy_at(single, 0.5))) == (0.4, 0.8)
    assert math.isnan(cost_at(single, 0.81))
    assert math.isnan(cost_at(front, math.nan))


def test_between_gives_the_neighbours_and_the_weight_of_the_upper() -> None:
    values = np.array([1.0, 1.0, 2.0, 2.0, 4.0])
    expected = {0.0: (0, 0, 1.0), 1.5: (1, 2, 0.5), 2.0: (1, 2, 1.0), 2.5: (3, 4, 0.25)}
    for at, found in expected.items():
        assert tuple(map(float, between(values, at))) == found
    assert int(between(values, 5.0)[1]) == 4
    assert float(between(values, 5.0)[2]) == 1.0

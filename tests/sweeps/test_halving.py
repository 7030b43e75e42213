"""Early stopping with several objectives: who goes on, who rests, who is called back."""

from __future__ import annotations

import numpy as np
import pytest
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from sweeps.file.search import EarlyStopping
from sweeps.judging.front import pareto
from sweeps.search.halving import Halving, crowding, ranked

WAYS = {"val_accuracy": "max", "gpu_hours": "min"}


@pytest.mark.parametrize("seed", range(20))
def test_ranks_are_those_of_nondominated_sorting(seed: int) -> None:
    draw = np.random.default_rng(seed)
    points = draw.integers(0, 6, (draw.integers(1, 40), 2)).astype(float)  # many ties
    order = ranked(points, WAYS)
    assert sorted(order) == list(range(len(points)))
    layers = NonDominatedSorting().do(points * [-1, 1])
    layer = {int(number): depth for depth, found in enumerate(layers) for number in found}
    depths = [layer[number] for number in order]
    assert depths == sorted(depths)


def test_in_a_layer_those_that_stand_alone_come_first() -> None:
    points = np.array([[0.5, 5.0], [0.9, 9.0], [0.52, 5.2], [0.1, 1.0], [0.3, 3.0]])
    assert pareto(points, WAYS).all()
    order = ranked(points, WAYS)
    assert set(order[:2]) == {1, 3}  # the ends
    distance = crowding(points)
    assert order[2:] == sorted((0, 2, 4), key=lambda number: -distance[number])
    # Neighbours at 0.3 and 0.52 of 0.1 to 0.9, and the same share of the hours.
    assert distance[0] == pytest.approx(2 * 0.22 / 0.8)


def test_the_best_share_goes_on_and_late_ones_change_who_that_is() -> None:
    halving = Halving(EarlyStopping(at=(0.25, 0.5), keep=0.5), WAYS)
    assert halving.epochs(18) == [4, 9]
    assert halving.epochs(2) == [1, 1]
    assert halving.keeps("never came to a rung")
    halving.reach("middle", 0, [0.5, 1.0])
    assert halving.keeps("middle"), "the only one"
    halving.reach("best", 0, [0.9, 0.5])
    assert [halving.keeps(key) for key in ("middle", "best")] == [False, True]
    halving.reach("worst", 0, [0.1, 2.0])
    assert [halving.keeps(key) for key in ("middle", "best", "worst")] == [True, True, False]
    halving.reach("middle", 1, [0.1, 9.0])
    assert halving.keeps("middle"), "first at the next rung"
    halving.reach("best", 1, [0.95, 1.0])
    assert not halving.keeps("middle")
    assert halving.values("middle") == [[0.5, 1.0], [0.1, 9.0]]
    assert halving.values("worst") == [[0.1, 2.0], None]

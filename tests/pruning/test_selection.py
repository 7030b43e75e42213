"""Which units stay: exact counts, floors, ties, and what is gone stays gone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from pruning.policies import selection
from pruning.policies.selection import Scope, floors, keep_top, round_up
from pruning.structure.layout import Layout

TWO = Layout(("a", "b"), (4, 6))


def scores(*values: float) -> npt.NDArray[np.float32]:
    return np.asarray(values, dtype=np.float32)


def drawn(seed: int) -> tuple[Layout, npt.NDArray[np.float32], float, float]:
    """A layout, scores with ties and gone units, a ratio and a floor."""
    draw = np.random.default_rng(seed)
    sizes = tuple(int(size) for size in draw.integers(1, 40, draw.integers(1, 7)))
    layout = Layout(tuple(f"layer{i}" for i in range(len(sizes))), sizes)
    values = draw.integers(0, 12, layout.total).astype(np.float32)
    if seed % 2:
        for start, size in zip(layout.offsets[:-1], sizes, strict=True):
            values[start + draw.permutation(size)[: size // 3]] = np.nan
    return layout, values, float(draw.uniform(0.01, 0.99)), float(draw.choice([0, 0.05, 0.3]))


def test_global_by_hand() -> None:
    kept = keep_top(scores(9, 8, 7, 6, 5, 4, 3, 2, 1, 0), TWO, 0.5, "global", 0)
    assert np.flatnonzero(kept).tolist() == [0, 1, 2, 3, 4]


def test_layer_by_hand() -> None:
    kept = keep_top(scores(9, 8, 7, 6, 0, 1, 2, 3, 4, 5), TWO, 0.5, "layer", 0)
    assert np.flatnonzero(kept).tolist() == [0, 1, 7, 8, 9]


def test_ties_go_to_the_lower_id() -> None:
    equal = np.ones(10, dtype=np.float32)
    assert np.flatnonzero(keep_top(equal, TWO, 0.5, "global", 0)).tolist() == [0, 1, 2, 3, 4]
    assert np.flatnonzero(keep_top(equal, TWO, 0.5, "layer", 0)).tolist() == [0, 1, 4, 5, 6]


def test_floor_takes_from_the_budget() -> None:
    best_in_a = scores(9, 8, 7, 6, 0, 1, 2, 3, 4, 5)
    kept = keep_top(best_in_a, TWO, 0.6, "global", 0.5)
    assert TWO.counts(kept).tolist() == [2, 3]  # floors want 5, more than the 4 that were asked
    kept = keep_top(best_in_a, TWO, 0.4, "global", 0.5)
    assert np.flatnonzero(kept).tolist() == [0, 1, 2, 7, 8, 9]
    assert floors(TWO, 0.3).tolist() == [2, 2]
    assert floors(TWO, 0).tolist() == [1, 1]


def test_round_up_by_hand() -> None:
    values = scores(4, 3, 2, 1, 10, 9, 8, 7, 6, 5)
    kept = keep_top(values, TWO, 0.5, "global", 0)
    assert TWO.counts(kept).tolist() == [1, 4]
    rounded = round_up(kept, values, TWO, 4)
    assert TWO.counts(rounded).tolist() == [4, 4]
    assert TWO.counts(round_up(kept, values, TWO, 3)).tolist() == [3, 6]
    assert TWO.counts(round_up(kept, values, TWO, 8)).tolist() == [4, 6]
    assert np.flatnonzero(round_up(kept, values, TWO, 2)).tolist() == [0, 1, 4, 5, 6, 7]


@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("seed", range(60))
def test_what_always_holds(seed: int, scope: Scope) -> None:
    layout, values, ratio, floor = drawn(seed)
    kept = keep_top(values, layout, ratio, scope, floor)
    gone = np.isnan(values)
    left = layout.counts(~gone)
    least = np.minimum(floors(layout, floor), left)
    counts = layout.counts(kept)
    assert kept.shape == (layout.total,)
    assert not kept[gone].any()
    assert (counts >= least).all()
    assert (counts >= 1).all()
    if scope == "global":
        asked = layout.total - round(ratio * layout.total)
        assert counts.sum() == min(max(asked, least.sum()), left.sum())
    else:
        asked = np.rint((1 - ratio) * np.asarray(layout.sizes)).astype(int)
        assert counts.tolist() == np.minimum(np.maximum(asked, least), left).tolist()
    for start, end in zip(layout.offsets[:-1], layout.offsets[1:], strict=True):
        here = [(-values[u], u, kept[u]) for u in range(start, end) if not gone[u]]
        stays = [is_kept for _, _, is_kept in sorted(here)]
        assert stays == sorted(stays, reverse=True)  # within a layer the best stay, ties by id


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("multiple", [2, 8])
def test_round_up_always(seed: int, multiple: int) -> None:
    layout, values, ratio, floor = drawn(seed)
    kept = keep_top(values, layout, ratio, "global", floor)
    rounded = round_up(kept, values, layout, multiple)
    assert rounded[kept].all()
    assert not rounded[np.isnan(values)].any()
    left, before, after = (layout.counts(m) for m in (~np.isnan(values), kept, rounded))
    assert after.tolist() == np.minimum(-(-before // multiple) * multiple, left).tolist()


@pytest.mark.parametrize("seed", range(20))
def test_global_ranks_all_layers_together(seed: int) -> None:
    layout, values, ratio, _ = drawn(2 * seed)
    kept = keep_top(values, layout, ratio, "global", 0)
    order = sorted(range(layout.total), key=lambda unit: (-values[unit], unit))
    best = {min(range(a, b), key=lambda unit: (-values[unit], unit)) for a, b in spans(layout)}
    budget = max(0, layout.total - round(ratio * layout.total) - len(best))
    assert set(np.flatnonzero(kept)) == best | set([u for u in order if u not in best][:budget])


def spans(layout: Layout) -> list[tuple[int, int]]:
    return list(zip(layout.offsets[:-1].tolist(), layout.offsets[1:].tolist(), strict=True))


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_the_ranking_is_that_of_a_stable_sort_whatever_the_scores(size: int) -> None:
    draw = np.random.default_rng(size)
    for _ in range(50):
        kinds = [draw.normal(size=size), draw.integers(-3, 3, size) / 2, np.zeros(size)]
        scores = kinds[draw.integers(3)].astype(np.float32) * np.float32(draw.choice([1, 1e-40]))
        for odd in (np.nan, np.inf, -np.inf, -0.0, np.finfo(np.float32).min):
            scores[draw.random(size) < 0.1] = odd
        expected = np.argsort(-scores, kind="stable")[: size - np.isnan(scores).sum()]
        assert np.array_equal(selection._ranked(scores), expected)

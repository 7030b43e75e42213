"""Savings and gains beside dense: by hand, against plain code, and their intervals."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting
from scipy.stats import bootstrap

from pruning import POLICIES
from sweeps.judging.savings import DROPS, SHARES, Gain, Saving, gains, is_control, savings
from sweeps.results.rows import Row, by_setting, mean, row

BOTH = {"val_accuracy": "max", "gpu_hours": "min"}
DENSE = {"policy": "dense"}


def cut(ratio: float, policy: str = "at_epoch", **settings: Any) -> dict[str, Any]:
    return {"policy": policy, "ratio": ratio, **settings}


def trial(
    setting: dict[str, Any], accuracy: float, hours: float, seed: int = 0, test: float | None = None
) -> Row:
    summary = {
        "val_accuracy": accuracy,
        "gpu_hours": hours,
        "test_accuracy": accuracy if test is None else test,
    }
    return row("t", setting, seed, {"status": "finished", "summary": summary})


def failed(setting: dict[str, Any], seed: int = 0) -> Row:
    return row("t", setting, seed, {"status": "failed", "reason": "ValueError: no"})


def saving(rows: Sequence[Row], drop: float, family: str = "all", **settings: Any) -> Saving:
    found = savings(rows, BOTH, **settings)
    (one,) = [one for one in found if (one.family, one.drop) == (family, drop)]
    return one


def gain(rows: Sequence[Row], share: float, family: str = "all", **settings: Any) -> Gain:
    found = gains(rows, BOTH, **settings)
    (one,) = [one for one in found if (one.family, one.share) == (family, share)]
    return one


SIMPLE = [
    trial(DENSE, 0.900, 10.0, test=0.89),
    trial(cut(0.7), 0.880, 4.0, test=0.85),
    trial(cut(0.5), 0.896, 6.0, test=0.88),
    trial(cut(0.6), 0.870, 7.0, test=0.99),  # dominated
]
BETTER = [*SIMPLE, trial(cut(0.1), 0.910, 8.0, test=0.92)]


def test_savings_by_hand() -> None:
    none, half, one = (saving(SIMPLE, drop) for drop in DROPS)
    assert (none.target, none.cost, none.saved) == pytest.approx((0.9, 10, 0))
    assert none.settings == (("dense", "", 1.0),)
    assert none.test_change == 0
    upper = (0.895 - 0.88) / 0.016
    assert (half.target, half.cost) == pytest.approx((0.895, 4 + 2 * upper))
    assert half.saved == pytest.approx(1 - half.cost / 10)
    assert [part[:2] for part in half.settings] == [("at_epoch", f"ratio={r}") for r in (0.7, 0.5)]
    assert [part[2] for part in half.settings] == pytest.approx([1 - upper, upper])
    assert one.cost == pytest.approx(4 + 2 * 0.01 / 0.016)


def test_what_was_chosen_on_validation_is_judged_on_test() -> None:
    upper = (0.895 - 0.88) / 0.016
    expected = (1 - upper) * 0.85 + upper * 0.88 - 0.89
    assert saving(SIMPLE, 0.005).test_change == pytest.approx(expected)
    assert gain(BETTER, 0.75).test_change == pytest.approx(0.25 * 0.88 + 0.75 * 0.92 - 0.89)
    untested = [{**found, "test_accuracy": None} for found in BETTER]
    assert saving(untested, 0.005).saved == saving(BETTER, 0.005).saved
    assert saving(untested, 0.005).test_change is None


def test_a_front_that_passes_dense_saves_without_a_drop() -> None:
    found = saving(BETTER, 0.0)
    upper = 0.004 / 0.014
    assert found.cost == pytest.approx(6 + 2 * upper)
    assert [part[2] for part in found.settings] == pytest.approx([1 - upper, upper])


def test_below_the_front_the_cheapest_setting_is_enough() -> None:
    found = saving([SIMPLE[0], trial(cut(0.3), 0.899, 9.0)], 0.01)
    assert (found.cost, found.saved) == pytest.approx((9.0, 0.1))
    assert found.settings == (("at_epoch", "ratio=0.3", 1.0),)


def test_gains_by_hand() -> None:
    whole, most, half = (gain(BETTER, share) for share in SHARES)
    assert whole.gained == pytest.approx(0.01)
    assert whole.settings == (("at_epoch", "ratio=0.1", 1.0),)
    assert most.gained == pytest.approx(0.25 * 0.896 + 0.75 * 0.91 - 0.9)
    assert half.gained == pytest.approx(0.888 - 0.9)
    assert [part[2] for part in half.settings] == pytest.approx([0.5, 0.5])


def test_no_gain_at_a_cost_below_the_front() -> None:
    found = gain([SIMPLE[0], trial(cut(0.5), 0.88, 6.0)], 0.5)
    assert found == Gain("all", 0.5, None, None, None, (), None)
    assert gain([SIMPLE[0], trial(cut(0.5), 0.88, 5.0)], 0.5).gained == pytest.approx(-0.02)


def test_figures_are_those_of_plain_code_on_random_results() -> None:
    random = np.random.default_rng(0)
    beyond = 0
    for _ in range(20):
        rows = [trial(DENSE, 0.9 + random.normal() / 100, 1.0, seed) for seed in range(3)]
        for number in range(12):
            cost = float(random.integers(4, 13)) / 10
            level = 0.87 + 0.04 * cost + random.normal() / 100
            for seed in range(3):
                accuracy = round(float(level + random.normal() / 300), 3)
                rows.append(trial(cut(number / 20), accuracy, cost, seed))
        points = np.array(
            [[mean(group, "gpu_hours"), mean(group, "val_accuracy")] for group in rows_of(rows)]
        )
        best = NonDominatedSorting().do(points * [1, -1], only_non_dominated_front=True)
        costs, accuracies = np.unique(points[best], axis=0).T
        dense_cost, dense = points[0]
        for drop in DROPS:
            found = saving(rows, drop, repeats=10)
            expected = np.interp(dense - drop, accuracies, costs)
            assert (found.target, found.cost) == pytest.approx((dense - drop, expected))
            assert found.saved == pytest.approx(1 - expected / dense_cost)
            assert sum(part[2] for part in found.settings) == pytest.approx(1)
            beyond += found.saved > 0
        for share in SHARES:
            known = share * dense_cost >= costs[0]
            expected = np.interp(share * dense_cost, costs, accuracies) - dense
            got = gain(rows, share, repeats=10).gained
            assert got == (pytest.approx(expected, abs=1e-11) if known else None)
    assert beyond > 30


def rows_of(rows: Sequence[Row]) -> list[list[Row]]:
    return list(by_setting(rows).values())


def test_equal_means_are_equal_however_they_were_summed() -> None:
    accuracies = [0.3, 0.2, 0.1]
    assert sum(accuracies) != sum(reversed(accuracies))
    rows = []
    for seed, accuracy in enumerate(accuracies):
        rows.append(trial(DENSE, accuracy, 1.0, seed))
        rows.append(trial(cut(0.5), accuracies[-1 - seed], 0.5, seed))
    assert saving(rows, 0.0).saved == 0.5
    assert gain(rows, 0.5).gained == 0.0


# Families


def test_families_in_order_and_controls_in_none_but_their_own() -> None:
    rows = [
        trial(cut(0.5, "epi"), 0.89, 6.0),
        trial({"policy": "uniform", "of": {"policy": "epi"}}, 0.90, 2.0),
        trial(cut(0.5, saliency="random"), 0.90, 3.0),
        trial(cut(0.5, saliency={"name": "random", "seed": 3}), 0.90, 2.5),
        trial(cut(0.5, saliency={"name": "taylor", "form": "weights"}), 0.90, 5.0),
        trial(DENSE, 0.90, 10.0),
    ]
    found = {one.family: one.cost for one in savings(rows, BOTH) if one.drop == 0}
    expected = {"all": 5.0, "epi": 10.0, "uniform": 2.0, "random units": 2.5, "at_epoch": 5.0}
    assert found == pytest.approx(expected)
    assert list(found) == list(expected)
    assert [one.family for one in gains(rows, BOTH)[:: len(SHARES)]] == list(expected)


def test_controls_are_the_control_policies_and_random_units() -> None:
    rows = {name: trial({"policy": name}, 0.9, 1.0) for name in [*POLICIES, "own_code:Mine"]}
    assert {name for name, found in rows.items() if is_control(found)} == {
        "small_from_scratch",
        "uniform",
    }
    assert is_control(trial(cut(0.5, saliency="random"), 0.9, 1.0))
    assert is_control(trial(cut(0.5, saliency={"name": "random", "seed": 1}), 0.9, 1.0))
    assert not is_control(trial(cut(0.5, saliency={"name": "taylor"}), 0.9, 1.0))


def test_only_controls_beside_dense_are_no_saving_of_all() -> None:
    rows = [SIMPLE[0], trial({"policy": "uniform", "of": "epi"}, 0.9, 4.0)]
    assert {one.family for one in savings(rows, BOTH)} == {"uniform"}
    assert savings(rows[:1], BOTH) == []


def test_the_most_accurate_dense_is_the_reference() -> None:
    slow = {**trial(DENSE, 0.92, 20.0), "settings": "task.optimizer.lr=0.1"}
    rows = [*SIMPLE, slow, trial(cut(0.2), 0.93, 16.0)]
    found = saving(rows, 0.0)
    upper = 0.02 / 0.03
    assert (found.target, found.cost) == pytest.approx((0.92, 10 + 6 * upper))
    assert found.saved == pytest.approx(1 - found.cost / 20)
    assert saving(rows, 0.005, "dense").cost == pytest.approx(10 + 10 * 0.015 / 0.02)
    assert [part[:2] for part in found.settings] == [("dense", ""), ("at_epoch", "ratio=0.2")]


# What is missing


def test_nothing_without_dense_or_both_kinds_of_objectives() -> None:
    for rows, objectives in [
        (SIMPLE[1:], BOTH),
        ([failed(DENSE), *SIMPLE[1:]], BOTH),
        ([], BOTH),
        (SIMPLE, {"val_accuracy": "max"}),
        (SIMPLE, {"gpu_hours": "min", "macs": "min"}),
        ([{**found, "gpu_hours": 0.0} for found in SIMPLE], BOTH),
    ]:
        assert savings(rows, objectives) == []
        assert gains(rows, objectives) == []
    assert len(savings(SIMPLE, BOTH)) == 2 * len(DROPS)
    assert len(gains(SIMPLE, BOTH)) == 2 * len(SHARES)


def test_the_first_objective_of_each_kind_counts() -> None:
    rows = [{**found, "macs": 100 * found["gpu_hours"] ** 2, "sparsity": 0.5} for found in SIMPLE]
    objectives = {"macs": "min", "val_accuracy": "max", "gpu_hours": "min", "sparsity": "max"}
    found = savings(rows, objectives)[1]
    upper = (0.895 - 0.88) / 0.016
    assert found.cost == pytest.approx((1 - upper) * 1600 + upper * 3600)
    assert found.saved == pytest.approx(1 - found.cost / 10_000)


def test_what_failed_is_left_out() -> None:
    broken = [
        failed(cut(0.5), 1),
        failed(cut(0.9, "epi")),
        trial(cut(0.9), math.nan, 1.0),
        trial(cut(0.5), math.nan, 6.0, 1),
        trial(cut(0.95), 0.99, math.nan),
        {**trial(cut(0.99), 0.99, 0.1), "status": "unfinished"},
    ]
    assert savings([*broken, *SIMPLE], BOTH) == savings(SIMPLE, BOTH)
    assert gains([*broken, *SIMPLE], BOTH) == gains(SIMPLE, BOTH)


# Intervals


def test_one_seed_has_no_interval() -> None:
    for one in [*savings(SIMPLE, BOTH), *gains(BETTER, BOTH)]:
        assert (one.low, one.high) == (None, None)


def test_what_a_seed_does_to_all_settings_alike_does_not_matter() -> None:
    rows = []
    for seed, (shift, factor) in enumerate([(0.0, 1.0), (0.05, 2.0), (-0.2, 0.5), (0.01, 3.0)]):
        for found in BETTER:
            changed = found["val_accuracy"] + shift, found["gpu_hours"] * factor, seed
            rows.append(trial(found["setting"], *changed))
    for drop in DROPS:
        found, alone = saving(rows, drop), saving(BETTER, drop)
        assert (found.saved, found.low, found.high) == pytest.approx((alone.saved,) * 3)
    for share in SHARES:
        more, single = gain(rows, share), gain(BETTER, share)
        assert (more.gained, more.low, more.high) == pytest.approx((single.gained,) * 3)


def test_the_interval_is_scipys_bootstrap_of_paired_differences() -> None:
    random = np.random.default_rng(7)
    dense = 0.9 + random.normal(0, 0.01, 6)
    pruned = dense + 0.02 + random.normal(0, 0.004, 6)
    rows = [trial(DENSE, float(value), 10.0, seed) for seed, value in enumerate(dense)]
    rows += [trial(cut(0.5), float(value), 5.0, seed) for seed, value in enumerate(pruned)]
    found = gain(rows, 1.0, repeats=20_000)
    expected = bootstrap(
        (pruned - dense,), np.mean, n_resamples=20_000, method="percentile", rng=0
    ).confidence_interval
    assert found.gained == pytest.approx(np.mean(pruned - dense))
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=2e-4)


def test_the_interval_contains_the_truth_about_as_often_as_it_says() -> None:
    """Two settings about the target, of known means: the truth is on the line between them."""
    random = np.random.default_rng(8)
    truth = 1 - (0.4 + 0.4 * (0.895 - 0.86) / 0.06)
    settings = [(DENSE, 0.90, 1.0), (cut(0.7), 0.86, 0.4), (cut(0.3), 0.92, 0.8)]
    found = []
    for _ in range(100):
        rows = []
        for seed in range(10):
            common = random.normal(0, 0.02)
            for setting, accuracy, cost in settings:
                noisy = accuracy + common + random.normal(0, 0.004)
                rows.append(trial(setting, float(noisy), cost * random.normal(1, 0.01), seed))
        found.append(saving(rows, 0.005, repeats=300))
    covered = sum(one.low <= truth <= one.high for one in found)
    assert 82 <= covered <= 99  # a little under 95: ten seeds are few
    wide = np.mean([one.high - one.low for one in found])
    assert wide == pytest.approx(2 * 1.96 * np.std([one.saved for one in found]), rel=0.25)


def test_a_setting_counts_in_the_repeats_that_draw_a_seed_of_it() -> None:
    def interval(seeds: int, of_pruned: int) -> tuple[float | None, float | None]:
        rows = [trial(cut(0.5), 0.9, 5.0, seed) for seed in range(of_pruned)]
        rows += [trial(DENSE, 0.9, 10.0, seed) for seed in range(seeds)]
        found = saving(rows, 0.0)
        assert found.saved == 0.5
        return found.low, found.high

    assert interval(2, 1) == (0.0, 0.5)  # a draw in four is without seed 0
    assert interval(10, 9) == (0.5, 0.5)  # one in 10^10 has only seed 9


def test_the_same_seed_gives_the_same_interval_and_another_one_another() -> None:
    random = np.random.default_rng(9)
    rows = [
        trial(found["setting"], found["val_accuracy"] + random.normal() / 100, 1.0 + index, seed)
        for seed in range(7)
        for index, found in enumerate(SIMPLE[::-1])
    ]
    assert savings(rows, BOTH) == savings(rows, BOTH)
    assert savings(rows[::-1], BOTH)[1].low == pytest.approx(saving(rows, 0.005).low)
    first, second = (gain(rows, 1.0, seed=seed) for seed in (0, 1))
    assert first.gained == second.gained
    assert (first.low, first.high) != (second.low, second.high)


def test_figures_are_plain_json() -> None:
    found = json.loads(json.dumps(saving(SIMPLE, 0.0).to_json(), allow_nan=False))
    assert found == {
        "family": "all",
        "drop": 0.0,
        "target": 0.9,
        "cost": 10.0,
        "saved": 0.0,
        "low": None,
        "high": None,
        "settings": [["dense", "", 1.0]],
        "test_change": 0.0,
    }
    empty = gain([SIMPLE[0], trial(cut(0.5), 0.88, 6.0)], 0.5)
    assert json.loads(json.dumps(empty.to_json()))["settings"] == []

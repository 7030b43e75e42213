"""A plan's figures: against the published protocol, brute force, and what is then trained."""

from __future__ import annotations

import time
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from in_process import train
from sweep_files import SMALL, changed

from dashboards.plans import plan_lines
from sweeps.file.sweep import Sweep, read
from sweeps.planning.calibration import calibrate
from sweeps.planning.plan import plan
from sweeps.storage.store import Store

PUBLISHED = Path(__file__).parents[2] / "sweeps" / "configs" / "published-protocol.yaml"
MIXED: list[Any] = [
    {"policy": "at_epoch", "epoch": {"grid": [0, 2]}, "ratio": {"grid": [0.3, 0.5]}},
    {"policy": "epi", "window": 1, "threshold": {"grid": [0.8, 0.9]}, "latest": 0.5},
    {"policy": "epi", "window": 2, "threshold": 0.9, "earliest": 3, "latest": None},
]


def planned(sweep: Sweep, storage: Path | str) -> dict[str, Any]:
    return plan(sweep, sweep.trials(), Store(storage))


def test_the_published_protocol(tmp_path: Path) -> None:
    began = time.perf_counter()
    figures = planned(read(PUBLISHED), tmp_path / "none")
    assert time.perf_counter() - began < 10
    assert figures["trials"] == 1 + 11 * 9 * 2 + 50 * 9 * 2
    assert figures["epochs_alone"] == 98_910
    tails = sum(90 - epoch for epoch in [*range(6), 10, 15, 20, 25, 30])
    assert figures["epochs_shared"]["min"] == 90 + 18 * tails == 15_840
    tails = sum(90 - epoch for epoch in range(31))
    assert figures["epochs_shared"]["max"] == 90 + 18 * tails == 41_940
    assert figures["epochs_left"] == figures["epochs_shared"]
    assert not (tmp_path / "none").exists()
    lines = plan_lines(figures)
    assert "epochs shared: 15,840 to 41,940 (2.4 to 6.2 times fewer than 98,910 alone)" in lines


@pytest.mark.parametrize(
    "policies",
    [
        MIXED,
        ["dense", *MIXED],
        MIXED[:1],
        MIXED[1:],
        [*MIXED, {"policy": "own_code:LastUnits"}],
        ["dense"],
        [{"policy": "at_epoch", "epoch": 0}],
    ],
)
def test_brute_force(policies: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "pruning")
    epochs = 5
    sweep = Sweep.parse(changed(policies=policies, task__epochs=epochs, seeds=[0, 1]))
    one = [spec.policy for spec in sweep.trials() if spec.seed == 0]
    spans = [policy.first_action(epochs) or (epochs, epochs) for policy in one]
    totals = set()
    for decided in product(*(range(first, last + 1) for first, last in spans)):
        acted = {(policy.action_key(), at) for policy, at in zip(one, decided, strict=True)}
        totals.add(max(decided) + sum(epochs - at for _, at in acted))
    figures = planned(sweep, tmp_path)
    assert figures["epochs_shared"] == {"min": 2 * min(totals), "max": 2 * max(totals)}
    alone = 2 * len(one) * epochs
    assert figures["epochs_alone"] == alone
    assert figures["ratio"] == {
        "min": alone / (2 * max(totals)),
        "max": alone / (2 * min(totals)),
    }


@pytest.mark.parametrize("policies", [SMALL["policies"], MIXED, ["dense", *MIXED]])
@pytest.mark.parametrize("step", [3, 10])
def test_what_is_left_is_what_is_then_trained(
    policies: list[Any], step: int, tmp_path: Path
) -> None:
    sweep = Sweep.parse(changed(policies=policies, task__epochs=5, seeds=[0, 1]))
    store = Store(tmp_path)
    plans = [plan(sweep, sweep.trials(), store)]
    trained = [0]
    while plans[-1]["epochs_left"]["max"]:
        trained.append(trained[-1] + train(sweep, store, step))
        before = {entry.name for entry in store.files.entries()}
        plans.append(plan(sweep, sweep.trials(), store))
        assert {entry.name for entry in store.files.entries()} == before
    for done, figures in zip(trained, plans, strict=True):
        left = trained[-1] - done
        assert figures["epochs_left"]["min"] <= left <= figures["epochs_left"]["max"]
        assert figures["epochs_stored"] == done
        shared = figures["epochs_shared"]
        assert shared["min"] <= trained[-1] <= shared["max"]
    assert plans[-1]["trials_finished"] == plans[-1]["trials"]
    assert plans[0]["timings"] is None
    assert plans[1]["timings"] == "stored"
    assert not plans[-1]["pruned_as_dense"]
    assert plans[-1]["expected_hours_left"] == {"min": 0, "max": 0}
    assert plans[-1]["expected_hours_alone"] > plans[-1]["expected_hours_shared"]["min"] > 0


def test_a_policy_that_joins_later_pays_for_what_is_new(tmp_path: Path) -> None:
    store = Store(tmp_path)
    kept = {"policy": "at_epoch", "epoch": {"grid": [1, 3]}, "ratio": 0.5}
    train(Sweep.parse(changed(policies=["dense", kept], task__epochs=5, seeds=[0])), store)

    def left(*policies: Any) -> dict[str, int]:
        sweep = Sweep.parse(changed(policies=[*policies], task__epochs=5, seeds=[0]))
        found: dict[str, int] = plan(sweep, sweep.trials(), store)["epochs_left"]
        return found

    assert left({**kept, "epoch": 2}) == {"min": 3, "max": 3}
    assert left({**kept, "epoch": 3}) == {"min": 0, "max": 0}
    taylor = {"policy": "epi", "threshold": 0.9, "saliency": "taylor", "window": 1}
    # The trunk is there, but not what it asks for was measured.
    assert left({**taylor, "latest": 0.5}) == {"min": 5, "max": 5}
    assert left({**taylor, "latest": 0.5}, {**taylor, "latest": 0.3}) == {"min": 5, "max": 9}


def test_the_trunk_s_timings_stand_in_for_pruned_ones_and_for_other_seeds(tmp_path: Path) -> None:
    store = Store(tmp_path)
    train(Sweep.parse(changed(policies=["dense"], seeds=[0])), store)
    for seeds in ([0], [7, 8]):
        figures = planned(Sweep.parse(changed(seeds=seeds)), tmp_path)
        assert figures["timings"] == "stored"
        assert figures["pruned_as_dense"]
        assert any("pruned epochs are counted as dense" in line for line in plan_lines(figures))
    assert planned(Sweep.parse(changed(task__batch_size=16)), tmp_path)["timings"] is None
    train(Sweep.parse(changed(policies=SMALL["policies"], seeds=[0])), store)
    assert not planned(Sweep.parse(changed(seeds=[7])), tmp_path)["pruned_as_dense"]


def test_a_foreign_file_does_not_stop_a_plan(tmp_path: Path) -> None:
    store = Store(tmp_path)
    train(Sweep.parse(changed(policies=["dense"], seeds=[0])), store)
    store.files.write("paths/foreign/path", b"[1]")
    store.files.write("paths/other/path", b"no json")
    assert planned(Sweep.parse(changed(seeds=[7])), tmp_path)["timings"] == "stored"


def test_a_calibration_is_close_to_what_an_epoch_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = Sweep.parse(
        changed(
            task__data={"source": "digits"},
            task__model={"name": "small_cnn"},
            task__batch_size=16,
            policies=["dense", {"policy": "at_epoch", "epoch": 2, "saliency": "taylor"}],
            resources={"cpus": 2},
        )
    )
    whole = calibrate(sweep, sweep.trials())
    monkeypatch.setattr("sweeps.planning.calibration.TRAIN_SECONDS", 0.5)
    monkeypatch.setattr("sweeps.planning.calibration.EVALUATE_SECONDS", 0.0)
    few = calibrate(sweep, sweep.trials())
    for section in ("train", "evaluate", "probe:taylor"):
        assert 1 / 10 < few.dense[section] / whole.dense[section] < 10
    assert few.pruned is None
    figures = plan(sweep, sweep.trials(), Store(tmp_path), few)
    assert figures["timings"] == "calibrated"
    # Two CPUs are held for 4 epochs; a trial alone is charged for its own probes only.
    seconds = figures["expected_hours_alone"] * 3600 / 4 / 2
    expected = 2 * (few.dense["train"] + few.dense["evaluate"]) + few.dense["probe:taylor"]
    assert seconds == pytest.approx(expected)
    assert any("from a calibration" in line for line in plan_lines(figures))

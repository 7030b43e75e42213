"""The studies of fidelity to the papers, small, and what their figures are made of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import here
import numpy as np
import pytest

from benchmarks.fidelity import (
    activation_density,
    bayes_factor,
    bep,
    epi,
    forecast,
    regret,
    study,
    tasks,
)
from pruning.policies import Policy, policy

SMALL_TASK: dict[str, Any] = {
    "model": {"name": "small_cnn", "options": {"widths": [8, 8], "pool_after": [0]}},
    "data": {"source": "digits", "train_limit": 128},
    "epochs": 12,
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained in this process, on a small task."""

    @contextmanager
    def nothing(**_: Any) -> Iterator[None]:
        yield

    monkeypatch.setattr("sweeps.running.run._train", here.train)
    monkeypatch.setattr(study, "ray_session", nothing)
    for field, value in SMALL_TASK.items():
        monkeypatch.setitem(tasks.DIGITS, field, value)


def ran(module: Any, folder: Path, *arguments: str) -> dict[str, Any]:
    """A study's results, of one seed."""
    file = folder / "found.json"
    asked = ["--storage", str(folder), "--seeds", "1", "--json", str(file), *arguments]
    assert module.main(asked) == 0
    found: dict[str, Any] = json.loads(file.read_text())
    assert str(folder) not in file.read_text()
    return found


def test_bayes_factor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = np.random.default_rng(0)
    parts = {"x_train": (90, 4, 4), "x_test": (20, 4, 4)}
    arrays = {name: draw.integers(0, 255, shape).astype(np.uint8) for name, shape in parts.items()}
    labels = {"y_train": np.arange(90) % 3, "y_test": np.arange(20) % 3}
    np.savez(tmp_path / "set.npz", **arrays, **labels)
    asked = ["--data", str(tmp_path / "set.npz"), "--epochs", "3", "--sparsities", "0.5", "0.9"]
    found = ran(bayes_factor, tmp_path, *asked)
    assert found["unpruned"]["theirs"] == 0.9782
    cells = {(c["protocol"], c["method"], c["sparsity"]): c for c in found["cells"]}
    assert len(cells) == 2 * 4 * 2
    cell = cells["held", "bayes_magnitude", 0.9]
    assert cell["theirs"] == 0.9772
    assert cell["difference"] == pytest.approx(cell["ours"] - 0.9772)
    assert "97.72" in capsys.readouterr().out


def test_activation_density(tmp_path: Path) -> None:
    found = ran(activation_density, tmp_path)
    by_name = {line["network"]: line for line in found["networks"]}
    assert by_name["dense"]["training_complexity"] == 12
    assert by_name["dense"]["gain"] == by_name["dense"]["params_x"] == 1
    pruned = by_name["activation density"]
    assert pruned["gain"] > 1
    assert pruned["training_complexity"] == pytest.approx(12 / pruned["gain"])
    assert pruned["params_x"] == by_name["small from scratch"]["params_x"] > 1


def test_bep(tmp_path: Path) -> None:
    found = ran(bep, tmp_path)["tasks"][0]
    lines = found["penalties"]
    assert [line["penalty"] for line in lines] == bep.PENALTIES
    costs = [line["cost"] for line in lines]
    assert costs[0] >= costs[-1]
    assert all(0 < cost <= 1 for cost in costs)
    assert set(found["controls"]) == {"dense", "small from scratch", "uniform"}
    assert found["controls"]["dense"]["cost"] == 1


def test_epi(tmp_path: Path) -> None:
    found = ran(epi, tmp_path, "--grid", "0", "5", "6")
    assert len(found["cases"]) == 4 * len(epi.INDICATORS)
    assert {case["oracle_epoch"] for case in found["cases"]} <= {0, 5, 6}
    assert all(len(case["epochs"]) == 1 for case in found["cases"])
    assert len(found["controls"]) == 4 * 5
    assert len(found["calibration"]) == 2 * len(epi.THRESHOLDS)


def test_forecast(tmp_path: Path) -> None:
    found = ran(forecast, tmp_path, "--epochs", "6")
    assert len(found["cases"]) == 3 * 3
    again = ran(forecast, tmp_path, "--epochs", "6")
    assert again["cases"] == found["cases"]
    rank, recall = forecast._scores(np.array([3.0, 1, 2, 0]), np.array([30.0, 10, 20, 0]))
    assert (rank, recall) == (1, 1)
    assert forecast._scores(np.array([0.0, 1, 2, 3]), np.array([3.0, 2, 1, 0])) == (-1, 0)


def rows(*ends: tuple[float, float, int]) -> dict[int, dict[str, Any]]:
    """Rows by seed, from (validation accuracy, test accuracy, epoch of pruning)."""
    return {
        seed: {"val_accuracy": v, "test_accuracy": t, "prune_epochs": [e], "warnings": ["x"]}
        for seed, (v, t, e) in enumerate(ends)
    }


def test_the_oracle_is_chosen_by_validation_accuracy() -> None:
    grid = {e: policy({"policy": "at_epoch", "epoch": e}) for e in (1, 2)}
    ends = {grid[1]: rows((0.9, 0.5, 1), (0.8, 0.5, 1)), grid[2]: rows((0.8, 0.9, 2), (0.8, 1, 2))}
    assert regret.oracle(grid, ends) == 1


def test_each_seed_is_judged_by_the_threshold_that_the_others_chose() -> None:
    best = policy({"policy": "at_epoch", "epoch": 3})
    low, high = (policy({"policy": "epi", "threshold": t}) for t in (0.8, 0.9))
    ends: dict[Policy, dict[int, dict[str, Any]]] = {
        best: rows((1, 0.9, 3), (1, 0.8, 3)),
        low: rows((0.9, 0.7, 1), (0.1, 0.6, 1)),  # good on seed 0 only
        high: rows((0.1, 0.5, 2), (0.9, 0.4, 2)),  # good on seed 1 only
    }
    ends[high][1]["warnings"] = ["EPI never reached 0.9: ..."]
    found = regret.judged([low, high], best, ends, [0, 1])
    assert found["thresholds"] == [0.9, 0.8]
    assert found["epochs"] == [2, 1]
    assert found["regret"] == pytest.approx(100 * (0.4 + 0.2) / 2)
    assert found["sd"] == pytest.approx(100 * 0.2 / np.sqrt(2))
    assert found["never_crossed"] == 0
    assert regret.judged([high], best, ends, [0, 1])["never_crossed"] == 1


def test_pictures_are_halved_once(tmp_path: Path) -> None:
    x = np.arange(2 * 4 * 4, dtype=np.uint8).reshape(2, 4, 4)
    y = np.array([0, 1])
    np.savez(tmp_path / "set.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    task = tasks.pictures(tmp_path / "set.npz", tmp_path / "new")
    small = np.load(task["data"]["source"].removeprefix("npz:"))
    assert small["x_train"].shape == (2, 2, 2)
    assert small["x_train"][0, 0, 0] == round((0 + 1 + 4 + 5) / 4 - 0.1)  # half to even
    assert tasks.pictures(tmp_path / "set.npz", tmp_path / "new") == task

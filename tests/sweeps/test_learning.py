"""Dense training that has learned nothing is nothing to compare with, and that is said."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import here
import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from rich.console import Console
from sweep_files import changed
from torch.utils.data import Subset, TensorDataset

from dashboards import report, tables
from pruning.training.batches import DatasetBatches
from pruning.training.chance import chance
from sweeps.file.sweep import Sweep
from sweeps.judging.learning import at_chance, unlearned
from sweeps.judging.oracle import nothing_to_judge, oracle
from sweeps.judging.table import read_rows
from sweeps.running import preflight
from sweeps.running.run import Outcome, run
from sweeps.storage.store import Store

NOISE = """
import numpy as np
def load(shares, seen=0.0):
    draw = np.random.default_rng(0)
    y = draw.choice(len(shares), 600, p=shares)
    x = draw.normal(size=(600, 8)).astype(np.float32)
    x[:, 0] += seen * y
    return {"x_train": x, "y_train": y}
"""
POLICIES = [
    "dense",
    {"policy": "at_epoch", "epoch": {"grid": [0, 2]}, "ratio": 0.5, "saliency": "magnitude"},
    {"policy": "epi", "window": 1, "threshold": 0.5, "ratio": 0.5, "saliency": "magnitude"},
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "noise.py").write_text(NOISE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sweeps.running.run._train", here.train)
    yield tmp_path
    sys.modules.pop("noise", None)


def swept(folder: Path, **options: Any) -> tuple[Outcome, Store]:
    data = {"source": "noise:load", "options": options}
    fields = changed(
        task__model="small_mlp", task__data=data, policies=POLICIES, task__optimizer={"lr": 0.05}
    )
    sweep, store = Sweep.parse(fields), Store(folder / "s")
    uri = f"sqlite:///{folder}/m.db"
    return run(sweep, preflight.check(sweep), store, uri, Console(quiet=True)), store


@pytest.mark.parametrize("shares", [[0.1] * 10, [0.9, 0.1], [0.2, 0.5, 0.3]])
def test_noise_is_not_learned(folder: Path, shares: list[float]) -> None:
    outcome, store = swept(folder, shares=shares)
    stands, said = outcome.standing, "dense did not learn: nothing can be said"
    assert stands.unlearned.startswith(said)
    assert stands.to_json()["unlearned"] == stands.unlearned
    assert stands.savings == stands.gains == []
    shown = tables.standing(stands)
    assert stands.unlearned in shown
    assert not any("saved" in part for part in shown if isinstance(part, str))
    page = report.write(store, "small", folder / "page.html").read_text()
    assert "Dense did not learn: nothing can be said" in page
    rows = read_rows(store, "small")
    verdicts = oracle(rows)
    assert verdicts
    for verdict in verdicts:
        assert verdict.regret is verdict.sd is None
        assert verdict.regrets == []
        assert verdict.notes[0].startswith(said)
    assert not nothing_to_judge(verdicts)
    client = MlflowClient(f"sqlite:///{folder}/m.db")
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    (parent,) = client.search_runs([experiment.experiment_id], "tags.`earlyprune.sweep` = 'small'")
    assert parent.data.metrics["dense_learned"] == 0
    assert not any(name.startswith("saved_at") for name in parent.data.metrics)


@pytest.mark.parametrize(("shares", "seen"), [([0.5, 0.5], 6.0), ([0.2, 0.5, 0.3], 12.0)])
def test_what_can_be_learned_is_told_as_ever(
    folder: Path, shares: list[float], seen: float
) -> None:
    outcome, store = swept(folder, shares=shares, seen=seen)
    assert outcome.standing.unlearned == ""
    assert outcome.standing.savings
    assert all(verdict.regret is not None for verdict in oracle(read_rows(store, "small")))
    assert "dense_learned" not in outcome.standing.figures()


def seeds(*accuracies: float, share: float = 0.5, samples: float = 100) -> list[dict[str, Any]]:
    known = {"chance_accuracy": share, "val_samples": samples}
    row = {"policy": "dense", "settings": "", "status": "finished", "chance": known}
    return [{**row, "val_accuracy": accuracy} for accuracy in accuracies]


@pytest.mark.parametrize(
    ("rows", "learned"),
    [
        (seeds(0.59), False),
        (seeds(0.61), True),
        (seeds(0.5, 0.8), True),
        (seeds(0.3, 0.4), False),
        (seeds(0.61, samples=64), False),
        (seeds(0.51, samples=1e6), True),
        (seeds(0.999, share=1.0), False),
        ([*seeds(0.5), {**seeds(0.9)[0], "settings": "task.epochs=9"}], True),
        ([{**seeds(0.1)[0], "chance": {}}], True),
        ([{**seeds(0.1)[0], "val_accuracy": None}], True),
        ([{**seeds(0.1)[0], "policy": "epi"}], True),
        ([], True),
    ],
)
def test_above_chance_by_two_standard_errors(rows: list[dict[str, Any]], learned: bool) -> None:
    assert bool(unlearned(rows)) != learned
    if rows and rows[0]["policy"] == "dense" and len({row["settings"] for row in rows}) == 1:
        assert bool(at_chance("dense", rows)) != learned


def test_chance_of_a_set_that_is_read_sample_by_sample() -> None:
    whole = TensorDataset(torch.zeros(6, 2), torch.tensor([0, 0, 1, 1, 1, 2]))
    assert chance(DatasetBatches(whole, torch.as_tensor, 0)) == {}
    whole.targets = np.array([0, 0, 1, 1, 1, 2])  # type: ignore[attr-defined]
    part = DatasetBatches(Subset(Subset(whole, [0, 1, 2, 3, 4]), [1, 2, 3]), torch.as_tensor, 0)
    assert chance(part) == {"chance_accuracy": 2 / 3, "val_samples": 3}
    whole.targets = "something else"  # type: ignore[attr-defined]
    assert chance(part) == {}

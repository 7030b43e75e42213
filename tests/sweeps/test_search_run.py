"""Searches as users run them: real trainings, a real study, MLflow."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import here
import optuna
import pytest
from mlflow import MlflowClient
from rich.console import Console
from sweep_files import changed

from sweeps.file.sweep import Sweep
from sweeps.running.run import Outcome, run
from sweeps.storage.store import Store

SOMETIMES = '''
from pruning import Policy

class Sometimes(Policy):
    """Fails where its setting is large."""
    name = "sometimes"
    level: float
    def decide(self, history):
        if history.epoch == 2 and self.level > 0.5:
            raise ArithmeticError("too large")
'''
RATIO = {"uniform": [0.1, 0.9]}


def sweep(**search: Any) -> Sweep:
    policies = [
        "dense",
        {"policy": "at_epoch", "epoch": {"int": [0, 2]}, "ratio": RATIO, "saliency": "taylor"},
        {"policy": "epi", "window": 1, "threshold": {"uniform": [0.6, 0.95]}, "latest": 0.5},
        {"policy": "uniform", "of": {"policy": "at_epoch", "epoch": 1, "ratio": RATIO}},
    ]
    ways = {"val_accuracy": "max", "macs": "min"}
    fields = {"policies": policies, "search": search, "objectives": ways, "name": "searched"}
    learned = {"source": "digits", "train_limit": 512}
    return Sweep.parse(changed(**fields, task__data=learned))


def ran(of: Sweep, folder: Path) -> Outcome:
    store, uri = Store(folder / "runs"), f"sqlite:///{folder}/runs/mlflow.db"
    return run(of, of.trials(), store, uri, Console(quiet=True))


def trials(folder: Path) -> list[optuna.trial.FrozenTrial]:
    database = f"sqlite:///{folder}/runs/optuna.db"
    (name,) = optuna.get_all_study_names(database)
    return optuna.load_study(study_name=name, storage=database).trials


def but_times(outcome: Outcome) -> list[tuple[Any, ...]]:
    columns = ("trial", "status", "prune_epochs", "val_accuracy", "test_accuracy", "macs")
    return [tuple(map(str, (row[name] for name in columns))) for row in outcome.rows]


def test_on_ray_with_policies_that_fail(tmp_path: Path, ray_here: Path) -> None:
    (ray_here / "sometimes.py").write_text(SOMETIMES)
    fields = {"policy": "sometimes:Sometimes", "level": {"uniform": [0.0, 1.0]}}
    content = {**sweep(trials=10, sampler="random").model_dump(mode="json")}
    of = Sweep.parse({**content, "policies": [*content["policies"], fields]})
    outcome = ran(of, tmp_path)
    told = trials(tmp_path)
    assert {trial.state.name for trial in told} == {"COMPLETE", "FAIL"}
    failed = {row["trial"] for row in outcome.rows if row["status"] == "failed"}
    assert failed == {
        name for t in told if t.state.name == "FAIL" for name in t.user_attrs["trials"]
    }
    assert all("too large" in t.user_attrs["reason"] for t in told if t.state.name == "FAIL")
    begun = {name for trial in told for name in trial.user_attrs["trials"]}
    dense = {row["trial"] for row in outcome.rows if row["policy"] == "dense"}
    compared = {row["trial"] for row in outcome.rows if row["setting"].get("epoch") == 1}
    assert begun | dense <= {row["trial"] for row in outcome.rows} <= begun | dense | compared

    client = MlflowClient(f"sqlite:///{tmp_path}/runs/mlflow.db")
    experiment = client.get_experiment_by_name("searched")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = (found for found in runs if "earlyprune.trial" not in found.data.tags)
    assert parent.data.metrics == outcome.standing.figures()
    assert {"hypervolume", "saved_at_drop_0", "gained_at_share_1"} <= set(parent.data.metrics)

    again = ran(of, tmp_path)
    assert again.trained == 0
    assert but_times(again) == but_times(outcome)
    assert len(trials(tmp_path)) == len(told)


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.setattr("sweeps.running.run._train", here.train)
    search = {"trials": 14, "sampler": "random", "seeds": "all"}
    (tmp_path / "plain").mkdir()
    (tmp_path / "early").mkdir()
    early = {"at": [0.75], "keep": 0.34}
    return SimpleNamespace(
        plain=ran(sweep(**search), tmp_path / "plain"),
        early=ran(sweep(**search, early_stopping=early), tmp_path / "early"),
        folder=tmp_path / "early",
        search=search,
    )


def test_early_stopping_pauses_and_changes_no_result(stopped: SimpleNamespace) -> None:
    plain = {row["trial"]: row for row in stopped.plain.rows}
    states = Counter(row["status"] for row in stopped.early.rows)
    assert set(states) == {"finished", "paused"}
    assert stopped.early.trained < stopped.plain.trained
    for row in stopped.early.rows:
        if row["status"] == "paused":
            assert "others looked better after epoch" in row["reason"]
            assert row["policy"] != "dense"
        else:
            assert row["val_accuracy"] == plain[row["trial"]]["val_accuracy"]
    told = Counter(trial.state.name for trial in trials(stopped.folder))
    assert set(told) == {"COMPLETE", "PRUNED"}

    # Paused trials are not lost: without early stopping they go on from where they rest.
    outcome = ran(sweep(**stopped.search), stopped.folder)
    assert but_times(outcome) == but_times(stopped.plain)
    assert outcome.trained + stopped.early.trained == stopped.plain.trained
    after = trials(stopped.folder)
    assert "RUNNING" not in {trial.state.name for trial in after}
    resumed = [t.user_attrs["resumes"] for t in after if "resumes" in t.user_attrs]
    assert sorted(resumed) == [t.number for t in after if t.state.name == "PRUNED"]


def test_run_again_what_is_paused_stays_paused(stopped: SimpleNamespace) -> None:
    early = {"at": [0.75], "keep": 0.34}
    before = trials(stopped.folder)
    again = ran(sweep(**stopped.search, early_stopping=early), stopped.folder)
    assert again.trained == 0
    assert but_times(again) == but_times(stopped.early)
    assert [t.state for t in trials(stopped.folder)] == [t.state for t in before]

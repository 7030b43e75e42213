"""Sweeps on the real Ray Tune and the real MLflow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient
from rich.console import Console
from sweep_files import SMALL, changed

from cluster.connection import ray_session
from pruning.training.trial import Trial
from sweeps import preflight
from sweeps import run as run_module
from sweeps.config import Sweep
from sweeps.results import COLUMNS, METRICS, Row
from sweeps.run import read_rows, run
from sweeps.store import Store

POLICIES = '''
import os, signal
from pathlib import Path
from pruning import Policy

class Fails(Policy):
    """Fails in the middle."""
    name = "fails"
    def decide(self, history):
        if history.epoch == 2:
            raise ArithmeticError("this policy\\nalways fails")

class Dies(Policy):
    """Takes its worker down; the first time only, or always."""
    name = "dies"
    marker: str
    always: bool = False
    def decide(self, history):
        marker = Path(self.marker)
        if history.epoch == 2 and (self.always or not marker.exists()):
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
'''
TIMES = {"train_seconds", "probe_seconds", "decide_seconds", "gpu_hours", "gpu_hours_spent"}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A sweep with a policy that fails, and two that lose their worker: once, and always."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "own_policies.py").write_text(POLICIES)
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(folder)
    patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    entries = [
        {"policy": "own_policies:Fails"},
        {"policy": "own_policies:Dies", "marker": str(folder / "once")},
        {"policy": "own_policies:Dies", "marker": str(folder / "always"), "always": True},
    ]
    found = Sweep.parse(changed(policies=[*SMALL["policies"], *entries], seeds=[0], retries=1))
    store = Store(folder / "runs")
    uri = f"sqlite:///{folder}/runs/mlflow.db"
    trials = preflight.check(found)
    console = Console(quiet=True)
    with ray_session():
        rows = run(found, trials, store, uri, console)
        yield SimpleNamespace(
            sweep=found, trials=trials, store=store, uri=uri, rows=rows, console=console
        )
    patch.undo()


def runs_of(uri: str, name: str) -> list[object]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def without_times(rows: list[Row]) -> list[Row]:
    return [{k: v for k, v in row.items() if k not in {*TIMES, "pareto"}} for row in rows]


def test_every_trial_is_a_row(sweep: SimpleNamespace) -> None:
    assert len(sweep.rows) == len(sweep.trials) == 7
    assert all(set(COLUMNS) <= set(row) for row in sweep.rows)
    assert [row["status"] for row in sweep.rows] == [
        *["finished"] * 4,
        "failed",
        "finished",
        "failed",
    ]
    assert any(row["pareto"] for row in sweep.rows)


def test_a_failing_trial_has_its_reason_in_one_line(sweep: SimpleNamespace) -> None:
    assert sweep.rows[4]["reason"] == "ArithmeticError: this policy"
    assert "worker" in sweep.rows[6]["reason"]


def test_results_are_those_of_trials_trained_alone(sweep: SimpleNamespace) -> None:
    for spec, row in zip(sweep.trials[:4], sweep.rows[:4], strict=True):
        alone = Trial(spec.task, spec.policy, spec.seed).run()
        for name in ("prune_epochs", *METRICS):
            if name not in TIMES:
                assert row[name] == alone[name], name


def test_a_lost_worker_changes_no_result(sweep: SimpleNamespace) -> None:
    dense, survived = sweep.rows[0], sweep.rows[5]
    for name in METRICS:
        if name not in TIMES:
            assert survived[name] == dense[name], name


def test_mlflow_has_a_run_a_trial_with_curves_and_figures(sweep: SimpleNamespace) -> None:
    client = MlflowClient(sweep.uri)
    runs = {run.data.tags.get("earlyprune.trial"): run for run in runs_of(sweep.uri, "small")}
    assert len(runs) == 1 + len(sweep.trials)  # and the parent
    for row in sweep.rows:
        found = runs[row["trial"]]
        if row["status"] == "failed":
            assert found.info.status == "FAILED"
            assert found.data.tags["reason"] == row["reason"]
            continue
        assert found.info.status == "FINISHED"
        assert found.data.params["policy"] == row["policy"]
        assert {name: found.data.metrics[name] for name in METRICS} == {
            name: row[name] for name in METRICS
        }
        for name in ("val_accuracy", "test_accuracy", "sparsity", "gpu_hours", "train_seconds"):
            steps = [point.step for point in client.get_metric_history(found.info.run_id, name)]
            assert sorted(set(steps)) == [1, 2, 3, 4], name


def test_run_again_it_trains_nothing_and_doubles_nothing(
    sweep: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []
    monkeypatch.setattr(
        run_module, "_tune", lambda waiting, *_: trained.extend(spec.id for spec in waiting)
    )
    before = [(run.info.run_id, run.data.metrics) for run in runs_of(sweep.uri, "small")]
    rows = run(sweep.sweep, sweep.trials, sweep.store, sweep.uri, sweep.console)
    failed = [row["trial"] for row in sweep.rows if row["status"] == "failed"]
    assert trained == failed
    assert without_times(rows) == without_times(sweep.rows)
    after = [(run.info.run_id, run.data.metrics) for run in runs_of(sweep.uri, "small")]
    assert sorted(after, key=str) == sorted(before, key=str)


def test_results_are_read_without_ray(sweep: SimpleNamespace) -> None:
    assert read_rows(sweep.store, "small") == sweep.rows


def test_a_worker_goes_on_from_its_snapshot(
    sweep: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    from sweeps import worker

    monkeypatch.setattr(worker, "SNAPSHOT_SECONDS", 0.0)
    monkeypatch.setattr(worker, "REPORT_SECONDS", 0.0)
    spec = sweep.trials[2]
    config = {
        "trial": json.dumps(spec.to_json()),
        "storage": str(tmp_path),
        "threads": 1,
        "gpus": 0,
        "devices": 1,
    }
    first = worker.Worker(config)
    for _ in range(3):
        first.train()
    second = worker.Worker(config)
    result = second.train()
    assert result["done"]
    assert second.trial is not None
    assert second.trial.training.epoch_number == 4
    summary = result["result"]["summary"]
    for name in METRICS:
        if name not in TIMES:
            assert summary[name] == sweep.rows[2][name], name
    assert [point["epoch"] for point in result["result"]["points"]] == [1, 2, 3, 4]

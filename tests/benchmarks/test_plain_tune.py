"""The plain study on the real Ray Tune and MLflow finds what its trials find alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from benchmarks.sharing import plain_tune
from cluster.connection import ray_session
from pruning.training.trial import Trial
from sweeps.file.sweep import Sweep

SWEEP = {
    "name": "plain",
    "task": {
        "model": {"name": "small_cnn", "options": {"widths": [8, 8], "pool_after": [0]}},
        "data": {"source": "digits", "train_limit": 128},
        "epochs": 4,
        "batch_size": 32,
        "optimizer": {"lr": 0.1},
    },
    "policies": [
        "dense",
        {"policy": "at_epoch", "epoch": 2, "ratio": 0.5, "saliency": "taylor"},
        {"policy": "epi", "window": 1, "threshold": 0.8, "ratio": 0.5, "latest": 0.75},
    ],
}


def test_results_are_those_of_trials_trained_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # as sweeps.running.run leaves it
    monkeypatch.setenv("RAY_AIR_NEW_OUTPUT", "0")
    sweep = Sweep.parse(SWEEP)

    with ray_session():
        result = plain_tune.run(sweep, tmp_path)

    assert result.failed == []
    assert result.epochs == 3 * 4
    assert result.gpu_hours * 3600 < 3 * result.wall_seconds
    alone = {spec.id: Trial(spec.task, spec.policy, spec.seed).run() for spec in sweep.trials()}
    assert result.finals == {
        id: {name: summary[name] for name in plain_tune.FINALS} for id, summary in alone.items()
    }

    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("plain")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.data.metrics["val_accuracy"] for run in runs) == sorted(
        summary["val_accuracy"] for summary in alone.values()
    )
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert len(list(tmp_path.glob("tune/plain/*/progress.csv"))) == 3

"""Sweeps with MLflow on PostgreSQL: the same as on SQLite, also if the server crashes meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from postgres import Postgres
from processes import below, kill

pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).parents[2]
OUTAGE = 15.0  # seconds
TIMES = {"train_seconds", "probe_seconds", "decide_seconds", "gpu_hours", "gpu_hours_spent"}
EPOCHS = 6
SWEEP: dict[str, Any] = {
    "name": "one",
    "task": {
        "model": {"name": "patient:network"},
        "data": {"source": "digits", "train_limit": 512},
        "epochs": EPOCHS,
        "batch_size": 32,
    },
    "seeds": [0, 1],
    "policies": ["dense", {"policy": "at_epoch", "epoch": {"grid": [1, 3]}, "ratio": 0.4}],
}
PATIENT = '''
import time

from pruning.training.models import small_cnn


def network(shape, classes, pause=0.0):
    """Training that takes its time, and no processor's."""

    def wait(module, given):
        if module.training:
            time.sleep(pause)

    made = small_cnn(shape, classes, widths=[8, 8], pool_after=[0])
    made.register_forward_pre_hook(wait)
    return made
'''


class Sweeping:
    """``earlyprune run``, started in a folder of its own beside what it imports."""

    def __init__(self, folder: Path, storage: Path, tracking: str, *options: str, **change: Any):
        self.name = change.get("name", SWEEP["name"])
        config = folder / f"{self.name}.yaml"
        self._said = folder / f"{self.name}{''.join(options)}.txt"
        config.write_text(yaml.safe_dump(SWEEP | change))
        (folder / "patient.py").write_text(PATIENT)
        places = ["--storage", str(storage), "--tracking-uri", tracking]
        paths = os.pathsep.join([str(ROOT), str(folder)])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "earlyprune", "run", str(config), *places, *options],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            stdout=self._said.open("w"),
            stderr=subprocess.STDOUT,
        )

    @property
    def said(self) -> str:
        return self._said.read_text()

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def finish(self) -> str:
        assert self.process.wait(timeout=600) == 0, self.said
        return self.said

    def kill(self) -> None:
        if self.running:
            kill(self.process.pid, *below(self.process.pid))
            self.process.wait()


Start = Callable[..., Sweeping]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a `Sweeping`; none outlives the test."""
    started: list[Sweeping] = []

    def begin(*arguments: Any, **change: Any) -> Sweeping:
        started.append(Sweeping(*arguments, **change))
        return started[-1]

    yield begin
    for sweep in started:
        sweep.kill()


def task(**change: Any) -> dict[str, Any]:
    return SWEEP["task"] | change


def tracked(uri: str, sweep: str) -> dict[str, Any]:
    """What MLflow holds of a sweep, by trial: all but times of day. No run is there twice."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(sweep)
    assert experiment is not None
    runs = list(client.search_runs([experiment.experiment_id]))
    by_trial = {run.data.tags.get("earlyprune.trial", "the sweep"): run for run in runs}
    assert len(by_trial) == len(runs)
    return {trial: held(client, run) for trial, run in by_trial.items()}


def held(client: MlflowClient, run: Run) -> dict[str, Any]:
    """Status, parameters, our tags, last figures and curves: all points, as often as they occur."""
    curves = {
        name: sorted((p.step, p.value) for p in client.get_metric_history(run.info.run_id, name))
        for name in run.data.metrics
    }
    return {
        "status": run.info.status,
        "params": run.data.params,
        "tags": {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")},
        "metrics": run.data.metrics,
        "curves": curves,
    }


def but_times(runs: dict[str, Any]) -> dict[str, Any]:
    """Of times only the steps, and no figures of the whole sweep, which rest on times."""

    def steady(run: dict[str, Any]) -> dict[str, Any]:
        metrics = {k: v for k, v in run["metrics"].items() if k not in TIMES}
        curves = {
            name: [step for step, _ in points] if name in TIMES else points
            for name, points in run["curves"].items()
        }
        return {**run, "metrics": metrics, "curves": curves}

    kept = {trial: steady(run) for trial, run in runs.items()}
    kept["the sweep"] |= {"metrics": {}, "curves": {}}
    return kept


def no_secret(text: str, server: Postgres) -> None:
    for secret in (server.password, quote(server.password, safe="")):
        assert secret not in text


def test_postgresql_and_sqlite_hold_the_same(
    postgres: Postgres, start: Start, tmp_path: Path
) -> None:
    uris = {"sqlite": f"sqlite:///{tmp_path}/mlflow.db", "postgres": postgres.create("alone")}
    sweeps = []
    for kind, uri in uris.items():
        (folder := tmp_path / kind).mkdir()
        sweeps.append(start(folder, folder / "storage", uri))
    for sweep in sweeps:
        no_secret(sweep.finish(), postgres)
    there = {kind: but_times(tracked(uri, "one")) for kind, uri in uris.items()}
    assert there["postgres"] == there["sqlite"]
    assert len(there["postgres"]) == 1 + 6
    for trial, run in there["postgres"].items():
        assert run["status"] == "FINISHED"
        if trial != "the sweep":
            steps = [step for step, _ in run["curves"]["val_accuracy"]]
            assert steps == list(range(1, EPOCHS + 1))


def test_two_sweeps_and_a_server_that_crashes_meanwhile(
    postgres: Postgres, start: Start, tmp_path: Path
) -> None:
    """Both have everything once: just what their storage replays into an undisturbed database."""
    uri, slow = postgres.create("shared"), {"name": "patient:network", "options": {"pause": 0.2}}
    changes = [
        {"name": "one", "task": task(model=slow)},
        {"name": "other", "task": task(model=slow, epochs=5, batch_size=24)},
    ]
    storage = tmp_path / "storage"
    sweeps = [start(tmp_path, storage, uri, **change) for change in changes]
    wait_for_curves(postgres, "shared", sweeps)
    postgres.stop("immediate")
    time.sleep(OUTAGE)
    postgres.start()
    assert all(sweep.running for sweep in sweeps), "too short a sweep"
    for sweep in sweeps:
        no_secret(said := sweep.finish(), postgres)
        assert said.count("MLflow is away") - said.count("making MLflow's tables") == 1
        assert "MLflow lacks" not in said
    undisturbed = f"sqlite:///{tmp_path}/undisturbed.db"
    for change in changes:
        start(tmp_path, storage, undisturbed, "--replay", **change).finish()
        runs = tracked(uri, change["name"])
        assert runs == tracked(undisturbed, change["name"])
        assert len(runs) == 1 + 6
        assert {run["status"] for run in runs.values()} == {"FINISHED"}


def wait_for_curves(server: Postgres, database: str, sweeps: list[Sweeping]) -> None:
    """Until MLflow has the beginning of a curve of each."""
    there = "SELECT to_regclass('metrics') IS NOT NULL"
    curves = (
        "SELECT DISTINCT experiments.name FROM metrics"
        " JOIN runs USING (run_uuid) JOIN experiments USING (experiment_id)"
    )
    begun: set[str] = set()
    while begun != {sweep.name for sweep in sweeps}:
        for sweep in sweeps:
            assert sweep.running, sweep.said
        if server.query(database, there) == [(True,)]:
            begun = {name for (name,) in server.query(database, curves)}
        time.sleep(0.5)

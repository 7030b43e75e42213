"""``earlyprune`` as users start it, in processes of its own, and what it leaves behind."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.trial import FrozenTrial, TrialState
from processes import below, kill

from benchmarks.chaos.verdict import facts as of_store
from sweeps.storage.store import Store

ROOT = Path(__file__).parents[2]
OBJECTIVES = ("val_accuracy", "gpu_hours")
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


def patient(epochs: int, pause: float, train_limit: int = 128, batch_size: int = 32) -> Any:
    """A task whose every batch takes ``pause`` seconds, and little of the machine."""
    return {
        "model": {"name": "patient:network", "options": {"pause": pause}},
        "data": {"source": "digits", "train_limit": train_limit},
        "epochs": epochs,
        "batch_size": batch_size,
    }


class Sweeping:
    """``earlyprune run``, started in a folder of its own beside what it imports."""

    def __init__(self, folder: Path, content: Any, storage: Path, uri: str, *options: str) -> None:
        self.name = content["name"]
        config = folder / f"{self.name}.yaml"
        self._said = folder / f"{self.name}-said-{len(list(folder.glob('*-said-*')))}.txt"
        config.write_text(yaml.safe_dump(content))
        (folder / "patient.py").write_text(PATIENT)
        places = ["--storage", str(storage), "--tracking-uri", uri]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "earlyprune", "run", str(config), *places, *options],
            cwd=folder,
            env=_environment(folder),
            stdout=self._said.open("w"),
            stderr=subprocess.STDOUT,
        )

    @property
    def said(self) -> str:
        return self._said.read_text()

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def finish(self, code: int = 0) -> str:
        assert self.process.wait(timeout=600) == code, self.said
        return self.said

    def kill(self) -> None:
        """It and all that it has started, Ray included, with no time to say anything."""
        if self.running:
            kill(self.process.pid, *below(self.process.pid))
            self.process.wait()


def results(storage: Path, name: str) -> list[dict[str, Any]]:
    """What ``earlyprune results`` prints, a row a trial."""
    command = [sys.executable, "-m", "earlyprune", "results", name, "--format", "json"]
    done = subprocess.run(
        [*command, "--storage", str(storage)],
        env=_environment(storage.parent),
        capture_output=True,
        text=True,
        check=True,
    )
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def facts(storage: Path, name: str) -> list[dict[str, Any]]:
    """The table of a sweep, without what differs from run to run."""
    return of_store(Store(storage), name)


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


def studied(address: str, sweep: str) -> list[FrozenTrial]:
    """The trials of a sweep's only study."""
    (name,) = (n for n in optuna.get_all_study_names(address) if n.split()[0] == sweep)
    return optuna.load_study(study_name=name, storage=address).trials


def check_study(trials: list[FrozenTrial], rows: list[dict[str, Any]], planned: int) -> None:
    """As many as planned, none twice, none without an end; values are means over seeds.

    A draw whose answer was lost is not one of them: it was closed as failed.
    """
    lost = [t for t in trials if t.state is TrialState.FAIL and not t.user_attrs["drawn"]]
    assert len(lost) <= 1
    assert all("lost" in trial.user_attrs["reason"] for trial in lost)
    assert [trial.number for trial in trials] == list(range(planned + len(lost)))
    told = [trial for trial in trials if trial not in lost]
    assert {trial.state for trial in told} <= {TrialState.COMPLETE, TrialState.FAIL}
    assert len({json.dumps(trial.user_attrs["drawn"], sort_keys=True) for trial in told}) == planned
    by_name = {row["trial"]: row for row in rows}
    assert len(by_name) == len(rows)
    for trial in told:
        own = [by_name[name] for name in trial.user_attrs["trials"]]
        assert [row["seed"] for row in own] == trial.user_attrs["seeds"]
        if trial.state is TrialState.COMPLETE:
            means = [math.fsum(row[name] for row in own) / len(own) for name in OBJECTIVES]
            assert trial.values == means
        else:
            assert all(row["status"] == "failed" for row in own)


def _environment(folder: Path) -> dict[str, str]:
    paths = os.pathsep.join([str(ROOT), str(folder)])
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}

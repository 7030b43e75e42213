"""Sweeps with MLflow and Optuna on PostgreSQL: as on SQLite, also if it crashes meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from optuna.trial import TrialState
from sweeping import Sweeping, check_study, patient, results, studied, tracked

from benchmarks.chaos.postgres import Postgres
from sweeps.results.rows import TIMES

pytestmark = pytest.mark.timeout(900)

EPOCHS = 6
SWEEP: dict[str, Any] = {
    "name": "one",
    "task": patient(EPOCHS, pause=0.0, train_limit=512),
    "seeds": [0, 1],
    "policies": ["dense", {"policy": "at_epoch", "epoch": {"grid": [1, 3]}, "ratio": 0.4}],
}
TRIALS = 8
SEARCH: dict[str, Any] = {
    "sampler": {"name": "tpe", "options": {"n_startup_trials": 3}},
    "trials": TRIALS,
    "seeds": "front",
}
RATIO = {"uniform": [0.2, 0.8]}

Start = Callable[..., Sweeping]


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
        sweeps.append(start(folder, SWEEP, folder / "storage", uri))
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


def test_two_searches_and_a_server_that_crashes_meanwhile(
    postgres: Postgres, start: Start, tmp_path: Path
) -> None:
    """Nothing is lost or there twice, in the studies as in MLflow."""
    uri, address = postgres.create("shared"), postgres.create("studies")
    storage = tmp_path / "storage"
    policies = ["dense", {"policy": "at_epoch", "epoch": 1, "ratio": RATIO}]
    content = {**SWEEP, "policies": policies, "search": SEARCH}
    one = {**content, "name": "one", "task": patient(3, 0.2)}
    other = {**content, "name": "other", "task": patient(3, 0.2, batch_size=24)}
    other["search"] = {**SEARCH, "study": address}  # in the file, or by the command line
    sweeps = [
        start(tmp_path, one, storage, uri, "--study", address),
        start(tmp_path, other, storage, uri),
    ]
    wait_for(lambda: all(ended(postgres, sweep.name) for sweep in sweeps), sweeps)
    postgres.stop("immediate")
    for away in ("the study is away", "MLflow is away, the sweep goes on"):
        wait_for(lambda away=away: all(away in sweep.said for sweep in sweeps), sweeps)
    postgres.start()
    for sweep in sweeps:
        said = sweep.finish()
        assert said.count("the study is away") == 1
        assert "An exception is raised" not in said, "Optuna's guess, and not the cause"
        assert said.count("MLflow is away") - said.count("making MLflow's tables") == 1
        assert "lacks" not in said
    known = {sweep.name: studied(address, sweep.name) for sweep in sweeps}
    undisturbed = f"sqlite:///{tmp_path}/undisturbed.db"
    replay = "--replay", "--study", address
    for sweep in [start(tmp_path, of, storage, undisturbed, *replay) for of in (one, other)]:
        sweep.finish()
        trials, rows = studied(address, sweep.name), results(storage, sweep.name)
        assert trials == known[sweep.name]
        check_study(trials, rows, TRIALS)
        assert sum(trial.state is TrialState.COMPLETE for trial in trials) == TRIALS
        runs = tracked(uri, sweep.name)
        assert runs == tracked(undisturbed, sweep.name)
        assert set(runs) == {"the sweep", *(row["trial"] for row in rows)}
        assert {run["status"] for run in runs.values()} == {"FINISHED"}
        no_secret(str(runs), postgres)
    assert {path.stem for path in storage.glob("sweeps/*")} >= {"one", "other"}
    for path in [*storage.rglob("*"), *tmp_path.glob("*-said-*"), tmp_path / "undisturbed.db"]:
        if path.is_file():
            no_secret(path.read_bytes().decode("latin-1"), postgres)


def ended(server: Postgres, sweep: str) -> bool:
    """Whether a trial of its study has."""
    there = "SELECT to_regclass('trial_values') IS NOT NULL"
    begun = (
        "SELECT 1 FROM trials JOIN studies USING (study_id)"
        f" WHERE state = 'COMPLETE' AND study_name LIKE '{sweep} %'"
    )
    return server.query("studies", there) == [(True,)] and bool(server.query("studies", begun))


def wait_for(what: Callable[[], bool], sweeps: Iterable[Sweeping]) -> None:
    """None of the sweeps may end before it comes about."""
    while not what():
        for sweep in sweeps:
            assert sweep.running, sweep.said
        time.sleep(0.2)

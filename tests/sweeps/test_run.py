"""Sweeps on the real Ray Tune and the real MLflow."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow import MlflowClient
from rich.console import Console
from sweep_files import SMALL, changed

from pruning.training.trial import Trial
from sweeps.file.sweep import Sweep
from sweeps.judging.table import read_rows
from sweeps.results.rows import COLUMNS, METRICS, TIMES, Row
from sweeps.running.run import Mode, Outcome, run
from sweeps.sharing import conductor
from sweeps.sharing.library import Library
from sweeps.sharing.rider import ENDED_WORKER, State
from sweeps.storage.store import Store, Stored

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


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory, ray_here: Path) -> Iterator[SimpleNamespace]:
    """A sweep with a policy that fails, and two that lose their worker: once, and always."""
    folder = tmp_path_factory.mktemp("sweep")
    (ray_here / "own_policies.py").write_text(POLICIES)
    patch = pytest.MonkeyPatch()
    entries = [
        {"policy": "own_policies:Fails"},
        {"policy": "own_policies:Dies", "marker": str(folder / "once")},
        {"policy": "own_policies:Dies", "marker": str(folder / "always"), "always": True},
    ]
    found = Sweep.parse(changed(policies=[*SMALL["policies"], *entries], seeds=[0], retries=1))
    store = Store(folder / "runs")
    uri = f"sqlite:///{folder}/runs/mlflow.db"
    trials = found.trials()  # preflight would try in this process what ends its worker
    console = Console(quiet=True)
    busy: list[float] = []
    heard = conductor.Conductor.hear

    def listening(self: conductor.Conductor, result: dict[str, Any]) -> bool:
        content = json.loads(result.get("report", '{"epochs": []}'))
        for _, stored in content["epochs"]:
            busy.append(sum(stored["seconds"].values()))
        return heard(self, result)

    patch.setattr(conductor.Conductor, "hear", listening)
    handler = signal.getsignal(signal.SIGINT)
    outcome = run(found, trials, store, uri, console)
    assert signal.getsignal(signal.SIGINT) is handler, "Tune kept the signal for itself"
    yield SimpleNamespace(
        sweep=found,
        trials=trials,
        store=store,
        uri=uri,
        outcome=outcome,
        rows=outcome.rows,
        console=console,
        busy=sum(busy),
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
    reason = sweep.rows[4]["reason"]
    assert reason.startswith("ArithmeticError: this policy always fails, in own_policies.py, line ")
    assert reason.endswith(", after epoch 2")
    assert sweep.rows[6]["reason"] == f"{ENDED_WORKER} while it decided after epoch 2"


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
            assert ("raise ArithmeticError" in found.data.tags.get("traceback", "")) == (
                "ArithmeticError" in row["reason"]
            )
            continue
        assert found.info.status == "FINISHED"
        assert found.data.params["policy"] == row["policy"]
        assert {name: found.data.metrics[name] for name in METRICS} == {
            name: row[name] for name in METRICS
        }
        for name in ("val_accuracy", "test_accuracy", "sparsity", "gpu_hours", "train_seconds"):
            steps = [point.step for point in client.get_metric_history(found.info.run_id, name)]
            assert sorted(set(steps)) == [1, 2, 3, 4], name


def test_every_distinct_epoch_is_trained_once(sweep: SimpleNamespace) -> None:
    cuts = [row["prune_epochs"][0] for row in sweep.rows[1:4]]
    assert cuts == [0, 2, 1]
    assert sweep.outcome.distinct == 4 + sum(4 - cut for cut in cuts)
    assert sweep.outcome.trained == sweep.outcome.distinct
    assert sweep.outcome.alone == 5 * 4


def test_the_books_balance(sweep: SimpleNamespace) -> None:
    spent = sum(row["gpu_hours_spent"] for row in sweep.rows) * 3600
    decided = sum(row["decide_seconds"] or 0 for row in sweep.rows)
    assert spent == pytest.approx(sweep.busy + decided, rel=0.02)
    dense, *pruned = (spec.address for spec in sweep.trials[:4])
    for key, row in zip([dense, *pruned], sweep.rows, strict=False):
        for stored in course(sweep.store, key)[1:]:
            train, dense_pays = stored.record.seconds["train"], stored.charges.get(dense, 0.0)
            shared = stored.record.epoch <= (row["prune_epochs"] or [4])[0]
            assert (dense_pays if shared else stored.charges[key]) >= train
            if not shared:
                assert not dense_pays
        assert row["gpu_hours"] * 3600 >= row["train_seconds"]


def course(store: Store, key: str) -> list[Stored]:
    """The epochs a trial stands on."""
    state = State.from_json((store.trial(key) or {})["state"])
    return Library(store).course(state.path, state.epoch)


def again(sweep: SimpleNamespace, mode: Mode = Mode()) -> Outcome:  # noqa: B008
    return run(sweep.sweep, sweep.trials, sweep.store, sweep.uri, sweep.console, mode)


def test_run_again_it_trains_nothing_and_doubles_nothing(sweep: SimpleNamespace) -> None:
    before = [(run.info.run_id, run.data.metrics) for run in runs_of(sweep.uri, "small")]
    outcome = again(sweep)
    assert outcome.trained == 0
    assert without_times(outcome.rows) == without_times(sweep.rows)
    after = [(run.info.run_id, run.data.metrics) for run in runs_of(sweep.uri, "small")]
    assert sorted(after, key=str) == sorted(before, key=str)


def test_replaying_needs_no_ray_and_refuses_to_train(
    sweep: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray.tune.Tuner.fit", lambda *_: pytest.fail("it trains"))
    assert without_times(again(sweep, Mode(train=False)).rows) == without_times(sweep.rows)
    policies = [*sweep.sweep.policies, {"policy": "at_epoch", "epoch": 1, "ratio": 0.3}]
    more = Sweep.parse({**sweep.sweep.model_dump(), "name": "more", "policies": policies})
    trials = more.trials()
    outcome = run(more, trials, sweep.store, sweep.uri, sweep.console, Mode(train=False))
    assert outcome.rows[-1]["status"] == "unfinished"
    assert without_times(outcome.rows[:-1]) == without_times(sweep.rows)


def test_alone_the_results_are_the_same(sweep: SimpleNamespace) -> None:
    # Failing again and again is the same alone, and takes a while.
    policies = sweep.sweep.policies[:4]
    alone = Sweep.parse({**sweep.sweep.model_dump(), "policies": policies})
    outcome = run(
        alone, alone.trials(), sweep.store, sweep.uri, sweep.console, Mode(independent=True)
    )
    assert without_times(outcome.rows) == without_times(sweep.rows[:5])
    assert outcome.trained == 4 * 4 + 2  # the fifth fails after two epochs
    for row in outcome.rows[:4]:
        assert row["gpu_hours"] < row["gpu_hours_spent"]
    assert read_rows(sweep.store, "small-independent") == outcome.rows


def test_results_are_read_without_ray(sweep: SimpleNamespace) -> None:
    assert read_rows(sweep.store, "small") == sweep.rows

"""Tasks beyond classes run whole sweeps: dense, a grid and EPI, told by their own metrics."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import here
import pytest
import torch
from mlflow import MlflowClient
from rich.console import Console

from dashboards import plots, report, tables
from pruning import InputError
from pruning.export import load_network, write
from sweeps.file.sweep import Sweep
from sweeps.judging.oracle import oracle, to_json
from sweeps.judging.table import read_rows
from sweeps.results.frame import frame
from sweeps.results.networks import trained
from sweeps.results.rows import TIMES, Row, to_csv
from sweeps.running import preflight
from sweeps.running.run import Outcome, run
from sweeps.storage.store import Store

CUT = {"ratio": 0.5, "saliency": "taylor"}
POLICIES = [
    "dense",
    {"policy": "at_epoch", "epoch": {"grid": [0, 2]}, **CUT},
    {"policy": "epi", "window": 1, "threshold": 0.6, "latest": 0.75, **CUT},
]
SHARED = {"epochs": 4, "batch_size": 16, "optimizer": {"name": "adam", "lr": 0.01}}
MLP = {"name": "small_mlp", "options": {"hidden": [32, 16]}}

TASKS: dict[str, dict[str, Any]] = {
    "regression": {
        "model": MLP,
        "data": "own_tasks:diabetes",
        "loss": "mse",
        "metrics": ["mse", "R2Score"],
        **SHARED,
    },
    "labels": {
        "model": {"name": "small_cnn", "options": {"widths": [8, 16], "pool_after": [0]}},
        "data": "own_tasks:labels",
        "loss": "bce_with_logits",
        **SHARED,
    },
    "pixels": {
        "model": "own_tasks:unet",
        "data": "own_tasks:pixels",
        "metrics": {"JaccardIndex": {"called": "miou"}, "own_tasks:Dice": "max", "accuracy": None},
        **SHARED,
    },
    "series": {"model": "own_tasks:conv1d", "data": "own_tasks:series", **SHARED, "epochs": 6},
}
METRICS = {
    "regression": ["mse", "R2Score"],
    "labels": ["accuracy"],
    "pixels": ["miou", "Dice", "accuracy"],
    "series": ["accuracy"],
}


LEARNT: dict[str, Callable[[Row], bool]] = {
    "regression": lambda row: row["test_mse"] < 0.8 and row["test_R2Score"] > 0.2,
    "labels": lambda row: row["test_accuracy"] > 0.8,
    "pixels": lambda row: row["test_miou"] > 0.45 and row["test_Dice"] > 0.75,
    "series": lambda row: row["test_accuracy"] > 0.9,
}


def columns(metrics: list[str]) -> list[str]:
    before = "trial policy settings seed status prune_epochs sparsity unit_sparsity weight_sparsity"
    judged = [f"{split}_{name}" for split in ("val", "test") for name in metrics]
    after = [*TIMES, "pareto", "reason"]
    return [*before.split(), "params", "macs", "train_flops", *judged, *after]


def ran(task: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    monkeypatch.setattr("sweeps.running.run._train", here.train)
    sweep = Sweep.parse({"name": "task", "task": task, "seeds": [0, 1], "policies": POLICIES})
    uri = f"sqlite:///{folder}/runs/mlflow.db"
    store = Store(folder / "runs")
    return run(sweep, preflight.check(sweep), store, uri, Console(quiet=True))


@pytest.mark.parametrize("name", TASKS)
def test_a_whole_sweep(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = ran(TASKS[name], tmp_path, monkeypatch)
    store, metrics = Store(tmp_path / "runs"), METRICS[name]
    rows = read_rows(store, "task")
    assert [row["status"] for row in rows] == ["finished"] * 8
    assert [row["prune_epochs"] for row in rows][:3] == [[], [0], [2]]
    assert all(LEARNT[name](row) for row in rows if row["policy"] == "dense")
    (header, *_) = csv.reader(io.StringIO(to_csv(rows)))
    assert header == columns(metrics)
    assert list(frame(rows).columns)[: len(header)] == header
    assert all(row["sparsity"] > 0.3 for row in rows if row["policy"] != "dense")
    assert list(outcome.standing.objectives) == [f"val_{metrics[0]}", "gpu_hours"]
    assert outcome.standing.savings
    assert outcome.standing.gains
    verdict = json.loads(to_json(oracle(rows)))[0]
    assert verdict["oracle_epoch"] in (0, 2)
    assert f"oracle_test_{metrics[0]}" in verdict

    page = report.render(report.gather(store, "task"))
    figure = plots.sweep_figure(rows, "task")
    told = [axes.get_ylabel() for axes in figure.axes]
    word = metrics[0] + " (fraction)" * (metrics[0] == "accuracy")
    assert told == [f"test {word}", f"validation {word}"]
    console = Console(file=io.StringIO(), width=300, record=True)
    for part in (
        tables.trials_table(rows),
        tables.settings_table(rows),
        tables.oracle_table(oracle(rows)),
        *tables.standing(outcome.standing),
    ):
        console.print(part)
    printed = console.export_text()
    if "accuracy" not in metrics:
        assert "accura" not in printed + re.sub("(?s)<script.*?</script>", "", page)
        assert "point" not in printed.replace("reference point", "")
    for metric in metrics:
        assert f"val {metric}" in printed

    runs = MlflowClient(f"sqlite:///{tmp_path}/runs/mlflow.db").search_runs(["1"])
    logged = [one.data.metrics for one in runs if "earlyprune.trial" in one.data.tags]
    assert len(logged) == 8
    assert all({f"val_{m}", f"test_{m}"} <= set(found) for m in metrics for found in logged)

    found = trained(store, "task", rows[2]["trial"])
    files = {kind: tmp_path / f"network.{kind}" for kind in ("safetensors", "pt2", "onnx")}
    for kind, path in files.items():
        write(found.training, path, kind, found.about("task"))
    assert set(found.about("task")) >= {f"test_{metrics[0]}"}
    again = load_network(files["safetensors"], trust=True)
    data = found.training.data
    x = next(iter(data.test.in_order(7)))[0]
    with torch.no_grad():
        given, wanted = again(data.preprocessing.undo(x)), found.training.model(x)
    torch.testing.assert_close(given, wanted, rtol=1e-4, atol=1e-4)


def task(**fields: Any) -> dict[str, Any]:
    return {"model": MLP, "data": "own_tasks:diabetes", "loss": "mse", **SHARED, **fields}


def sweep(fields: dict[str, Any], **more: Any) -> Sweep:
    content = {"name": "task", "task": task(**fields), "policies": ["dense"], **more}
    return Sweep.parse(content)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"loss": "own_tasks:no_scalar"}, "task.loss: 'own_tasks:no_scalar' gives a tensor of sha"),
        ({"loss": "own_tasks:no_gradient"}, "gives a loss that depends on no weight; a finite sca"),
        ({"loss": "own_tasks:not_finite"}, "gives inf on two samples; a finite scalar with a grad"),
        ({"loss": "own_tasks:no_tensor"}, "gives float; a finite scalar with a gradient is needed"),
        ({"loss": "own_tasks:raises"}, "fails on two samples: RuntimeError: the shapes do not fit"),
        ({"metrics": {"own_tasks:raises": "min"}}, "task.metrics: raises fails on 8 samples: Run"),
        (
            {"metrics": {"own_tasks:too_many": "min"}, "data": "own_tasks:two_columns"},
            "task.metrics: too_many gives (2,) values; one number is needed",
        ),
        ({"metrics": "MulticlassRecall"}, "task.metrics: MulticlassRecall"),
        ({"loss": "bce_with_logits"}, "task.loss: bce_with_logits takes targets from 0 to 1; the"),
        (
            {"model": "small_cnn", "data": "own_tasks:pixels", "loss": "cross_entropy"},
            "gives an output of (2, 3) for 2 samples; the data asks for (3, 8, 8) a sample, so (2",
        ),
        (
            {"model": "own_tasks:unet", "data": "own_tasks:labels", "loss": "bce_with_logits"},
            "gives an output of (2, 3, 8, 8) for 2 samples; the data asks for (3,) a sample, so (",
        ),
        (
            {"loss": {"grid": ["mse", "torch.nn:HuberLoss"]}},
            "task.metrics: differ within the sweep, so that its trials cannot be compared; name",
        ),
    ],
)
def test_refused_before_anything_starts(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as caught:
        preflight.check(sweep(fields))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("objectives", "told"),
    [
        ({"val_accuracy": "max"}, "objectives: unknown objective 'val_accuracy' (allowed: "),
        (
            {"test_mse": "min"},
            "unknown objective 'test_mse' (allowed: decide_seconds",
        ),
    ],
)
def test_objectives_are_of_the_task(objectives: dict[str, str], told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told)):
        sweep({}, objectives=objectives)
    kept = {"val_mse": "min", "macs": "min"}
    assert sweep({}, objectives=kept).objectives == kept
    assert sweep({}).objectives == {"val_mse": "min", "gpu_hours": "min"}
    by_r2 = sweep({"metrics": ["R2Score", "mae"]}, search=None)
    assert by_r2.objectives == {"val_R2Score": "max", "gpu_hours": "min"}


def test_losses_that_vary_are_compared_by_one_metric(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {"loss": {"grid": ["mse", "torch.nn:HuberLoss"]}, "metrics": "mae", "epochs": 1}
    monkeypatch.setattr("sweeps.running.run._train", here.train)
    of = sweep(fields)
    uri = f"sqlite:///{tmp_path}/runs/mlflow.db"
    rows = run(of, preflight.check(of), Store(tmp_path / "runs"), uri, Console(quiet=True)).rows
    assert [row["setting"]["task.loss"] for row in rows] == ["mse", "torch.nn:HuberLoss"]
    assert len({row["test_mae"] for row in rows}) == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "own_tasks:named", "loss": "own_tasks:with_aux", "metrics": ["mse"]},
        {"model": "own_tasks:named", "metrics": {"own_tasks:worst_column": "min"}},
        {"model": "own_tasks:named", "data": "own_tasks:two_columns", "metrics": ["R2Score"]},
        {"data": "own_tasks:two_kinds", "loss": "bce_with_logits", "metrics": ["AUROC"]},
    ],
)
def test_neighbours(
    fields: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = ran(task(**fields), tmp_path, monkeypatch)
    assert [row["status"] for row in outcome.rows] == ["finished"] * 8
    found = trained(Store(tmp_path / "runs"), "task", outcome.rows[1]["trial"])
    for kind in ("safetensors", "pt2", "onnx"):
        write(found.training, tmp_path / f"network.{kind}", kind, found.about("task"))


@pytest.mark.parametrize(
    "policies",
    [
        ["snip", {"policy": "bayes_factor"}, "grasp"],
        ["bep", "activation_density", "synflow", {"policy": "gradual", "ratio": 0.5}],
    ],
)
def test_what_measures_on_the_sample_takes_the_tasks_loss(
    policies: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.running.run._train", here.train)
    content = {"name": "sample", "task": TASKS["pixels"], "policies": ["dense", *policies]}
    of, uri = Sweep.parse(content), f"sqlite:///{tmp_path}/runs/mlflow.db"
    rows = run(of, preflight.check(of), Store(tmp_path / "runs"), uri, Console(quiet=True)).rows
    assert [row["status"] for row in rows] == ["finished"] * len(rows)

"""Dense training that has learned nothing is nothing to compare with, and that is said."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
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
from pruning.reading.spec import Augment
from pruning.reading.target import Target
from pruning.training import torchmetric
from pruning.training.batches import DatasetBatches, TensorBatches
from pruning.training.chance import chance
from pruning.training.metrics import METRICS, MetricSpec
from sweeps.file.sweep import Sweep
from sweeps.judging.learning import at_chance, told_collapsed, unlearned
from sweeps.judging.oracle import nothing_to_judge, oracle
from sweeps.judging.table import mark_pareto, read_rows
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


def swept(
    folder: Path, policies: Sequence[Any] = POLICIES, **options: Any
) -> tuple[Outcome, Store]:
    data = {"source": "noise:load", "options": options}
    fields = changed(
        task__model="small_mlp", task__data=data, policies=policies, task__optimizer={"lr": 0.05}
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


def settings(**policies: list[float]) -> list[dict[str, Any]]:
    """Rows by policy, the accuracy of each of its seeds; the more accurate the dearer."""
    return [
        {
            **row,
            "policy": policy,
            "setting": {"policy": policy},
            "metrics": {"accuracy": "max"},
            "gpu_hours": row["val_accuracy"],
        }
        for policy, found in policies.items()
        for row in seeds(*found)
    ]


GONE = "ended at chance: nothing was learned or kept"


@pytest.mark.parametrize(
    ("policies", "said", "stars"),
    [
        ({"dense": [0.9], "epi": [0.55], "bep": [0.8]}, f"epi {GONE}", ["dense", "bep"]),
        ({"dense": [0.9, 0.9], "epi": [0.5, 0.8]}, f"epi (1 of 2 seeds) {GONE}", ["dense", "epi"]),
        ({"dense": [0.9], "a": [0.1], "b": [0.2]}, f"a, b {GONE}", ["dense"]),
        (
            {"dense": [0.9], **{name: [0.1] for name in "abcde"}},
            f"a, b, c, 2 more settings {GONE}",
            ["dense"],
        ),
        ({"dense": [0.55], "epi": [0.5]}, "", ["dense", "epi"]),
        ({"epi": [0.5], "bep": [0.8]}, "", ["epi", "bep"]),
    ],
)
def test_what_collapsed_is_named_and_no_choice(
    policies: dict[str, list[float]], said: str, stars: list[str]
) -> None:
    rows = mark_pareto(settings(**policies), {"val_accuracy": "max", "gpu_hours": "min"})
    assert told_collapsed(rows) == said
    assert list(dict.fromkeys(row["policy"] for row in rows if row["pareto"])) == stars


def test_a_cut_that_leaves_nothing_is_told_everywhere(folder: Path) -> None:
    cut = {"ratio": 0.95, "saliency": "magnitude", "floor": 0.0}
    policies = [
        "dense",
        {"policy": "at_epoch", "epoch": {"grid": [0, 2]}, **cut},
        {"policy": "epi", "window": 1, "threshold": 0.5, **cut},
    ]
    outcome, store = swept(folder, policies, shares=[0.5, 0.5], seen=6.0)
    said = outcome.standing.collapsed
    assert said == f"at_epoch ratio=0.95 epoch=0 {GONE}"
    assert outcome.standing.to_json()["collapsed"] == said
    assert said in tables.standing(outcome.standing)
    page = report.write(store, "small", folder / "page.html").read_text()
    assert f"{said}." in page
    assert all(said in verdict.notes for verdict in oracle(read_rows(store, "small")))


ACCURACY = [MetricSpec(name="accuracy")]


def test_chance_of_a_set_that_is_read_sample_by_sample() -> None:
    whole = TensorDataset(torch.zeros(6, 2), torch.tensor([0, 0, 1, 1, 1, 2]))
    assert chance(DatasetBatches(whole, torch.as_tensor, 0), ACCURACY) == {}
    whole.targets = np.array([0, 0, 1, 1, 1, 2])  # type: ignore[attr-defined]
    part = DatasetBatches(Subset(Subset(whole, [0, 1, 2, 3, 4]), [1, 2, 3]), torch.as_tensor, 0)
    found = chance(part, ACCURACY)
    assert (found["chance_accuracy"], found["val_samples"]) == (2 / 3, 3)
    whole.targets = "something else"  # type: ignore[attr-defined]
    assert chance(part, ACCURACY) == {}


def levels(y: torch.Tensor, *specs: MetricSpec) -> dict[str, float]:
    return chance(TensorBatches(torch.zeros(len(y), 1), y, Augment(), torch.device("cpu")), specs)


DRAW = torch.Generator().manual_seed(0)
LABELS = torch.multinomial(torch.tensor([0.2, 0.5, 0.3]), 300, True, generator=DRAW)
PIXELS = torch.multinomial(torch.tensor([0.1, 0.8, 0.1]), 3200, True, generator=DRAW)
VALUES = torch.randn(300, 2, generator=DRAW).exp()
TRAITS = (torch.rand(300, 3, generator=DRAW) < torch.tensor([0.2, 0.9, 0.5])).float()


@pytest.mark.parametrize(
    ("name", "options", "y", "answer"),
    [
        ("accuracy", {}, LABELS, [0.0, 1.0, 0.0]),
        ("accuracy", {}, PIXELS.view(-1, 8, 8), [0.0, 1.0, 0.0]),
        ("accuracy", {}, TRAITS, [-1.0, 1.0, None]),
        ("Accuracy", {}, LABELS, [0.0, 1.0, 0.0]),
        ("MulticlassAccuracy", {}, LABELS, [0.0, 1.0, 0.0]),
        ("Accuracy", {"average": "macro"}, LABELS, [0.0, 1.0, 0.0]),
        ("MultilabelAccuracy", {}, TRAITS, [0.0, 1.0, None]),
        ("torchmetrics.classification:AUROC", {}, LABELS, [0.2, 0.5, 0.3]),
        ("AUROC", {}, TRAITS, [0.3, 0.3, 0.3]),
        ("JaccardIndex", {}, PIXELS.view(-1, 8, 8), [0.0, 1.0, 0.0]),
        ("mse", {}, VALUES, VALUES.mean(0)),
        ("MeanSquaredError", {}, VALUES, VALUES.mean(0)),
        ("mae", {}, VALUES, VALUES.median(0).values),
        ("MeanAbsoluteError", {}, VALUES, VALUES.median(0).values),
        ("R2Score", {}, VALUES, VALUES.mean(0)),
        ("ExplainedVariance", {}, VALUES, VALUES.mean(0)),
    ],
)
def test_a_level_is_what_the_best_answer_for_all_samples_comes_to(
    name: str, options: dict[str, Any], y: torch.Tensor, answer: Any
) -> None:
    spec = MetricSpec(name=name, options=options)
    if isinstance(answer, list):  # None: what that column mostly is
        common = float(y.select(1, -1).mean() > 0.5) if None in answer else 0.0
        answer = torch.tensor([common if part is None else part for part in answer])
    if name == "accuracy" and y.is_floating_point():
        answer = 2 * answer - 1  # of logits the sign counts
    output = answer.view(1, -1, *(1 for _ in y.shape[1:] if not y.is_floating_point()))
    output = output.expand(len(y), -1, *(() if y.is_floating_point() else y.shape[1:])).contiguous()
    if spec.ours:
        found = float(np.divide(*map(float, METRICS[name][0](output, y))))
    else:
        made = torchmetric.make(name, options, 3, Target.of(y), torch.device("cpu"))
        fed = torchmetric.Fed(made, lambda part: part, whole=y is TRAITS)
        fed.update(output, y)
        found = float(fed.compute())
    known = levels(y, spec)
    assert known[f"chance_{spec.short}"] == pytest.approx(found, abs=1e-5)
    assert 0 < known[f"margin_{spec.short}"] < 0.2


@pytest.mark.parametrize(
    ("spec", "y"),
    [
        ({"name": "noise:load", "direction": "max"}, VALUES),
        ({"name": "loss"}, LABELS),
        ({"name": "Accuracy", "options": {"top_k": 2}}, LABELS),
        ({"name": "AUROC", "options": {"average": "weighted"}}, TRAITS),
        ({"name": "AUROC"}, torch.ones(20, 2)),
        ({"name": "F1Score"}, LABELS),
        ({"name": "accuracy"}, LABELS[:0]),
    ],
)
def test_without_a_level_nothing_is_claimed(spec: dict[str, Any], y: torch.Tensor) -> None:
    assert levels(y, MetricSpec(**spec)) == {}


KINDS = """
import numpy as np
def load(kind, seen=False):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(600, 8)).astype(np.float32)
    if kind == "pixels":
        x = draw.normal(size=(600, 8, 8)).astype(np.float32)
    found = x if seen else draw.permutation(x)
    y = {"values": found[:, :1] * 3 + 1, "labels": found[:, :3] > 0.5, "classes": found[:, 0] > 0.8,
         "pixels": found > 0.8}[kind]
    return {"x_train": x, "y_train": y if kind == "values" else y.astype(int)}

from torch import nn
def network(shape, classes):
    first = nn.Conv2d(shape[0], 8, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(), nn.Conv2d(8, classes, 1))
"""


@pytest.mark.parametrize("seen", [False, True])
@pytest.mark.parametrize(
    ("kind", "loss", "metric"),
    [
        ("values", "mse", "mse"),
        ("values", "mse", "MeanAbsoluteError"),
        ("values", "mse", "R2Score"),
        ("labels", "bce_with_logits", "accuracy"),
        ("labels", "bce_with_logits", "AUROC"),
        ("classes", "cross_entropy", "MulticlassAccuracy"),
        ("pixels", "cross_entropy", "JaccardIndex"),
    ],
)
def test_noise_is_not_learned_by_any_metric(
    folder: Path, kind: str, loss: str, metric: str, seen: bool
) -> None:
    (folder / "noise.py").write_text(KINDS)
    fields = changed(
        task__model="noise:network" if kind == "pixels" else "small_mlp",
        task__data={"source": "noise:load", "options": {"kind": kind, "seen": seen}},
        policies=POLICIES,
        task__optimizer={"name": "adam", "lr": 0.01},
        task__epochs=6,
        task__loss=loss,
        task__metrics=[metric],
    )
    sweep, store = Sweep.parse(fields), Store(folder / "s")
    uri = f"sqlite:///{folder}/m.db"
    stands = run(sweep, preflight.check(sweep), store, uri, Console(quiet=True)).standing
    verdicts = oracle(read_rows(store, "small"))
    page = report.write(store, "small", folder / "page.html").read_text()
    if seen:
        assert stands.unlearned == ""
        assert stands.savings
    else:
        assert stands.unlearned.startswith("dense did not learn: nothing can be said")
        assert stands.savings == stands.gains == []
        assert all(verdict.notes[0] == stands.unlearned for verdict in verdicts)
        assert all(verdict.regret is None for verdict in verdicts)
    assert ("Dense did not learn" in page) != seen

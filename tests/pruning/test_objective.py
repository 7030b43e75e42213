"""Losses and metrics: their values by plain code, what is refused, and how tasks name them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_tasks import digits_task
from torch import Tensor, nn
from torch.nn import functional

from pruning import InputError
from pruning.reading.target import Target
from pruning.training.data import Data
from pruning.training.loop import Training, open_data
from pruning.training.objective import Objective, scalar
from pruning.training.task import Task

CPU = torch.device("cpu")
PLAIN: dict[str, Any] = {"label_smoothing": 0.0, "augment": {}}


def squares(output: Any, target: Tensor, power: float = 2) -> Tensor:
    found: Tensor = (output["a"] - target).abs().pow(power).mean()
    return found


class Half(nn.Module):
    def __init__(self, factor: float = 0.5) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return self.factor * functional.mse_loss(output, target)


class Largest:
    """The largest error, as an object that is begun anew."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.found = 0.0

    def update(self, output: Tensor, target: Tensor) -> None:
        self.found = max(self.found, float((output - target).abs().max()))

    def compute(self) -> float:
        return self.found


largest = Largest()
three = 3


def spearman(output: Tensor, target: Tensor) -> Tensor:
    ranks = [part.flatten().argsort().argsort().float() for part in (output, target)]
    return torch.corrcoef(torch.stack(ranks))[0, 1]


def objective(target: Target, classes: int = 0, **fields: Any) -> Objective:
    task = digits_task(**PLAIN, **fields)
    data = open_data(digits_task(), CPU)
    splits = data.train, data.validation, data.test
    return Objective.of(task, Data(*splits, (4,), classes, data.preprocessing, target=target), CPU)


def figures(of: Objective, output: Any, target: Tensor, batch: int = 3) -> dict[str, float]:
    """Over a split, batch by batch."""
    total, streams = torch.zeros(of.width, dtype=torch.float64), of.streams()
    for part, wanted in zip(output.split(batch), target.split(batch), strict=True):
        total += of.step(part, wanted)[1]
        for stream in streams.values():
            stream.update(part, wanted)
    found = {f"val_{name}": scalar(name, stream.compute()) for name, stream in streams.items()}
    return of.figures("val", total.tolist()) | found


def test_of_classes() -> None:
    output, target = torch.randn(7, 4), torch.arange(7) % 4
    names = ["accuracy", "MulticlassF1Score", "torchmetrics:AUROC", "Accuracy"]
    found = figures(objective(Target(), 4, metrics=names), output, target)
    right = (output.argmax(1) == target).double().mean()
    assert found["val_accuracy"] == float(right)
    assert found["val_Accuracy"] == pytest.approx(float(right))
    assert found["val_loss"] == pytest.approx(float(functional.cross_entropy(output, target)))
    scores = output.softmax(1)
    ranks = [
        (scores[target == c, c][:, None] > scores[target != c, c][None]).float().mean()
        for c in range(4)
    ]
    assert found["val_AUROC"] == pytest.approx(float(torch.stack(ranks).mean()), abs=1e-6)


def test_of_labels() -> None:
    output = torch.rand(7, 3) - 0.2  # sigmoid would not be guessed from some batches
    target = (torch.rand(7, 3) > 0.4).float()
    of = objective(
        Target("values", (3,)), loss="bce_with_logits", metrics=["accuracy", "HammingDistance"]
    )
    found = figures(of, output, target)
    right = float(((output > 0) == target.bool()).double().mean())
    assert found["val_accuracy"] == pytest.approx(right)
    assert found["val_HammingDistance"] == pytest.approx(1 - right, abs=1e-6)
    loss = functional.binary_cross_entropy_with_logits(output, target)
    assert found["val_loss"] == pytest.approx(float(loss))


def test_of_one_label() -> None:
    output, target = torch.rand(7, 1) - 0.3, (torch.arange(7) % 2).float()[:, None]
    of = objective(Target("values", (1,)), loss="bce_with_logits", metrics=["AUROC", "accuracy"])
    found = figures(of, output, target)
    ahead = output[target == 1][:, None] > output[target == 0][None]
    assert found["val_AUROC"] == pytest.approx(float(ahead.float().mean()), abs=1e-6)


@pytest.mark.parametrize("columns", [1, 3])
def test_of_values(columns: int) -> None:
    output, target = torch.randn(7, columns), torch.randn(7, columns)
    own = [
        {"name": f"test_objective:{name}", "direction": "min"} for name in ("largest", "Largest")
    ]
    names = ["mse", "mae", "R2Score", *own]
    with pytest.raises(InputError, match="two metrics would be called"):
        objective(Target("values", (columns,)), loss="mse", metrics=[*names, own[0]])
    found = figures(
        objective(Target("values", (columns,)), loss="mse", metrics=names), output, target
    )
    expected = pytest.approx(float(functional.mse_loss(output, target)), rel=1e-6)
    assert found["val_mse"] == expected
    assert found["val_loss"] == expected
    assert found["val_mae"] == pytest.approx(float((output - target).abs().mean()))
    spread = (target - target.mean(0)).square().sum(0)
    r2 = 1 - (output - target).square().sum(0) / spread
    assert found["val_R2Score"] == pytest.approx(float(r2.mean()), abs=1e-5)
    assert found["val_largest"] == found["val_Largest"] == float((output - target).abs().max())


def test_of_pixels() -> None:
    output, target = torch.randn(5, 3, 4, 4), torch.randint(3, (5, 4, 4))
    target[:, 0] = -100
    of = objective(Target("classes", (4, 4)), 3, metrics=["accuracy", "JaccardIndex"])
    found = figures(of, output, target)
    chosen, known = output.argmax(1), target >= 0
    assert found["val_accuracy"] == pytest.approx(float((chosen == target)[known].double().mean()))
    shared = [((chosen == c) & (target == c)).sum() for c in range(3)]
    either = [(((chosen == c) & known) | (target == c)).sum() for c in range(3)]
    ratio = sum(float(a) / float(b) for a, b in zip(shared, either, strict=True)) / 3
    assert found["val_JaccardIndex"] == pytest.approx(ratio, abs=1e-6)
    expected = functional.cross_entropy(output, target)
    assert found["val_loss"] == pytest.approx(float(expected), rel=1e-5)


def test_a_function_sees_the_whole_split() -> None:
    output, target = torch.randn(7, 1), torch.randn(7, 1)
    own = {"name": "test_objective:spearman", "direction": "max", "called": "rho"}
    found = figures(objective(Target("values", (1,)), loss="mse", metrics=own), output, target)
    assert found["val_rho"] == pytest.approx(float(spearman(output, target)))


def test_losses_of_ones_own() -> None:
    output, target = torch.randn(4, 2), torch.randn(4, 2)
    wanted = {"name": "test_objective:squares", "options": {"power": 4}}
    power = objective(Target("values", (2,)), loss=wanted).loss({"a": output}, target)
    assert power == (output - target).pow(4).mean()
    half = {"name": "test_objective:Half", "options": {"factor": 0.25}}
    assert objective(Target("values", (2,)), loss=half).loss(output, target) == pytest.approx(
        0.25 * float(functional.mse_loss(output, target))
    )
    for name in ("torch.nn:HuberLoss", "torch.nn.functional:huber_loss"):
        loss = objective(Target("values", (2,)), loss=name).loss(output, target)
        assert loss == functional.huber_loss(output, target)


def test_options_of_ours() -> None:
    output, target = torch.randn(6, 3), torch.arange(6) % 3
    weights = {"name": "cross_entropy", "options": {"weight": [1.0, 2.0, 0.5]}}
    found = objective(Target(), 3, loss=weights).loss(output, target)
    assert found == functional.cross_entropy(output, target, torch.tensor([1.0, 2.0, 0.5]))
    labels = torch.ones(6, 3)
    weights = {"name": "bce_with_logits", "options": {"pos_weight": [3.0, 1.0, 1.0]}}
    found = objective(Target("values", (3,)), loss=weights).loss(output, labels)
    expected = functional.binary_cross_entropy_with_logits(
        output, labels, pos_weight=torch.tensor([3.0, 1.0, 1.0])
    )
    assert found == expected


@pytest.mark.parametrize(
    ("fields", "measured"),
    [
        ({}, {"accuracy": "max"}),
        ({"loss": "bce_with_logits"}, {"accuracy": "max"}),
        ({"loss": "mse"}, {"mse": "min"}),
        ({"loss": "a.b:c"}, {"loss": "min"}),
        ({"loss": {"name": "mse"}, "metrics": "mae"}, {"mae": "min"}),
        ({"metrics": ["accuracy", "loss"]}, {"accuracy": "max", "loss": "min"}),
        ({"metrics": {"R2Score": None, "a.b:c": "min"}}, {"R2Score": "max", "c": "min"}),
        ({"metrics": {"name": "MeanAbsoluteError", "called": "mae"}}, {"mae": "min"}),
        ({"metrics": [{"name": "Accuracy", "options": {"top_k": 2}}]}, {"Accuracy": "max"}),
        ({"metrics": "torchmetrics.regression:R2Score"}, {"R2Score": "max"}),
        ({"metrics": "classification.MultilabelF1Score"}, None),
        (
            {"metrics": "torchmetrics.classification.MultilabelF1Score"},
            {"MultilabelF1Score": "max"},
        ),
    ],
)
def test_how_a_task_names_them(fields: dict[str, Any], measured: dict[str, str] | None) -> None:
    if measured is None:
        with pytest.raises(InputError):
            digits_task(**PLAIN, **fields)
    else:
        assert digits_task(**PLAIN, **fields).measured == measured


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"loss": "mze"}, "loss: unknown loss 'mze'; did you mean 'mse'? (allowed: "),
        ({"loss": {"name": "mse", "options": {"weight": 1}}}, "mse: unknown option 'weight'"),
        ({"metrics": "acuracy"}, "metrics: unknown metric 'acuracy'; did you mean 'accuracy'? (al"),
        ({"metrics": "R2Scores"}, "did you mean 'R2Score'? (allowed: accuracy, loss, mae, mse, a"),
        ({"metrics": "a.b:c"}, "metrics: a.b:c: direction must be given (allowed: max, min)"),
        ({"metrics": {"accuracy": "min"}}, "metrics: accuracy: min is not allowed: it is max"),
        ({"metrics": {"name": "mse", "options": {"a": 1}}}, "metrics: mse: takes no options"),
        ({"metrics": ["mae", {"name": "mse", "called": "mae"}]}, "would be called 'mae'"),
        ({"metrics": {"name": "mse", "called": "a b"}}, "'a b' is not allowed: letters, digits"),
        ({"metrics": {"name": "mse", "direction": "up"}}, "'up' is not allowed"),
        ({"metrics": 3}, "metrics"),
        ({"loss": "mse", "label_smoothing": 0.1}, "label_smoothing: is for cross_entropy"),
        (
            {"loss": "mse", "data": {"source": "digits", "targets": "classes"}},
            "data.targets: 'class",
        ),
    ],
)
def test_what_is_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as caught:
        digits_task(**PLAIN | fields)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"loss": "no_such.module:loss"}, "task.loss: 'no_such.module:loss' does not import"),
        ({"loss": "test_objective:three"}, "task.loss: 'test_objective:three' is int, not a func"),
        ({"metrics": {"test_objective:three": "max"}}, "task.metrics: test_objective:three: is in"),
        ({"metrics": {"name": "R2Score", "options": {"a": 1}}}, "task.metrics: R2Score"),
        ({"metrics": {"name": "Accuracy", "options": {"task": "no"}}}, "metrics: Accuracy"),
    ],
)
def test_what_cannot_be_had(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as caught:
        objective(Target(), 10, **fields)
    assert told in str(caught.value)


def test_old_addresses_stand() -> None:
    plain = digits_task()
    said = digits_task(loss="cross_entropy", metrics=["accuracy"])
    assert "loss" not in plain.identity()
    assert said.address() == plain.address()
    assert digits_task(metrics=["accuracy", "loss"]).address() != plain.address()
    assert Task.parse(plain.model_dump(mode="json")) == plain


def test_records_of_classes_are_as_ever() -> None:
    training = Training(digits_task())
    training.begin()
    record = training.epoch()
    assert list(record.metrics) == ["train_loss", "train_accuracy", "val_loss", "val_accuracy"]
    assert list(record.test) == ["test_loss", "test_accuracy"]

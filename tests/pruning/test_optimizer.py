"""Optimizers and learning-rate schedules, by hand."""

from __future__ import annotations

import math

import pytest
import torch
from small_tasks import dropout_cnn

from pruning import InputError
from pruning.training.optimizer import OptimizerSpec, ScheduleSpec


def test_cosine_by_hand() -> None:
    cosine = ScheduleSpec(name="cosine")
    assert cosine.factor(0, 10) == 1
    assert cosine.factor(2.5, 10) == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert cosine.factor(5, 10) == pytest.approx(0.5)
    assert cosine.factor(10, 10) == pytest.approx(0, abs=1e-15)


def test_warm_up_rises_linearly_and_then_the_schedule_begins() -> None:
    cosine = ScheduleSpec(name="cosine", warmup_epochs=2)
    assert [cosine.factor(at, 10) for at in (0.5, 1, 1.5)] == [0.25, 0.5, 0.75]
    assert cosine.factor(2, 10) == 1
    assert cosine.factor(6, 10) == pytest.approx(0.5)
    assert cosine.factor(10, 10) == pytest.approx(0, abs=1e-15)
    constant = ScheduleSpec(name="constant", warmup_epochs=0.5)
    assert [constant.factor(at, 3) for at in (0.25, 0.5, 3)] == [0.5, 1, 1]


def test_step_by_hand() -> None:
    step = ScheduleSpec(name="step", step_epochs=3, gamma=0.5, warmup_epochs=1)
    assert [step.factor(at, 10) for at in (0.5, 1, 2.9, 3, 5.9, 6)] == [0.5, 1, 1, 0.5, 0.5, 0.25]


def test_no_weight_decay_on_vectors() -> None:
    model = dropout_cnn((1, 8, 8), 10)
    matrices, vectors = OptimizerSpec(weight_decay=0.1).build(model).param_groups
    assert matrices["weight_decay"] == 0.1
    assert all(parameter.ndim > 1 for parameter in matrices["params"])
    assert vectors["weight_decay"] == 0
    assert all(parameter.ndim <= 1 for parameter in vectors["params"])
    assert len(matrices["params"]) + len(vectors["params"]) == len(list(model.parameters()))
    both = OptimizerSpec(weight_decay=0.1, decay_vectors=True).build(model).param_groups
    assert [group["weight_decay"] for group in both] == [0.1, 0.1]


def test_adamw_does_not_bring_its_own_decay() -> None:
    groups = OptimizerSpec(name="adamw", lr=0.1).build(dropout_cnn((1, 8, 8), 10)).param_groups
    assert [group["weight_decay"] for group in groups] == [0, 0]


def test_frozen_parameters_are_left_out() -> None:
    model = dropout_cnn((1, 8, 8), 10)
    for parameter in model[0].parameters():
        parameter.requires_grad_(False)
    chosen = [p for group in OptimizerSpec().build(model).param_groups for p in group["params"]]
    assert all(parameter is not model[0].weight for parameter in chosen)
    assert len(chosen) == len(list(model.parameters())) - 1


@pytest.mark.parametrize(
    ("name", "kind"),
    [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)],
)
def test_kinds_and_settings(name: str, kind: type[torch.optim.Optimizer]) -> None:
    spec = OptimizerSpec.parse({"name": name, "lr": 0.25, "betas": [0.8, 0.9], "eps": 1e-5})
    optimizer = spec.build(dropout_cnn((1, 8, 8), 10))
    assert type(optimizer) is kind
    group = optimizer.param_groups[0]
    assert group["lr"] == 0.25
    if name == "sgd":
        assert (group["momentum"], group["nesterov"]) == (0.9, True)
    else:
        assert (group["betas"], group["eps"]) == ((0.8, 0.9), 1e-5)


def test_nesterov_without_momentum_is_plain() -> None:
    group = OptimizerSpec(momentum=0).build(dropout_cnn((1, 8, 8), 10)).param_groups[0]
    assert (group["momentum"], group["nesterov"]) == (0, False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": -1}, "optimizer.lr: -1 is not allowed: input should be greater than 0"),
        ({"name": "sdg"}, "optimizer.name: 'sdg' is not allowed"),
        ({"momentun": 0.9}, "did you mean 'momentum'"),
    ],
)
def test_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        OptimizerSpec.parse(settings, "optimizer")
    assert "\n" not in str(error.value)

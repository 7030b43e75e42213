"""Optimizers and learning-rate schedules, by hand."""

from __future__ import annotations

import math

import pytest
import torch
from small_tasks import digits_task, dropout_cnn

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
        ({"name": "sdg"}, "optimizer.name: unknown optimizer 'sdg'; did you mean 'sgd'"),
        ({"betas": [2, 3]}, "optimizer.betas.0: 2 is not allowed: input should be less than 1"),
        ({"betas": [0.9, 1]}, "optimizer.betas.1: 1 is not allowed"),
        ({"lr": 1e300}, r"optimizer.lr: 1e\+300 is not allowed: .* less than or equal to 1000"),
        ({"weight_decay": 1e300}, r"optimizer.weight_decay: 1e\+300 is not allowed"),
        ({"eps": float("inf")}, "optimizer.eps: inf is not allowed"),
        ({"options": {"rho": 1}}, "options: 'sgd' takes none"),
        ({"filters": "muon"}, "filters: muon is for matrices alone: write"),
        ({"matrices": {"matrices": "muon"}}, "matrices: has its own optimizer, and that no fur"),
        ({"matrices": {"lr": -1}}, "optimizer.matrices.lr: -1 is not allowed"),
        ({"momentun": 0.9}, "did you mean 'momentum'"),
    ],
)
def test_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        OptimizerSpec.parse(settings, "optimizer")
    assert "\n" not in str(error.value)


def test_an_optimizer_for_each_kind_of_parameter() -> None:
    model = dropout_cnn((1, 8, 8), 10)
    spec = OptimizerSpec.parse(
        {"name": "adamw", "lr": 0.001, "matrices": {"name": "muon", "lr": 0.02}, "filters": "sgd"}
    )
    muon, sgd, adamw = spec.optimizers(model)
    assert [type(one) for one in (muon, sgd, adamw)] == [
        torch.optim.Muon,
        torch.optim.SGD,
        torch.optim.AdamW,
    ]
    dims = [[p.ndim for g in o.param_groups for p in g["params"]] for o in (muon, sgd, adamw)]
    assert dims == [[2], [4, 4], [1] * len(dims[2])]
    assert sum(map(len, dims)) == len(list(model.parameters()))
    assert [o.param_groups[0]["initial_lr"] for o in (muon, sgd, adamw)] == [0.02, 0.1, 0.001]
    assert OptimizerSpec.parse(spec.identity()) == spec


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "muon"}, "task.optimizer: muon is for matrices alone"),
        ({"name": "torch.optim:Nothing"}, "'torch.optim' has no 'Nothing'"),
        ({"name": "torch.optim:RMSprop", "options": {"a": 1}}, "cannot be made .TypeError.* 'a'"),
        ({"name": "builtins:dict"}, "'builtins:dict' gives a dict|cannot be made"),
    ],
)
def test_what_cannot_be_made_is_one_line(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        OptimizerSpec.parse(settings).optimizers(dropout_cnn((1, 8, 8), 10))
    assert "\n" not in str(error.value)


def test_kinds_that_a_model_has_not_and_models_that_are_frozen() -> None:
    model = dropout_cnn((1, 8, 8), 10)
    model[-1] = torch.nn.Identity()
    with pytest.raises(InputError, match="no trainable parameter of two dimensions"):
        OptimizerSpec.parse({"matrices": "muon"}).optimizers(model)
    model.requires_grad_(False)
    with pytest.raises(InputError, match="none of its parameters is trainable"):
        OptimizerSpec().optimizers(model)


def test_a_schedule_of_ones_own() -> None:
    own = ScheduleSpec.parse({"name": "own_code:triangle", "options": {"peak": 0.25}})
    assert [own.factor(at, 4) for at in (0, 0.5, 1, 4)] == [0, 0.5, 1, 0]
    own.check(4, lr=0.1)
    for options, why in (
        ({"peak": "high"}, "fails in epoch 1 .TypeError"),
        ({"peak": -1}, r"makes the learning rate .* in epoch 1 .allowed: 0 to 1e\+30"),
        ({"low": 1}, "fails in epoch 1 .TypeError"),
    ):
        spec = ScheduleSpec.parse({"name": "own_code:triangle", "options": options})
        with pytest.raises(ValueError, match=why):
            spec.check(4, lr=0.1)
    with pytest.raises(InputError, match=r"schedule.name: unknown schedule 'cosin'; did you mean"):
        ScheduleSpec.parse({"name": "cosin"}, "schedule")


def test_factors_that_grow_beyond_all_bounds_are_refused() -> None:
    settings = {"name": "step", "step_epochs": 1, "gamma": 1e8}
    with pytest.raises(InputError, match=r"schedule: 'step' makes the learning rate 1e.31 in ep"):
        digits_task(epochs=10, schedule=settings)
    with pytest.raises(InputError, match=r"schedule.gamma: 1e.300 is not allowed"):
        digits_task(schedule={**settings, "gamma": 1e300})

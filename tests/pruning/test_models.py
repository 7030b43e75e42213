"""The networks: all build, forward, and draw their weights from the seed alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from pruning import InputError
from pruning.known import OUR_MODELS, SOURCE_FORMS
from pruning.reading.sources import KINDS
from pruning.structure.trace import trace_units
from pruning.training.models import MODELS, build


def flat_head(shape: tuple[int, ...], classes: int, wrong: int = 0) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes + wrong))


def not_a_module(shape: tuple[int, ...], classes: int) -> str:
    return "net"


def test_names_are_known_before_they_are_loaded() -> None:
    assert tuple(MODELS) == OUR_MODELS
    assert {form.partition(":")[0] for form in SOURCE_FORMS} == {*KINDS, "digits", "package.module"}


@pytest.mark.parametrize("name", MODELS)
def test_builds_forwards_and_is_seeded(name: str) -> None:
    shape = (3, 32, 32)
    random_state = torch.get_rng_state()
    one, same, other = (build(name, {}, shape, 7, seed) for seed in (1, 1, 2))
    assert torch.equal(random_state, torch.get_rng_state())
    assert one.training
    assert one(torch.randn(2, *shape)).shape == (2, 7)
    state, again, different = (net.state_dict() for net in (one.eval(), same.eval(), other.eval()))
    drawn = [key for key in state if key.endswith("weight") and state[key].ndim > 1]
    assert all(torch.equal(state[key], again[key]) for key in drawn)
    assert not any(torch.equal(state[key], different[key]) for key in drawn)


@pytest.mark.parametrize("name", ["small_cnn", "small_mlp", "small_resnet"])
def test_small_ones_can_be_pruned(name: str) -> None:
    assert trace_units(build(name, {}, (1, 8, 8), 10), torch.zeros(2, 1, 8, 8)).layout.total > 60


def test_convolutions_begin_by_kaimings_fan_out() -> None:
    weight = build("small_cnn", {"widths": [64, 64]}, (1, 8, 8), 10)[3].weight.detach()
    assert float(weight.std()) == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.05)


def test_options_of_small_cnn() -> None:
    options = {
        "widths": [4, 6],
        "pool_after": [0, 1],
        "batch_norm": False,
        "pooling": "flatten",
        "hidden": [5],
        "dropout": 0.5,
    }
    net = build("small_cnn", options, (2, 8, 8), 3)
    kinds = [type(layer) for layer in net]
    assert kinds.count(nn.BatchNorm2d) == 0
    assert kinds.count(nn.Dropout) == 1
    assert net[0].bias is not None
    assert [net[-4].in_features, net[-4].out_features] == [6 * 2 * 2, 5]


def test_torchvision_and_dotted_path() -> None:
    resnet = build("torchvision:resnet18", {}, (3, 32, 32), 5)
    assert resnet.fc.out_features == 5
    assert build("test_models:flat_head", {}, (1, 4, 4), 3)(torch.zeros(1, 1, 4, 4)).shape == (1, 3)


@pytest.mark.parametrize(
    ("name", "options", "shape", "message"),
    [
        (
            "small_cn",
            {},
            (1, 8, 8),
            "unknown model 'small_cn'; did you mean 'small_cnn'? (allowed: ",
        ),
        (
            "torchvision:resnt18",
            {},
            (3, 8, 8),
            "unknown torchvision model 'resnt18'; did you mean 'resnet18'?",
        ),
        (
            "torchvision:zzz",
            {},
            (3, 8, 8),
            "unknown torchvision model 'zzz' (allowed: torchvision.models' names)",
        ),
        (
            "small_cnn",
            {"width": [3]},
            (1, 8, 8),
            "options: unknown option 'width'; did you mean 'widths'? (allowed: ",
        ),
        ("small_cnn", {"widths": [-1]}, (1, 8, 8), "options.widths.0: -1 is not allowed: "),
        ("small_cnn", {}, (64,), "'small_cnn' is for pictures (channels, height"),
        ("torchvision:resnet18", {}, (1, 32, 32), "does not take samples of shape (1, 32, 32) ("),
        (
            "no_such_package:build",
            {},
            (1, 8, 8),
            "'no_such_package:build' does not import (ModuleNotFoundError: ",
        ),
        ("test_models:nothing", {}, (1, 8, 8), "module 'test_models' has no 'nothing'"),
        (
            "test_models:not_a_module",
            {},
            (1, 8, 8),
            "'test_models:not_a_module' returned str, not an nn.Module",
        ),
        (
            "test_models:flat_head",
            {"wrong": 2},
            (1, 4, 4),
            "gives an output of (2, 12) for 2 samples; the data has 10 classes",
        ),
    ],
)
def test_refused_in_one_line(
    name: str, options: dict[str, Any], shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(InputError) as error:
        build(name, options, shape, 10)
    assert str(error.value).startswith("task.model")
    assert message in str(error.value)
    assert "\n" not in str(error.value)

"""Shrinking computes exactly what the dense network computes when it ignores the removed units."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from structure_cases import BIG, SMALL, assert_equal, build, random_keep
from torch import Tensor, nn

from pruning.structure.change import ignore
from pruning.structure.copies import copy_model, named_tensors
from pruning.structure.cost import measure
from pruning.structure.following.left_out import left_out
from pruning.structure.shrink import cuts_of, shrink
from pruning.structure.trace import trace_units
from pruning.structure.units import Units

CASES = [(name, ratio) for name in SMALL for ratio in (0.1, 0.5, 0.9)]
CASES += [(name, ratio) for name in BIG for ratio in (0.2, 0.5, 0.8)] + [("resnet18", 0.95)]


@cache
def traced(name: str) -> tuple[nn.Module, Tensor, Units]:
    model, x = build(name)
    return model, x, trace_units(model, x, verify=False)


@pytest.mark.parametrize(("name", "ratio"), CASES)
def test_equals_the_network_that_ignores_them(name: str, ratio: float) -> None:
    model, x, units = traced(name)
    keep = random_keep(units, ratio, seed=round(100 * ratio))
    alive = keep | True
    reference = copy_model(model, lambda t: t.double() if t.is_floating_point() else t)
    small = copy_model(reference, lambda t: t)
    cuts = cuts_of(units, alive, keep, named_tensors(reference))
    ignore(reference, units, ~keep)
    shrink(small, None, units, alive, keep)
    with torch.no_grad():
        with left_out(reference, cuts, {}):
            expected = reference(x.double())
        assert expected.abs().max() > 0
        assert_equal(small(x.double()), expected)
    params, macs = measure(small, x.double())
    dense_params, dense_macs = measure(model, x)
    assert params < dense_params
    assert macs < dense_macs
    if name == "vgg19_bn":
        traced.cache_clear()


def test_counts_of_known_networks() -> None:
    expected = {
        "resnet18": (12, 2880),
        "resnet50": (37, 11456),
        "convnext_tiny": (22, 27936),
        "vit_b_16": (25, 37776),
    }
    for name, counts in expected.items():
        layout = traced(name)[2].layout
        assert (len(layout.names), layout.total) == counts


def test_convolutions_say_what_they_are() -> None:
    model, _, units = traced("regnet_y_400mf")
    small = copy_model(model, torch.clone)
    keep = random_keep(units, 0.5, 0)
    shrink(small, None, units, keep | True, keep)
    fell = 0
    for old, new in zip(model.modules(), small.modules(), strict=True):
        if isinstance(new, nn.Conv2d) and isinstance(old, nn.Conv2d):
            assert new.out_channels == new.weight.shape[0]
            assert new.in_channels == new.weight.shape[1] * new.groups
            assert (
                new.out_channels // new.groups == old.out_channels // old.groups or old.groups == 1
            )
            fell += new.groups < old.groups
        elif isinstance(new, nn.BatchNorm2d):
            assert new.num_features == len(new.weight) == len(new.running_var)
        elif isinstance(new, nn.Linear):
            assert (new.out_features, new.in_features) == new.weight.shape
    assert fell > 10

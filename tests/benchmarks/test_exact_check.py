"""The check of exactness sees what is wrong, and takes no norm for a fault."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from benchmarks.reach.exact import Verdict, compare, mark
from benchmarks.reach.values import copied
from benchmarks.zoo import NETWORKS
from pruning.structure.shrink import shrink
from pruning.structure.trace import trace_units

KEPT = torch.tensor([0, 2, 3, 7, 9])


def shortened(model: nn.Module, cuts: dict[str, int], kept: Tensor = KEPT) -> None:
    """Leave these entries of tensors along a dimension each, as a cut does."""
    named = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for name, dim in cuts.items():
        named[name].data = named[name].data.index_select(dim, kept)


def verdict(
    dense: nn.Module, args: tuple[object, ...], cut: Callable[[nn.Module], object]
) -> Verdict:
    marked = mark(copied(dense))
    cut(marked)
    return compare(dense, args, marked)


def perceptron(norm: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 10), norm, nn.ReLU(), nn.Linear(10, 4))


X = (torch.randn(5, 6),)
PLAIN = {"0.weight": 0, "0.bias": 0, "3.weight": 1}


class Norm(nn.Module):
    """Of channels, written in code."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(-1, keepdim=True)
        return (x - mean) / ((x - mean).pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()


def test_a_plain_cut_is_exact() -> None:
    found = verdict(perceptron(nn.Identity()), X, lambda m: shortened(m, PLAIN))
    assert found.exact
    assert found.left_out == ()


def test_a_direction_without_length_is_no_fault() -> None:
    """Zeros in a row of a normed weight would be 0 / 0."""
    model = perceptron(nn.Identity())
    weight_norm(model[0])
    normed = {f"0.parametrizations.weight.original{part}": 0 for part in (0, 1)}
    cuts = {**normed, "0.bias": 0, "3.weight": 1}
    assert verdict(model, X, lambda marked: shortened(marked, cuts)).exact


def test_what_is_not_cut_proves_nothing() -> None:
    found = verdict(perceptron(nn.Identity()), X, lambda model: None)
    assert found.where == "nothing was cut"


def test_units_read_in_another_order_are_seen() -> None:
    def cut(model: nn.Module) -> None:
        shortened(model, {"0.weight": 0, "0.bias": 0})
        shortened(model, {"3.weight": 1}, KEPT.flip(0))

    found = verdict(perceptron(nn.Identity()), X, cut)
    assert found.where.startswith("what '3' puts out differs")


def test_a_bias_of_another_unit_is_seen() -> None:
    def cut(model: nn.Module) -> None:
        shortened(model, {"0.weight": 0, "3.weight": 1})
        shortened(model, {"0.bias": 0}, KEPT + torch.tensor([0, 0, 0, 0, -1]))

    assert not verdict(perceptron(nn.Identity()), X, cut).exact


@pytest.mark.parametrize(
    ("norm", "cuts", "function"),
    [
        (nn.LayerNorm(10), {"1.weight": 0, "1.bias": 0}, "layer_norm"),
        (nn.LayerNorm(10, elementwise_affine=False), {}, "layer_norm"),
        (nn.RMSNorm(10), {"1.weight": 0}, "rms_norm"),
        (nn.GroupNorm(1, 10), {"1.weight": 0, "1.bias": 0}, "group_norm"),
        (Norm(), {}, "mean"),
    ],
)
def test_a_norm_leaves_out_what_is_gone(
    norm: nn.Module, cuts: dict[str, int], function: str
) -> None:
    def cut(model: nn.Module) -> None:
        shortened(model, PLAIN | cuts)
        for name in ("normalized_shape", "num_channels"):
            if hasattr(model[1], name):
                setattr(model[1], name, (5,) if name == "normalized_shape" else 5)

    found = verdict(perceptron(norm), X, cut)
    assert found.exact, found.where
    assert found.left_out == (function,)


def test_the_weights_of_a_norm_must_be_those_of_its_units() -> None:
    def cut(model: nn.Module) -> None:
        shortened(model, PLAIN)
        shortened(model, {"1.weight": 0, "1.bias": 0}, KEPT.flip(0))
        model[1].normalized_shape = (5,)

    assert not verdict(perceptron(nn.LayerNorm(10)), X, cut).exact


def test_an_output_that_saturates_hides_nothing() -> None:
    """A trace that is wrong, as a proof by outputs alone would believe it."""
    model, args = NETWORKS["shuffled_and_clamped"].build()
    units = trace_units(model, args, verify=False)
    keep = torch.ones(units.layout.total, dtype=torch.bool).numpy()
    alive = keep.copy()
    keep[0] = False
    found = verdict(model, args, lambda marked: shrink(marked, None, units, alive, keep))
    assert not found.exact

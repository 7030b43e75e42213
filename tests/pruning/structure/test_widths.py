"""Widths that code reads off its tensors, or keeps as numbers, and computes with."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pruning.structure.following.equals import Equal, settle
from pruning.structure.following.numbers import Number, Size
from pruning.structure.network import Network
from pruning.structure.ties import Ties
from pruning.structure.trace import trace_units
from pruning.structure.units import Units, UntraceableError

X = torch.randn(2, 5, 12)


class Attention(nn.Module):
    """Of two heads; ``scale`` says how it scales with the width that it reads off."""

    def __init__(self, scale: Callable[[int], float], last: bool = False) -> None:
        super().__init__()
        self.enter, self.qkv = nn.Linear(12, 8), nn.Linear(8, 24)
        self.out, self.head = nn.Linear(8, 8), nn.Linear(8, 3)
        self.scale, self.last = scale, last

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        n, t, c = x.shape
        self.seen = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, 2, c // 2).permute(2, 0, 3, 1, 4)
        mixed = (q @ k.transpose(-2, -1) * self.scale(c // 2)).softmax(-1) @ v
        mixed = mixed.permute(0, 2, 3, 1) if self.last else mixed.transpose(1, 2)
        return self.head(x + self.out(mixed.reshape(n, t, c)))


def of_enter(units: Units) -> list[list[int]]:
    """Which channels of the first layer each unit is made of."""
    (axis,) = (s for g in units.groups for s in g.slices if s.tensor == "enter.bias")
    return [axis.index[axis.unit == unit].tolist() for unit in range(int(axis.unit.max()) + 1)]


@pytest.mark.parametrize(
    "scale",
    [
        lambda d: d**-0.5,
        lambda d: 1 / d**0.5,
        lambda d: 1 / math.sqrt(d),
        lambda d: math.sqrt(1 / d),
        lambda d: 0.5,
    ],
)
def test_columns_of_heads_go_with_the_stream(scale: Callable[[int], float]) -> None:
    assert of_enter(trace_units(Attention(scale), X)) == [[0, 4], [1, 5], [2, 6], [3, 7]]


def test_the_order_that_ties_least_is_found() -> None:
    units = trace_units(Attention(lambda d: 1.0, last=True), X)
    assert of_enter(units) == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_a_scale_that_cannot_be_followed_is_refused() -> None:
    with pytest.raises(UntraceableError, match="depends on how many"):
        trace_units(Attention(lambda d: 1 / len(range(d))), X)


def test_attention_scales_by_what_is_left() -> None:
    network = Network(Attention(lambda d: d**-0.5), X)
    network.remove([1])
    model = network.model
    assert not hasattr(model, "seen")  # copies run, not the model itself
    model(X)
    assert model.seen == (2, 5, 6)
    assert model.qkv.weight.shape == (18, 6)


def test_what_a_model_keeps_of_a_shape_is_plain_in_copies() -> None:
    size = Size.of(X, 1, book=_Book())
    kept = copy.deepcopy({"seen": torch.Size([2, size]), "half": size // 5 * 2})
    assert kept == {"seen": (2, 5), "half": 2}
    assert type(kept["half"]) is int


class _Book:
    def amount(self, number: Number) -> int:
        return 4


def test_numbers_are_what_they_are_in_shapes_and_what_is_left_in_sums() -> None:
    size = Size.of(X, 1, book=_Book())
    assert X.view(2, size, 3, 4).shape == (2, 5, 3, 4)
    assert (float(size), math.sqrt(size), size**-0.5, 8 / size) == (4.0, 2.0, 0.5, 2.0)
    assert (size // 5, size * 3, 3 * size, size + 1, size**2) == (1, 15, 15, 6, 25)
    assert (type(size // 2), type(size // 5)) == (int, Size)


@pytest.mark.parametrize(("rows", "units"), [([[1, 3], [2, 4]], 2), ([[1, 2], [3, 4]], 2)])
def test_parts_are_paired_as_their_other_ties_say(rows: list[list[int]], units: int) -> None:
    """Channels 0 to 3 are of one tensor, 4 to 7 of the other, tied channel by channel."""
    ties = Ties()
    ties.axis("one", 4)
    ties.axis("other", 4)
    every = torch.arange(1, 5, dtype=torch.int32)
    whole = Equal((every + 4)[:, None], every[:, None], 1, 1)
    part = Equal(torch.tensor(rows, dtype=torch.int32) + 4, every[:, None], 1, 2)
    settle([part, whole], ties)
    assert len(set(ties.labels().tolist())) == units

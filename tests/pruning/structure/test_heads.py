"""Attention that has lost heads: with all of them torch's, without some the same in every mode."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pruning.structure.heads import HeadsAttention
from pruning.structure.network import Network

X = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
OTHER = torch.randn(2, 7, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
PADDED = torch.arange(7) > torch.tensor([[6], [3]])
LATER = torch.ones(5, 5, dtype=torch.bool).triu(1)


def attention(**options: Any) -> nn.MultiheadAttention:
    torch.manual_seed(0)
    made = nn.MultiheadAttention(16, 4, **{"batch_first": True, **options}).double().eval()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.3)
    return made


@pytest.mark.parametrize(
    ("options", "given", "asked"),
    [
        ({}, (X, X, X), {}),
        ({}, (X, X, X), {"attn_mask": LATER, "is_causal": True, "need_weights": False}),
        ({}, (X, OTHER, OTHER), {"key_padding_mask": PADDED}),
        ({}, (X, OTHER, OTHER.flip(1)), {"average_attn_weights": False}),
        ({"bias": False}, (X, X, X), {"attn_mask": torch.randn(8, 5, 5).double()}),
        ({"add_bias_kv": True, "add_zero_attn": True}, (X, OTHER, OTHER), {}),
        ({"add_bias_kv": True}, (X, OTHER, OTHER), {"key_padding_mask": PADDED}),
        ({"kdim": 6, "vdim": 4}, (X, OTHER[..., :6], OTHER[..., 6:10]), {}),
        ({"batch_first": False}, (X, X, X), {}),
        ({}, (X[0], X[0], X[0]), {}),
    ],
)
def test_with_all_heads_it_is_torchs(
    options: dict[str, Any], given: tuple[Tensor, ...], asked: dict[str, Any]
) -> None:
    theirs = attention(**options)
    ours = copy.deepcopy(theirs)
    ours.__class__ = HeadsAttention
    expected, weights = theirs(*given, **asked)
    found, ours_weights = ours(*given, **asked)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    if asked.get("need_weights", True):
        torch.testing.assert_close(ours_weights, weights, rtol=1e-10, atol=1e-12)


class Encoder(nn.Module):
    """Two of torch's encoder layers, which it computes as one operation where it can."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, dropout=0.0)
        self.body, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean(1))  # type: ignore[no-any-return]


def test_an_encoder_layer_that_has_lost_heads_computes_the_same_in_every_mode() -> None:
    torch.manual_seed(0)
    network = Network(Encoder().double(), X)
    group = network.layout.slice_of("body.layers.0.self_attn")
    network.remove([group.start, group.start + 2])
    model = network.model.eval()
    expected = model(X)
    with torch.no_grad():  # here torch has its fused layer
        torch.testing.assert_close(model(X), expected)
    torch.testing.assert_close(model.train()(X), expected)
    torch.testing.assert_close(copy.deepcopy(model)(X), expected)
    program = torch.export.export(model.eval(), (X,))
    torch.testing.assert_close(program.module()(X), expected)


def test_what_it_is_hangs_on_what_is_left_alone() -> None:
    torch.manual_seed(0)
    one, two = Network(Encoder(), X.float()), Network(Encoder(), X.float())
    group = one.layout.slice_of("body.layers.1.self_attn")
    one.remove([group.start])
    one.remove([group.start + 1])
    two.remove([group.start, group.start + 1])
    kinds = [[type(m) for m in n.model.modules()] for n in (one, two)]
    assert kinds[0] == kinds[1]
    assert HeadsAttention in kinds[0]

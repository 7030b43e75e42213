"""Rows of layers: what can be cut, why the rest stays, and that they add up to the network."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from networks import Concat, HardView, Residual, Separable, Tied, cnn
from structure_cases import BIG, SMALL, build
from torch import Tensor, nn
from vit import Vit

from pruning.structure.inspection import Layer, layers, summary
from pruning.structure.network import Network
from pruning.structure.trace import find_units

X = torch.randn(2, 1, 8, 8)


def rows(model: nn.Module, x: Tensor = X) -> dict[str, Layer]:
    network = Network(model, x, units=find_units(model, x))
    return {row.name: row for row in layers(network)}


def why(row: Layer) -> str:
    return "" if row.reason is None else str(row.reason)


@pytest.mark.parametrize("name", [*SMALL, *BIG])
def test_rows_add_up_to_the_network(name: str) -> None:
    model, x = build(name)
    network = Network(model, x, units=find_units(model, x, verify=False))
    for gone in ([], [0, 2]):
        network.remove(gone)
        found, cost = layers(network), network.cost()
        assert sum(row.part.params for row in found) == cost.params
        assert sum(row.part.macs for row in found) == cost.macs
        assert sum(row.units for row in found) == cost.units
        assert len({row.name for row in found}) == len(found)
        assert all(row.reason is None for row in found if row.units > 1)


def test_the_layers_of_a_residual_sum_go_together() -> None:
    found = rows(Residual())
    assert (found["stem.0"].units, found["stem.0"].tied) == (16, "")
    assert (found["a.1"].units, found["a.1"].tied, found["a.1"].reason) == (0, "stem.0", None)
    assert found["stem.1"].tied == "stem.0"
    assert found["b.1"].part.width == found["down"].part.width == 32
    assert {found["b.1"].tied, found["down"].tied} == {"", "b.1"}
    assert why(found["head"]) == "its units are the network's output"


def test_what_grouped_convolutions_tie_into_one_stays() -> None:
    found = rows(Separable())
    assert found["multi.0"].tied == "stem.0"
    assert found["mix.0"].units == 1
    for name in ("mix.0", "group.0", "up"):
        assert "grouped convolutions" in why(found[name])
    assert found["up"].part.width == 6


def test_a_tied_weight_counts_once() -> None:
    found = rows(Tied())
    assert (found["one"].part.params, found["two"].part.params) == (16 * 16 + 16, 16)
    assert found["two"].tied == "stem"
    assert found["two"].part.macs == 2 * found["one"].part.macs


def test_a_parameter_of_the_model_itself_has_a_row() -> None:
    found = rows(Concat())
    assert (found[""].part.params, found[""].tied) == (12, "sum")
    assert found["sum"].units == 12


def test_a_transformer_of_ones_own() -> None:
    found = rows(Vit((1, 8, 8), 10))
    stays = [row.name for row in found.values() if row.reason is not None and row.part.params]
    assert stays == ["head"]
    # c // self.heads and .view(n, t, c): a channel of each head goes with as many of the stream
    assert found["patches"].units == 8
    assert found["blocks.1.attention.qkv"].tied == "patches"
    assert found["blocks.0.attention"].part.macs > 0
    assert why(found["blocks.0.attention"]) == "it computes without weights of its own"


class Reads(nn.Module):
    """Words through an embedding, attention and a recurrent layer, and a weight used by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.look = nn.Embedding(20, 8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.rnn, self.hand = nn.GRU(8, 6, batch_first=True), nn.Linear(6, 6)
        self.hidden, self.head = nn.Linear(6, 5), nn.Linear(5, 4)
        self.shift = nn.Parameter(torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        words = self.words(x)
        found, _ = self.rnn(self.look(words, words, words)[0])
        found = nn.functional.linear(found[:, -1], self.hand.weight)
        return self.head(torch.relu(self.hidden(found))) + self.shift


def test_words_heads_and_states_are_units() -> None:
    found = rows(Reads(), torch.zeros(2, 3, dtype=torch.long))
    free = {name: row.units for name, row in found.items() if row.reason is None}
    assert free == {
        "words": 8,
        "look": 2,
        "look.out_proj": 8,
        "rnn": 6,
        "hand": 6,
        "hidden": 5,
    }


class Running(nn.Module):
    """A sum over all channels before each one."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(64, 8), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stem(x.flatten(1)).cumsum(-1))


class Spectrum(Running):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.fft.fft(self.stem(x.flatten(1))).real)


@pytest.mark.parametrize(
    ("make", "layer", "words"),
    [
        (HardView, "wide.0", "is a shape or width fixed in its code?"),
        (HardView, "wide.0", "return self.fc(x.view(-1, 96))"),
        (Running, "stem", "a cumsum over channels in the code"),
        (Spectrum, "stem", "an operation takes them that is not known: _fft_r2c"),
    ],
)
def test_a_reason_is_in_words(make: Callable[[], nn.Module], layer: str, words: str) -> None:
    assert words in why(rows(make())[layer])


def test_a_summary_is_a_few_lines() -> None:
    network = Network(cnn(), X)
    network.remove([0, 1])
    assert summary(network).splitlines() == [
        "Sequential: 206 of 208 units left, in 5 groups: 0.0, 1.0, 3.0 and 2 more",
        "  stays: 9: its units are the network's output",
    ]

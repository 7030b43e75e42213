"""Networks with a state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.zoo.registry import CLASSES, Built, conv, network, pictures, sequences, words


class Around(nn.Module):
    """Linear layers before and behind a recurrent layer, whose last step is read."""

    def __init__(self, kind: type[nn.RNNBase], inp: int = 8, **options: object) -> None:
        super().__init__()
        self.enter = nn.Linear(inp, 16)
        self.state = kind(16, 12, batch_first=True, **options)  # type: ignore[arg-type]
        width = 24 if options.get("bidirectional") else 12
        self.leave, self.head = nn.Linear(width, 20), nn.Linear(20, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        states = self.state(torch.relu(self.enter(x)))[0]
        return self.head(torch.relu(self.leave(states[:, -1])))


@network
def lstm() -> Built:
    return Around(nn.LSTM), sequences()


@network
def gru() -> Built:
    return Around(nn.GRU), sequences()


@network
def lstm_both_ways() -> Built:
    return Around(nn.LSTM, num_layers=2, bidirectional=True), sequences()


@network
def elman() -> Built:
    return Around(nn.RNN), sequences()


class Columns(nn.Module):
    """Maps read column by column."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 16), conv(16, 12, stride=2))
        self.state = kind(12 * 8, 16, batch_first=True)  # type: ignore[call-arg, arg-type]
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.body(x).permute(0, 3, 1, 2).flatten(2)
        return self.head(self.state(maps)[0][:, -1])


@network
def convolutions_and_lstm() -> Built:
    return Columns(nn.LSTM), pictures()


@network
def convolutions_and_gru() -> Built:
    return Columns(nn.GRU), pictures()


class Cell(nn.Module):
    """A cell in a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.cell = nn.Linear(8, 16), nn.LSTMCell(16, 12)
        self.head = nn.Sequential(nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for step in torch.relu(self.enter(x)).unbind(1):
            state = self.cell(step, state)
        assert state is not None
        return self.head(state[0])


@network
def lstm_cell() -> Built:
    return Cell(), sequences()


class OwnCell(nn.Module):
    """A recurrence of linear layers."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.enter, self.back = nn.Linear(8, width), nn.Linear(width, width, bias=False)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        state = torch.tanh(self.enter(x[:, 0]))
        for step in range(1, x.shape[1]):
            state = torch.tanh(self.enter(x[:, step]) + self.back(state))
        return self.head(state)


@network
def own_recurrence() -> Built:
    return OwnCell(), sequences()


class Tagger(nn.Module):
    """Words, an LSTM, and a tag a word."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.state = nn.Embedding(20, 12), nn.LSTM(12, 12, batch_first=True)
        self.middle, self.head = nn.Linear(12, 24), nn.Linear(24, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.middle(self.state(self.words(x))[0])))


@network
def tagger() -> Built:
    return Tagger(), words()

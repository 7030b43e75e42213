"""Signals, volumes, words and tables."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.zoo.registry import CLASSES, Built, network, words


@network
def signal() -> Built:
    body = (
        nn.Conv1d(2, 16, 5),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(16, 24, 3),
    )
    leave = (nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(24, CLASSES))
    return nn.Sequential(*body, *leave), (torch.randn(2, 2, 24),)


@network
def volume() -> Built:
    body = (nn.Conv3d(1, 8, 3), nn.BatchNorm3d(8), nn.ReLU(), nn.Conv3d(8, 12, 3), nn.ReLU())
    leave = (nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(12, CLASSES))
    return nn.Sequential(*body, *leave), (torch.randn(2, 1, 8, 8, 8),)


class TemporalBlock(nn.Module):
    """A causal convolution, what sticks out behind cut off (TCN)."""

    def __init__(self, inp: int, out: int, dilation: int) -> None:
        super().__init__()
        self.past = 2 * dilation
        self.conv = nn.Conv1d(inp, out, 3, padding=self.past, dilation=dilation)
        self.down = nn.Conv1d(inp, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.down(x) + torch.relu(self.conv(x)[:, :, : -self.past]))


@network
def temporal_convolution() -> Built:
    body = (TemporalBlock(4, 12, 1), TemporalBlock(12, 12, 2))
    return nn.Sequential(*body, nn.Conv1d(12, CLASSES, 1)), (torch.randn(2, 4, 16),)


class WordCnn(nn.Module):
    """Windows of several sizes over words, the largest of each."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 12)
        self.windows = nn.ModuleList([nn.Conv1d(12, 8, k) for k in (2, 3, 4)])
        self.head = nn.Linear(24, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        words = self.words(x).transpose(1, 2)
        return self.head(torch.cat([w(words).relu().amax(2) for w in self.windows], 1))


@network
def words_and_windows() -> Built:
    return WordCnn(), words()


class Table(nn.Module):
    """Categories embedded beside numbers, a wide and a deep part."""

    def __init__(self) -> None:
        super().__init__()
        self.categories = nn.ModuleList([nn.Embedding(5, 4) for _ in range(2)])
        self.deep = nn.Sequential(nn.Linear(14, 24), nn.ReLU(), nn.Linear(24, 16), nn.ReLU())
        self.wide, self.head = nn.Linear(6, CLASSES), nn.Linear(16, CLASSES)

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        known = [layer(categories[:, k]) for k, layer in enumerate(self.categories)]
        return self.wide(numbers) + self.head(self.deep(torch.cat([numbers, *known], 1)))


@network
def table() -> Built:
    return Table(), (torch.randn(4, 6), torch.randint(5, (4, 2)))


class PointNet(nn.Module):
    """The same layers for every point, the largest over all, beside every point again."""

    def __init__(self) -> None:
        super().__init__()
        self.point = nn.Sequential(
            nn.Conv1d(3, 16, 1), nn.BatchNorm1d(16), nn.ReLU(), nn.Conv1d(16, 24, 1)
        )
        self.head = nn.Sequential(nn.Conv1d(48, 20, 1), nn.ReLU(), nn.Conv1d(20, CLASSES, 1))

    def forward(self, x: Tensor) -> Tensor:
        seen = self.point(x)
        whole = seen.amax(2, keepdim=True).expand_as(seen)
        return self.head(torch.cat([seen, whole], 1))


@network
def point_cloud() -> Built:
    return PointNet(), (torch.randn(2, 3, 20),)


class Graph(nn.Module):
    """Every node reads the mean of its neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Linear(6, 16), nn.Linear(16, 16), nn.Linear(16, CLASSES)

    def forward(self, nodes: Tensor, edges: Tensor) -> Tensor:
        near = edges / edges.sum(-1, keepdim=True)
        seen = torch.relu(near @ self.one(nodes))
        return self.head(torch.relu(near @ self.two(seen)))


@network
def graph() -> Built:
    return Graph(), (torch.randn(2, 7, 6), torch.rand(2, 7, 7))

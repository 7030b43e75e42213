"""Channels and places weighed by what the network computes of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.zoo.registry import CLASSES, Built, Residual, between, conv, network, pictures


class SqueezeExcite(nn.Module):
    def __init__(self, width: int, inner: int = 4) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(width, inner, 1), nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.up(torch.relu(self.down(squeezed))))


class LinearExcite(nn.Module):
    """The same with linear layers and views."""

    def __init__(self, width: int, inner: int = 4) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        n, c = x.shape[:2]
        return x * self.fc(functional.adaptive_avg_pool2d(x, 1).view(n, c)).view(n, c, 1, 1)


@network
def squeeze_excite() -> Built:
    return between(SqueezeExcite(16)), pictures()


@network
def squeeze_excite_linear() -> Built:
    return between(Residual(nn.Sequential(conv(16, 16), LinearExcite(16)))), pictures()


class EfficientChannelAttention(nn.Module):
    """A convolution over neighbouring channels: which are neighbours matters."""

    def __init__(self, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.conv(x.mean((2, 3)).unsqueeze(1)).sigmoid()
        return x * weights.transpose(1, 2).unsqueeze(-1)


@network
def efficient_channel_attention() -> Built:
    return between(EfficientChannelAttention()), pictures()


class SpatialAttention(nn.Module):
    """Weighs places by the mean and maximum over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        seen = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return x * torch.sigmoid(self.conv(seen))


@network
def cbam() -> Built:
    return between(SqueezeExcite(16), SpatialAttention()), pictures()


class OneMap(nn.Module):
    """One map for all channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.map = nn.Sequential(conv(width, 4, 1), nn.Conv2d(4, 1, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.map(x)


@network
def one_map_times_many() -> Built:
    return between(OneMap(16)), pictures()


class Selective(nn.Module):
    """Chooses between kernels by a softmax over them (SKNet)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.paths = nn.ModuleList([conv(width, width, k) for k in (3, 5)])
        self.squeeze = nn.Linear(width, 8)
        self.choose = nn.ModuleList([nn.Linear(8, width) for _ in self.paths])

    def forward(self, x: Tensor) -> Tensor:
        maps = torch.stack([path(x) for path in self.paths])
        seen = torch.relu(self.squeeze(maps.sum(0).mean((2, 3))))
        share = torch.stack([layer(seen) for layer in self.choose]).softmax(0)
        return (maps * share[..., None, None]).sum(0)


@network
def selective_kernel() -> Built:
    return between(Selective(16)), pictures()


class GlobalContext(nn.Module):
    """One attention map over all places for all channels (GCNet)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.map = nn.Conv2d(width, 1, 1)
        self.body = nn.Sequential(nn.Conv2d(width, 6, 1), nn.ReLU(), nn.Conv2d(6, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        share = self.map(x).flatten(2).softmax(-1)
        context = (x.flatten(2) @ share.transpose(1, 2)).unsqueeze(-1)
        return x + self.body(context)


@network
def global_context() -> Built:
    return between(GlobalContext(16)), pictures()


class AttentionPooling(nn.Module):
    """A weighted mean over places, in front of the classifier."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score, self.head = nn.Linear(width, 1), nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2).transpose(1, 2)
        return self.head((self.score(x).softmax(1) * x).sum(1))


@network
def attention_pooling() -> Built:
    return nn.Sequential(conv(3, 16), conv(16, 24), AttentionPooling(24)), pictures()


class NonLocal(nn.Module):
    """Attention between places, its scores not scaled by a width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.query, self.key, self.value = (nn.Conv2d(width, half, 1) for _ in range(3))
        self.out = nn.Conv2d(half, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (layer(x).flatten(2) for layer in (self.query, self.key, self.value))
        mixed = v @ (q.transpose(1, 2) @ k).softmax(-1).transpose(1, 2)
        return x + self.out(mixed.unflatten(2, x.shape[2:]))


@network
def non_local() -> Built:
    return between(NonLocal(16)), pictures()


class Coordinate(nn.Module):
    """Attention along each axis by itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.shared = nn.Sequential(nn.Conv2d(width, 8, 1), nn.BatchNorm2d(8), nn.Hardswish())
        self.rows, self.columns = nn.Conv2d(8, width, 1), nn.Conv2d(8, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[2:]
        rows, columns = x.mean(3, keepdim=True), x.mean(2, keepdim=True).transpose(2, 3)
        seen = self.shared(torch.cat([rows, columns], 2))
        rows, columns = seen.split([h, w], 2)
        return x * self.rows(rows).sigmoid() * self.columns(columns.transpose(2, 3)).sigmoid()


@network
def coordinate_attention() -> Built:
    return between(Coordinate(16)), pictures()

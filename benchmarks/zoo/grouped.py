"""Grouped and depthwise convolutions, and shuffles between them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.zoo.registry import Built, between, conv, network, pictures


@network
def depthwise() -> Built:
    return between(conv(16, 16, groups=16), conv(16, 24, 1), out=24), pictures()


@network
def depthwise_multiplied() -> Built:
    return between(conv(16, 32, groups=16), out=32), pictures()


@network
def grouped() -> Built:
    return between(conv(16, 24, groups=4), conv(24, 24, groups=4), out=24), pictures()


@network
def cardinal() -> Built:
    """ResNeXt's block."""
    return between(conv(16, 32, 1), conv(32, 32, groups=8), conv(32, 16, 1)), pictures()


class Shuffle(nn.Module):
    """Deals the channels of every group out to all groups."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return x.view(n, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)


@network
def shuffled_groups() -> Built:
    return between(conv(16, 16, groups=2), Shuffle(2), conv(16, 16, groups=2)), pictures()


@network
def library_shuffle() -> Built:
    return between(conv(16, 16, groups=4), nn.ChannelShuffle(4)), pictures()


class ShuffleUnit(nn.Module):
    """ShuffleNet's second version: half goes past, then both are shuffled."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.body = nn.Sequential(
            conv(half, half, 1), conv(half, half, groups=half), conv(half, half, 1)
        )
        self.shuffle = Shuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        past, into = x.chunk(2, 1)
        return self.shuffle(torch.cat([past, self.body(into)], 1))


@network
def shuffle_unit() -> Built:
    return between(ShuffleUnit(16), ShuffleUnit(16)), pictures()


class Ghost(nn.Module):
    """Cheap copies of the maps beside them."""

    def __init__(self, inp: int, out: int) -> None:
        super().__init__()
        self.primary = conv(inp, out // 2, 1)
        self.cheap = conv(out // 2, out // 2, groups=out // 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.primary(x)
        return torch.cat([x, self.cheap(x)], 1)


@network
def ghost() -> Built:
    return between(Ghost(16, 24), out=24), pictures()


class PartialConvolution(nn.Module):
    """Only the first quarter of the channels is convolved (FasterNet)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width // 4
        self.conv = nn.Conv2d(self.width, self.width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        first, rest = x.split([self.width, x.size(1) - self.width], 1)
        return torch.cat([self.conv(first), rest], 1)


@network
def partial_convolution() -> Built:
    return between(PartialConvolution(16)), pictures()


class Mixed(nn.Module):
    """Depthwise convolutions of several sizes, a part of the channels each (MixNet)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [conv(width // 2, width // 2, k, groups=width // 2) for k in (3, 5)]
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(
            [layer(part) for layer, part in zip(self.layers, x.chunk(2, 1), strict=True)], 1
        )


@network
def mixed_depthwise() -> Built:
    return between(conv(16, 16, 1), Mixed(16), conv(16, 16, 1)), pictures()

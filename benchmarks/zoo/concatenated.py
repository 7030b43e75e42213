"""Maps put side by side, and dealt out again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmarks.zoo.registry import Built, between, conv, head, network, pictures


class DenseBlock(nn.Module):
    """Every layer reads all before it."""

    def __init__(self, inp: int, growth: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([conv(inp + k * growth, growth) for k in range(depth)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return x


@network
def dense_block() -> Built:
    return nn.Sequential(conv(3, 12), DenseBlock(12, 8, 3), conv(36, 20, 1), head(20)), pictures()


class Inception(nn.Module):
    """Paths side by side."""

    def __init__(self, paths: Sequence[nn.Module]) -> None:
        super().__init__()
        self.paths = nn.ModuleList(paths)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([path(x) for path in self.paths], 1)


@network
def inception() -> Built:
    pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(16, 6, 1))
    paths = (conv(16, 8, 1), nn.Sequential(conv(16, 6, 1), conv(6, 12)), pool)
    return between(Inception(paths), out=26), pictures()


@network
def concatenated_relu() -> Built:
    """Both signs of every map (CReLU)."""
    return between(Inception([nn.ReLU(), Negative()]), out=32), pictures()


class Negative(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(-x)


class Parts(nn.Module):
    """Splits its channels at given widths; each part goes through a layer of its own."""

    def __init__(self, widths: Sequence[int], keep_first: bool = False) -> None:
        super().__init__()
        self.widths = list(widths)
        self.layers = nn.ModuleList([conv(width, width) for width in widths])
        if keep_first:
            self.layers[0] = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        parts = x.split(self.widths, 1)
        return torch.cat([layer(part) for layer, part in zip(self.layers, parts, strict=True)], 1)


@network
def equal_split() -> Built:
    return between(Parts([8, 8])), pictures()


@network
def unequal_split() -> Built:
    return between(Parts([4, 12], keep_first=True)), pictures()


class Chunked(nn.Module):
    """C2f of YOLOv8: half goes past, every block adds its output."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = conv(width, width, 1)
        self.blocks = nn.ModuleList([conv(width // 2, width // 2) for _ in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.inner(x).chunk(2, 1))
        for block in self.blocks:
            parts.append(block(parts[-1]))
        return torch.cat(parts, 1)


@network
def c2f() -> Built:
    return between(Chunked(16), out=32), pictures()


class Res2(nn.Module):
    """A hierarchy of sums within one layer (Res2Net)."""

    def __init__(self, width: int, scales: int) -> None:
        super().__init__()
        part = width // scales
        self.inner, self.scales = conv(width, width, 1), scales
        self.layers = nn.ModuleList([conv(part, part) for _ in range(scales - 1)])
        self.outer = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        first, *rest = self.inner(x).chunk(self.scales, 1)
        parts, last = [first], None
        for layer, part in zip(self.layers, rest, strict=True):
            last = layer(part if last is None else part + last)
            parts.append(last)
        return x + self.outer(torch.cat(parts, 1))


@network
def res2net() -> Built:
    return between(Res2(16, 4)), pictures()


class CrossStage(nn.Module):
    """Two layers read the input, one of them through a block (CSP)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.past, self.into = conv(width, width // 2, 1), conv(width, width // 2, 1)
        self.block = nn.Sequential(conv(width // 2, width // 2), conv(width // 2, width // 2))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.past(x), self.block(self.into(x))], 1)


@network
def cross_stage() -> Built:
    return between(CrossStage(16)), pictures()


class Focus(nn.Module):
    """Every second pixel becomes a channel (YOLOv5)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x[..., a::2, b::2] for a in (0, 1) for b in (0, 1)], 1)


@network
def focus() -> Built:
    return between(Focus(), out=64), pictures()


class SpatialPyramid(nn.Module):
    """Pools again and again, and keeps all (SPPF)."""

    def forward(self, x: Tensor) -> Tensor:
        parts = [x]
        for _ in range(2):
            parts.append(nn.functional.max_pool2d(parts[-1], 3, 1, 1))
        return torch.cat(parts, 1)


@network
def spatial_pyramid() -> Built:
    return between(SpatialPyramid(), out=48), pictures()

"""Tensors turned, folded, contracted."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.zoo.registry import (
    CLASSES,
    Apply,
    Built,
    between,
    conv,
    head,
    network,
    pictures,
    vectors,
)


class Einsum(nn.Module):
    """A linear layer over channels, as an einsum."""

    def __init__(self, inp: int, out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out, inp) / inp**0.5)

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("nchw,dc->ndhw", x, self.weight)


@network
def einsum() -> Built:
    return between(Einsum(16, 24), nn.ReLU(), out=24), pictures()


class MatrixProduct(nn.Module):
    """The same as a product with a linear layer's weight."""

    def __init__(self, inp: int, out: int) -> None:
        super().__init__()
        self.layer = nn.Linear(inp, out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2).transpose(1, 2) @ self.layer.weight.t()
        return flat.transpose(1, 2).unflatten(2, x.shape[2:])


@network
def matrix_product() -> Built:
    return between(MatrixProduct(16, 24), nn.ReLU(), out=24), pictures()


class Unfolded(nn.Module):
    """A convolution by hand: windows, then a linear layer."""

    def __init__(self, inp: int, out: int) -> None:
        super().__init__()
        self.layer = nn.Linear(inp * 9, out)

    def forward(self, x: Tensor) -> Tensor:
        windows = functional.unfold(x, 3, padding=1).transpose(1, 2)
        return self.layer(windows).transpose(1, 2).unflatten(2, x.shape[2:])


@network
def unfold() -> Built:
    return between(Unfolded(16, 24), nn.ReLU(), out=24), pictures()


class Windows(nn.Module):
    """A module on windows of the picture (Swin)."""

    def __init__(self, body: nn.Module, size: int = 4) -> None:
        super().__init__()
        self.body, self.size = body, size

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        s = self.size
        cut = x.view(n, c, h // s, s, w // s, s).permute(0, 2, 4, 3, 5, 1).reshape(-1, s * s, c)
        done = self.body(cut).view(n, h // s, w // s, s, s, -1)
        return done.permute(0, 5, 1, 3, 2, 4).reshape(n, -1, h, w)


@network
def windows() -> Built:
    return between(
        Windows(nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16)))
    ), pictures()


@network
def bilinear() -> Built:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(12, 10), nn.Linear(12, 8)
            self.both, self.head = nn.Bilinear(10, 8, 16), nn.Linear(16, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.relu(self.both(self.one(x), self.two(x))))

    return Pair(), vectors()


class Outer(nn.Module):
    """Every channel times every other (bilinear pooling)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.head = nn.Linear(width * width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        return self.head((flat @ flat.transpose(1, 2) / flat.shape[2]).flatten(1))


@network
def outer_product() -> Built:
    return nn.Sequential(conv(3, 16), conv(16, 8), Outer(8)), pictures()


@network
def flipped() -> Built:
    return between(Apply(lambda x: torch.cat([x, x.flip(1)], 1)), out=32), pictures()


@network
def rolled() -> Built:
    """Channels moved on by one."""
    return between(Apply(lambda x: torch.roll(x, 1, 1) + x)), pictures()


@network
def summed_up() -> Built:
    """Every channel the sum of those before it."""
    return between(Apply(lambda x: x.cumsum(1) / 4)), pictures()


class Shift(nn.Module):
    """Fifths of the channels moved in four directions."""

    def forward(self, x: Tensor) -> Tensor:
        parts = x.chunk(5, 1)
        moves = ((1, 2), (-1, 2), (1, 3), (-1, 3))
        moved = [p.roll(by, dim) for p, (by, dim) in zip(parts, moves, strict=False)]
        return torch.cat([*moved, parts[4]], 1)


@network
def shifted() -> Built:
    return between(Shift(), inp=20, out=20), pictures()


@network
def repeated() -> Built:
    return between(Apply(lambda x: x.repeat(1, 2, 1, 1)), out=32), pictures()


@network
def interleaved() -> Built:
    return between(Apply(lambda x: x.repeat_interleave(2, 1)), out=32), pictures()


class Capsules(nn.Module):
    """Channels as vectors, squashed to a length below one."""

    def __init__(self, count: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.turn = nn.Parameter(torch.randn(count, size, size) / size**0.5)

    def forward(self, x: Tensor) -> Tensor:
        caps = x.mean((2, 3)).unflatten(1, (-1, self.size))
        square = caps.square().sum(-1, keepdim=True)
        caps = caps * square.sqrt() / (1 + square)
        return torch.einsum("nks,kst->nkt", caps, self.turn).flatten(1)


@network
def capsules() -> Built:
    return nn.Sequential(
        conv(3, 12), conv(12, 16), Capsules(4, 4), nn.Linear(16, CLASSES)
    ), pictures()


class Fourier(nn.Module):
    """Frequencies weighed, a weight a channel (GFNet)."""

    def __init__(self, width: int, pixels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, pixels, pixels // 2 + 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.irfft2(torch.fft.rfft2(x) * self.weight, s=x.shape[2:])


@network
def fourier() -> Built:
    return between(Fourier(16, 16)), pictures()


@network
def blurred() -> Built:
    """A fixed filter a channel before every stride (BlurPool)."""

    class Blur(nn.Module):
        filter: Tensor

        def __init__(self, width: int) -> None:
            super().__init__()
            line = torch.tensor([1.0, 2.0, 1.0]) / 4
            self.register_buffer("filter", (line[:, None] * line).repeat(width, 1, 1, 1))

        def forward(self, x: Tensor) -> Tensor:
            return functional.conv2d(x, self.filter, stride=2, padding=1, groups=x.shape[1])

    return between(Blur(16)), pictures()


@network
def swapped_axes() -> Built:
    """Channels last for a while."""
    body = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
    turned = nn.Sequential(
        Apply(lambda x: x.permute(0, 2, 3, 1)), body, Apply(lambda x: x.movedim(-1, 1))
    )
    return nn.Sequential(conv(3, 16), turned, head(16)), pictures()

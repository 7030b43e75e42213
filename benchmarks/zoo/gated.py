"""One part of a layer's output gates the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.zoo.registry import CLASSES, Apply, Built, between, conv, network, pictures, vectors


def wrapped(middle: nn.Module, inp: int, out: int) -> nn.Sequential:
    """A module between linear layers."""
    return nn.Sequential(
        nn.Linear(12, inp), middle, nn.Linear(out, 16), nn.ReLU(), nn.Linear(16, CLASSES)
    )


@network
def glu() -> Built:
    return wrapped(nn.GLU(), 48, 24), vectors()


@network
def glu_of_maps() -> Built:
    return between(nn.Conv2d(16, 48, 1), nn.GLU(1), out=24), pictures()


class SwiGLU(nn.Module):
    """Gate and value of layers of their own (LLaMA)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate, self.up = (
            nn.Linear(width, inner, bias=False),
            nn.Linear(width, inner, bias=False),
        )
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(functional.silu(self.gate(x)) * self.up(x))


@network
def swiglu() -> Built:
    return wrapped(SwiGLU(16, 24), 16, 16), vectors()


class FusedSwiGLU(nn.Module):
    """Gate and value of one layer."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.both, self.down = nn.Linear(width, 2 * inner), nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.both(x).chunk(2, -1)
        return self.down(functional.silu(gate) * value)


@network
def swiglu_fused() -> Built:
    return wrapped(FusedSwiGLU(16, 24), 16, 16), vectors()


class SimpleGate(nn.Module):
    """The product of both halves (NAFNet)."""

    def forward(self, x: Tensor) -> Tensor:
        one, other = x.chunk(2, 1)
        return one * other


@network
def simple_gate() -> Built:
    return between(nn.Conv2d(16, 32, 1), SimpleGate()), pictures()


class GatedConvolution(nn.Module):
    """Three parts of unequal sizes of one layer: a gate, what goes past, what is convolved."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.widths = (width, width // 4, width - width // 4)
        self.inner = nn.Conv2d(width, 2 * width, 1)
        self.conv = nn.Conv2d(self.widths[2], self.widths[2], 3, padding=1, groups=self.widths[2])
        self.outer = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate, past, rest = self.inner(x).split(self.widths, 1)
        return x + self.outer(torch.relu(gate) * torch.cat([past, self.conv(rest)], 1))


@network
def gated_convolution() -> Built:
    return between(GatedConvolution(16)), pictures()


class Maxout(nn.Module):
    """The largest of two pieces a unit; neighbours belong together."""

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (-1, 2)).amax(2)


@network
def maxout() -> Built:
    return wrapped(Maxout(), 32, 16), vectors()


@network
def maxout_of_halves() -> Built:
    return between(nn.Conv2d(16, 32, 1), Apply(lambda x: torch.maximum(*x.chunk(2, 1)))), pictures()


class Star(nn.Module):
    """The product of two layers of the same input (StarNet)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(width, 24, 1), nn.Conv2d(width, 24, 1)
        self.out = conv(24, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(functional.relu6(self.one(x)) * self.two(x))


@network
def star() -> Built:
    return between(Star(16)), pictures()


class WaveNet(nn.Module):
    """Tanh of one half times sigmoid of the other, and what is skipped to the end."""

    def __init__(self, width: int = 12, layers: int = 3) -> None:
        super().__init__()
        self.start = nn.Conv1d(4, width, 1)
        self.gated = nn.ModuleList(
            [nn.Conv1d(width, 2 * width, 2, dilation=2**k, padding=2**k) for k in range(layers)]
        )
        self.skip = nn.ModuleList([nn.Conv1d(width, 16, 1) for _ in range(layers)])
        self.back = nn.ModuleList([nn.Conv1d(width, width, 1) for _ in range(layers)])
        self.head = nn.Conv1d(16, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        x, steps, total = self.start(x), x.shape[-1], torch.zeros(())
        for gated, skip, back in zip(self.gated, self.skip, self.back, strict=True):
            one, other = gated(x)[..., :steps].chunk(2, 1)
            mixed = torch.tanh(one) * torch.sigmoid(other)
            total, x = total + skip(mixed), x + back(mixed)
        return self.head(torch.relu(total))


@network
def wavenet() -> Built:
    return WaveNet(), (torch.randn(2, 4, 12),)

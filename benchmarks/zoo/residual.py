"""Sums of several paths."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.zoo.registry import Built, Residual, conv, head, network, pictures


def block(width: int) -> nn.Sequential:
    return nn.Sequential(conv(width, width), nn.Conv2d(width, width, 3, padding=1))


@network
def residual_identity() -> Built:
    return nn.Sequential(
        conv(3, 16), Residual(block(16)), nn.ReLU(), Residual(block(16)), head(16)
    ), pictures()


@network
def residual_projection() -> Built:
    body = nn.Sequential(conv(16, 24, stride=2), nn.Conv2d(24, 32, 3, padding=1))
    down = Residual(body, nn.Conv2d(16, 32, 1, 2))
    return nn.Sequential(conv(3, 16), down, nn.ReLU(), Residual(block(32)), head(32)), pictures()


@network
def bottleneck() -> Built:
    body = nn.Sequential(conv(32, 8, 1), conv(8, 8), nn.Conv2d(8, 32, 1))
    return nn.Sequential(conv(3, 32), Residual(body), nn.ReLU(), head(32)), pictures()


class ZeroPadded(nn.Module):
    """The shortcut of a ResNet's option A."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 8, 8))


@network
def zero_padded_shortcut() -> Built:
    body = nn.Sequential(conv(16, 24, stride=2), nn.Conv2d(24, 32, 3, padding=1))
    return nn.Sequential(conv(3, 16), Residual(body, ZeroPadded()), nn.ReLU(), head(32)), pictures()


class StochasticDepth(nn.Module):
    """Leaves its block out of some training steps."""

    def __init__(self, body: nn.Module, rate: float = 0.3) -> None:
        super().__init__()
        self.body, self.rate = body, rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x + self.body(x)
        kept = (torch.rand(len(x), 1, 1, 1) > self.rate).to(x.dtype)
        return x + kept / (1 - self.rate) * self.body(x)


@network
def stochastic_depth() -> Built:
    return nn.Sequential(
        conv(3, 16), *(StochasticDepth(block(16)) for _ in range(2)), head(16)
    ), pictures()


class Highway(nn.Module):
    """A gate says how much of the input passes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body, self.gate = conv(width, width), nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.gate(x))
        return gate * self.body(x) + (1 - gate) * x


@network
def highway() -> Built:
    return nn.Sequential(conv(3, 16), Highway(16), Highway(16), conv(16, 24), head(24)), pictures()


@network
def inverted_residual() -> Built:
    body = (conv(16, 48, 1), conv(48, 48, groups=48), nn.Conv2d(48, 16, 1), nn.BatchNorm2d(16))
    return nn.Sequential(conv(3, 16), Residual(nn.Sequential(*body)), head(16)), pictures()


class Reparametrized(nn.Module):
    """Three paths that are one convolution after training (RepVGG)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.wide = nn.Conv2d(width, width, 3, padding=1)
        self.point, self.norm = nn.Conv2d(width, width, 1), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.wide(x) + self.point(x) + self.norm(x))


@network
def reparametrized() -> Built:
    return nn.Sequential(conv(3, 16), Reparametrized(16), Reparametrized(16), head(16)), pictures()


class Weighted(nn.Module):
    """Paths are summed with learned weights (a differentiable search of architectures)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.paths = nn.ModuleList([conv(width, width, k) for k in (1, 3, 5)])
        self.alpha = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        share = self.alpha.softmax(0)
        return sum((share[k] * path(x) for k, path in enumerate(self.paths)), torch.zeros(()))


@network
def weighted_paths() -> Built:
    return nn.Sequential(conv(3, 16), Weighted(16), conv(16, 24), head(24)), pictures()

"""Weights that are used twice, made by other weights, or chosen among."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.zoo.registry import CLASSES, Built, between, conv, head, network, pictures, vectors


class Siamese(nn.Module):
    """One body for two pictures, and how far they are from one another."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 16), conv(16, 24), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.embed, self.head = nn.Linear(24, 12), nn.Linear(12, 1)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        apart = self.embed(self.body(one)) - self.embed(self.body(other))
        return self.head(apart.abs())


@network
def siamese() -> Built:
    return Siamese(), (*pictures(), *pictures())


class Batches(nn.Module):
    """Two layers' results one below the other, as contrastive losses have them."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.head = nn.Linear(12, 16), nn.Linear(12, 16), nn.Linear(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.cat([self.one(x), self.other(x)]).relu())


@network
def batches_joined() -> Built:
    return Batches(), vectors()


class Universal(nn.Module):
    """One block run three times."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.block = conv(3, 16), nn.Sequential(conv(16, 24), conv(24, 16))
        self.head = head(16)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        for _ in range(3):
            x = x + self.block(x)
        return self.head(x)


@network
def run_three_times() -> Built:
    return Universal(), pictures()


@network
def one_weight_two_layers() -> Built:
    one, two = nn.Linear(16, 16), nn.Linear(16, 16)
    two.weight = one.weight
    ends = (nn.Linear(16, 20), nn.ReLU(), nn.Linear(20, CLASSES))
    return nn.Sequential(
        nn.Linear(12, 16), nn.ReLU(), one, nn.ReLU(), two, nn.ReLU(), *ends
    ), vectors()


class TiedAutoencoder(nn.Module):
    """The decoder is the encoder's weight, transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(16, 12) / 4)
        self.middle = nn.Sequential(nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 16))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.middle(torch.relu(functional.linear(x, self.weight)))
        return functional.linear(hidden, self.weight.t())


@network
def tied_autoencoder() -> Built:
    return TiedAutoencoder(), vectors()


class Experts(nn.Module):
    """A dense gate over experts, all of which run."""

    def __init__(self, count: int = 3) -> None:
        super().__init__()
        self.enter, self.gate = nn.Linear(12, 16), nn.Linear(16, count)
        self.experts = nn.ModuleList(
            [nn.Sequential(nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 16)) for _ in range(count)]
        )
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.enter(x))
        share = self.gate(x).softmax(-1)
        mixed = torch.stack([expert(x) for expert in self.experts], 1)
        return self.head((share.unsqueeze(-1) * mixed).sum(1))


@network
def mixture_of_experts() -> Built:
    return Experts(), vectors()


class Hyper(nn.Module):
    """A layer whose weights another network makes."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.maker = nn.Linear(12, 16), nn.Linear(4, 20 * 16)
        self.code, self.head = nn.Parameter(torch.randn(4)), nn.Linear(20, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.maker(self.code).view(20, 16)
        return self.head(torch.relu(functional.linear(torch.relu(self.enter(x)), weight)))


@network
def hypernetwork() -> Built:
    return nn.Sequential(nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, 12), Hyper()), vectors()


class Dynamic(nn.Module):
    """A convolution mixed of several by the picture (CondConv)."""

    def __init__(self, width: int, count: int = 3) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.randn(count, width, width, 3, 3) / 12)
        self.route = nn.Linear(width, count)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        share = self.route(x.mean((2, 3))).softmax(-1)
        weight = (share @ self.weights.flatten(1)).view(n * c, c, 3, 3)
        return functional.conv2d(x.reshape(1, n * c, h, w), weight, padding=1, groups=n).view(
            n, c, h, w
        )


@network
def dynamic_convolution() -> Built:
    return between(conv(16, 16), Dynamic(16)), pictures()


class Modulated(nn.Module):
    """Scale and shift of every channel come from a condition (FiLM)."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.film, self.leave = (
            conv(3, 16),
            nn.Linear(5, 32),
            nn.Sequential(conv(16, 20), head(20)),
        )

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.film(condition)[..., None, None].chunk(2, 1)
        return self.leave(torch.relu(scale * self.body(x) + shift))


@network
def modulated() -> Built:
    return Modulated(), (*pictures(), torch.randn(2, 5))


class WeightStandardized(nn.Conv2d):
    """Weights of mean 0 and variance 1, a filter each."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        weight = weight / (weight.flatten(1).std(1)[:, None, None, None] + 1e-5)
        return functional.conv2d(x, weight, self.bias, padding=1)


@network
def weight_standardized() -> Built:
    return between(WeightStandardized(16, 24, 3), nn.BatchNorm2d(24), nn.ReLU(), out=24), pictures()

"""The list of the zoo, and what its networks are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

CLASSES = 10

Built = tuple[nn.Module, tuple[Any, ...]]
"""A network and the arguments of its forward."""


@dataclass(frozen=True)
class Network:
    """refused: a pattern of the true reason why none of its units can go; "" if some can."""

    family: str
    build: Callable[[], Built]
    refused: str = ""


NETWORKS: dict[str, Network] = {}
"""By the name of the function that builds it."""


def network(build: Callable[[], Built] | None = None, *, refused: str = "") -> Callable[..., Any]:
    """Add a function that builds a network to the zoo; see ``Network``."""

    def add(function: Callable[[], Built]) -> Callable[[], Built]:
        family = function.__module__.rpartition(".")[2]
        if function.__name__ in NETWORKS:
            raise ValueError(f"two networks are called {function.__name__}")
        NETWORKS[function.__name__] = Network(family, function, refused)
        return function

    return add if build is None else add(build)


def pictures(channels: int = 3, pixels: int = 16) -> tuple[Tensor]:
    """Two of them."""
    return (torch.randn(2, channels, pixels, pixels),)


def vectors(width: int = 12) -> tuple[Tensor]:
    """Four of them."""
    return (torch.randn(4, width),)


def sequences(width: int = 8, steps: int = 6) -> tuple[Tensor]:
    """Two of them, [batch, steps, width]."""
    return (torch.randn(2, steps, width),)


def words(vocabulary: int = 20, steps: int = 6) -> tuple[Tensor]:
    """Two sentences, as numbers."""
    return (torch.randint(vocabulary, (2, steps)),)


def conv(inp: int, out: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    layer = nn.Conv2d(inp, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(out), nn.ReLU())


def head(width: int) -> nn.Sequential:
    """The mean over positions, and a linear layer."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, CLASSES))


def between(*middle: nn.Module, inp: int = 16, out: int = 16) -> nn.Sequential:
    """Modules between two convolutions in front and one behind."""
    return nn.Sequential(conv(3, 12), conv(12, inp), *middle, conv(out, 20), head(20))


class Residual(nn.Module):
    """A module and the shortcut around it."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.body(x)


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)

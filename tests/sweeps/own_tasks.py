"""Tasks beyond classes, as a user would bring them: data, networks, losses and metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_diabetes, load_digits
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.utils.data import TensorDataset


def diabetes() -> dict[str, Any]:
    """Ten features; how far the disease went in a year, in standard deviations."""
    found = load_diabetes()
    y = (found.target - found.target.mean()) / found.target.std()
    return {"x": found.data.astype(np.float32), "y": y}


def two_columns() -> dict[str, Any]:
    found = diabetes()
    return {"x": found["x"], "y": np.stack([found["y"], found["x"][:, 2]], 1)}


def labels() -> dict[str, Any]:
    """Digits, and of each whether it is even, above four, and round (0, 6, 8, 9)."""
    found = load_digits()
    told = [found.target % 2 == 0, found.target > 4, np.isin(found.target, [0, 6, 8, 9])]
    return {"x": found.images[:600] / 16.0, "y": np.stack(told, 1)[:600]}


def two_kinds() -> dict[str, Any]:
    """A single label: even or not."""
    found = labels()
    return {"x": found["x"], "y": found["y"][:, 0]}


def pixels(unlabelled: int = 0) -> dict[str, Any]:
    """Digits with noise; of each pixel whether it is dark, grey or bright without it."""
    images = load_digits().images[:400] / 16.0
    masks = np.digitize(images, [0.3, 0.7])
    if unlabelled:
        masks[:, 0] = unlabelled
    noise = np.random.default_rng(0).normal(0, 0.1, images.shape)
    return {"x": images + noise, "y": masks}


def series() -> tuple[TensorDataset, TensorDataset, TensorDataset]:
    """Waves of three frequencies [1, 32] with noise."""
    draw = torch.Generator().manual_seed(0)
    y = torch.arange(360) // 3 % 3
    time = torch.arange(32) / 32 * 2 * torch.pi
    x = torch.sin((1 + y)[:, None] * time + torch.rand(360, 1, generator=draw) * 6)
    x = (x + 0.1 * torch.randn(x.shape, generator=draw))[:, None]
    return tuple(TensorDataset(x[i::3], y[i::3]) for i in range(3))  # type: ignore[return-value]


class UNet(nn.Module):
    """Two levels, with the skip joined on by its channels."""

    def __init__(self, channels: int, classes: int, width: int = 8) -> None:
        super().__init__()
        self.down = _twice(channels, width)
        self.bottom = _twice(width, 2 * width)
        self.up = _twice(3 * width, width)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.down(x)
        low = self.bottom(nn.functional.max_pool2d(skip, 2))
        joined = torch.cat([skip, interpolate(low, scale_factor=2)], 1)
        out: Tensor = self.head(self.up(joined))
        return out


def _twice(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, padding=1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
        nn.Conv2d(out, out, 3, padding=1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    )


def unet(shape: tuple[int, ...], classes: int) -> nn.Module:
    return UNet(shape[0], classes)


class Named(nn.Module):
    """A network whose output has names, and an auxiliary head that reads the first layer."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(features, 24), nn.Linear(24, 16)
        self.head, self.aux = nn.Linear(16, outputs), nn.Linear(24, outputs)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        first = torch.relu(self.first(x))
        second = torch.relu(self.second(first))
        return {"aux": self.aux(first), "logits": self.head(second)}


def named(shape: tuple[int, ...], classes: int) -> nn.Module:
    return Named(shape[0], classes)


def conv1d(shape: tuple[int, ...], classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(shape[0], 8, 5, padding=2),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Conv1d(8, 12, 5, padding=2),
        nn.BatchNorm1d(12),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(12, classes),
    )


def with_aux(output: dict[str, Tensor], target: Tensor, weight: float = 0.3) -> Tensor:
    """The loss of both heads."""
    main, aux = (nn.functional.mse_loss(output[name], target) for name in ("logits", "aux"))
    return main + weight * aux


def worst_column(output: Tensor, target: Tensor) -> Tensor:
    """The largest mean absolute error of a column: no mean over samples."""
    return (output - target).abs().mean(0).max()


class Dice:
    """Of the class that is given, over a whole split."""

    def __init__(self, label: int = 2) -> None:
        self.label, self.both, self.all = label, 0, 0

    def update(self, output: Tensor, target: Tensor) -> None:
        found, there = output.argmax(1) == self.label, target == self.label
        self.both += int((found & there).sum())
        self.all += int(found.sum() + there.sum())

    def compute(self) -> float:
        return 2 * self.both / max(self.all, 1)


# What will not do


def no_scalar(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).square()


def no_gradient(output: Tensor, target: Tensor) -> Tensor:
    return (output.detach() - target).square().mean()


def not_finite(output: Tensor, target: Tensor) -> Tensor:
    return output.sum() * float("inf")


def no_tensor(output: Tensor, target: Tensor) -> float:
    return 1.0


def raises(output: Tensor, target: Tensor) -> Tensor:
    raise RuntimeError("the shapes\ndo not fit")


def too_many(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).abs().mean(0)

"""Small real tasks, networks and data sets that the tests of pruning share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from pruning.training.loop import Training
from pruning.training.task import Task

SGD = {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
ADAMW = {"name": "adamw", "lr": 0.01, "weight_decay": 0.05}


def digits_task(**changes: Any) -> Task:
    """A small CNN with dropout on 200 digits with crops and flips; 4 epochs of 6 steps."""
    return Task.parse(
        {
            "model": {
                "name": "small_cnn",
                "options": {
                    "widths": [8, 8, 16],
                    "pool_after": [0, 1],
                    "hidden": [32],
                    "dropout": 0.3,
                },
            },
            "data": {"source": "digits", "train_limit": 200},
            "epochs": 4,
            "batch_size": 32,
            "optimizer": SGD,
            "augment": {"crop": 1, "flip": True},
            "label_smoothing": 0.1,
        }
        | changes
    )


def state_of(training: Training) -> dict[str, Tensor]:
    """Weights, buffers and the optimizer's state, by name, copied."""
    state = {f"model.{name}": value for name, value in training.model.state_dict().items()}
    for name, parameter in training.model.named_parameters():
        for optimizer in training.optimizers:
            for key, value in optimizer.state.get(parameter, {}).items():
                state[f"{key}.{name}"] = value
    state = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    return {name: value.detach().cpu().clone() for name, value in state.items()}


def assert_same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    different = [name for name in one if not torch.equal(one[name], other[name])]
    assert not different


def dropout_cnn(shape: tuple[int, ...], classes: int, dropout: float = 0.3) -> nn.Module:
    """A batch norm after every prunable layer, and dropout: every saliency can measure it."""
    return nn.Sequential(
        nn.Conv2d(shape[0], 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 3, padding=1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(12, classes),
    )


class Noisy(Dataset[Any]):
    """Pictures of two kinds, with noise drawn from torch's global state at every look."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        label = index % 2
        return torch.full((1, 6, 6), float(label)) + torch.randn(1, 6, 6), label


def three_sets(count: int = 60) -> tuple[Noisy, Noisy, Noisy]:
    return Noisy(count), Noisy(20), Noisy(20)


def without_validation() -> tuple[Noisy, None, Noisy]:
    return Noisy(20), None, Noisy(20)


def mapping() -> dict[str, Tensor]:
    """Colour pictures with the channels last, and a part of each kind."""
    pictures = torch.arange(10 * 4 * 4 * 3, dtype=torch.uint8).reshape(10, 4, 4, 3)
    labels = torch.arange(10) % 2
    return {
        "x_train": pictures,
        "y_train": labels,
        "x_val": pictures[:4],
        "y_val": labels[:4],
        "x_test": pictures[4:],
        "y_test": labels[4:],
    }


def broken() -> None:
    raise KeyError("the disk is full")


def smooth_cnn(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Its gradients have no jumps, as at the zero of ReLU: rounding stays small in its training."""
    return nn.Sequential(
        nn.Conv2d(shape[0], 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(8, 12, 3, padding=1, bias=False),
        nn.BatchNorm2d(12),
        nn.Tanh(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 16),
        nn.Tanh(),
        nn.Linear(16, classes),
    )


def smooth_mlp(shape: tuple[int, ...], classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 16), nn.Tanh(), nn.Linear(16, classes))


class WithSpare(nn.Module):
    """Has a layer that is never used, and never gets a gradient."""

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.body = smooth_cnn(shape, classes)
        self.spare = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return out


def leaders_only(shape: tuple[int, ...], classes: int) -> nn.Module:
    """A model that the leader of a team can make and the others cannot."""
    if Path(sys.argv[0]).name == "follower.py":
        raise ValueError("no such file here")
    return dropout_cnn(shape, classes)


def colours(count: int = 24) -> dict[str, Tensor]:
    """Colour pictures that torchvision's networks take."""
    draw = torch.Generator().manual_seed(0)
    pictures = torch.randint(256, (count, 32, 32, 3), dtype=torch.uint8, generator=draw)
    return {"x_train": pictures, "y_train": torch.arange(count) % 2}


def frozen_cnn(shape: tuple[int, ...], classes: int) -> nn.Module:
    return dropout_cnn(shape, classes).requires_grad_(False)


def largest_error(output: Tensor, target: Tensor) -> Tensor:
    """No mean over samples: it takes the whole split."""
    return (output - target).abs().max()

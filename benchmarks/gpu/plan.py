"""What the GPU benchmark trains: networks, data and policies, at full size and tiny."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pruning import EPI, AtEpoch, Dense, Policy
from pruning.training.task import Task

RATIO = 0.5
ROUND_TO = 8
LEAST_EPOCHS = 6
EARLIEST = 2
"""No cut before so many epochs: the first tunes kernels, the second is the dense figure."""


@dataclass(frozen=True)
class Plan:
    """Which networks, in which setting, and between how many and how many epochs."""

    networks: tuple[str, ...]
    setting: dict[str, Any]
    most_epochs: int

    def task(self, network: str, epochs: int) -> Task:
        """The task of one network."""
        return Task.parse(self.setting | {"model": network, "epochs": epochs})


COMMON: dict[str, Any] = {
    "schedule": {"name": "cosine", "warmup_epochs": 1},
    "label_smoothing": 0.1,
    "precision": "bf16",
    "channels_last": True,
    "deterministic": False,
}


def full(cifar: Path) -> Plan:
    """ResNet-18 and VGG-16 with batch norm on all of CIFAR-10."""
    setting = COMMON | {
        "data": _cifar(cifar, validation=0.1),
        "augment": {"crop": 4, "flip": True},
        "batch_size": 512,
        "optimizer": {"name": "sgd", "lr": 0.2, "weight_decay": 5e-4},
    }
    return Plan(("resnet18_cifar", "vgg16_bn_cifar"), setting, most_epochs=30)


def tiny(cifar: Path | None) -> Plan:
    """The same on small networks and some hundred pictures, for a CPU."""
    data: Any = "digits"
    if cifar:
        data = _cifar(cifar, validation=0.25, train=1024, test=512)
    setting = COMMON | {
        "data": data,
        "augment": {"crop": 1},
        "batch_size": 64,
        "optimizer": {"name": "sgd", "lr": 0.05, "weight_decay": 5e-4},
    }
    return Plan(("small_resnet", "small_cnn"), setting, most_epochs=LEAST_EPOCHS)


def _cifar(path: Path, validation: float, **limits: int) -> dict[str, Any]:
    options = {"path": str(path), **limits}
    return {"source": "benchmarks.pictures:load", "options": options, "validation": validation}


def policies(epochs: int) -> dict[str, Policy]:
    """The runs of one network in a training of ``epochs``, by their names in the results."""
    at = max(EARLIEST, epochs // 4)
    window = 5 if epochs >= 16 else max(1, epochs // 4)
    cut = {"ratio": RATIO, "round_to": ROUND_TO}
    epi = cut | {"window": window, "earliest": EARLIEST, "latest": 0.5}
    return {
        "dense": Dense(),
        f"at_epoch, {ROUND_TO}s": AtEpoch(epoch=at, ratio=RATIO, round_to=ROUND_TO),
        "at_epoch, unrounded": AtEpoch(epoch=at, ratio=RATIO),
        "epi magnitude": EPI.parse(epi),
        "epi taylor": EPI.parse(epi | {"saliency": "taylor"}),
    }

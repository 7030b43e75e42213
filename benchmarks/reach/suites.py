"""The networks that are cut: torchvision's classifiers, one of each timm family, our zoo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

SUITES = ("torchvision", "timm", "zoo")
FAMILIES = Path(__file__).with_name("timm.txt")
CLASSES, BATCH, PIXELS = 10, 2, 64

TOO_LARGE = ("regnet_y_128gf", "vit_h_14")
"""Of torchvision's: 645 and 633 million parameters, too many for the memory of a small machine."""

_OTHER_PIXELS = {"inception_v3": 96, "maxvit_t": 224}
_NO_AUXILIARY = {"aux_logits": False, "init_weights": False}
_OPTIONS: dict[str, dict[str, Any]] = {
    "googlenet": _NO_AUXILIARY,
    "inception_v3": _NO_AUXILIARY,
    "maxvit_t": {"input_size": (224, 224)},
}


@dataclass(frozen=True)
class Subject:
    """A network to cut. refused: a pattern of the true reason, "" for one that can be cut."""

    name: str
    build: Callable[[], tuple[nn.Module, tuple[Any, ...]]]
    refused: str = ""

    def built(self) -> tuple[nn.Module, tuple[Any, ...]]:
        """The network and its arguments, the same each time."""
        torch.manual_seed(0)
        return self.build()


def names(suite: str) -> list[str]:
    """Of a suite's networks."""
    if suite == "torchvision":
        from torchvision import models

        return [n for n in models.list_models(module=models) if n not in TOO_LARGE]
    if suite == "timm":
        return [line.split()[0] for line in FAMILIES.read_text(encoding="utf-8").splitlines()]
    from benchmarks.zoo import NETWORKS

    return list(NETWORKS)


def subject(suite: str, name: str) -> Subject:
    """One of them."""
    if suite == "torchvision":
        return Subject(name, lambda: _torchvision(name))
    if suite == "timm":
        return Subject(name, lambda: _timm(name))
    from benchmarks.zoo import NETWORKS

    network = NETWORKS[name]
    return Subject(name, network.build, network.refused)


def _pictures(pixels: int) -> Tensor:
    return torch.randn(BATCH, 3, pixels, pixels)


def _torchvision(name: str) -> tuple[nn.Module, tuple[Any, ...]]:
    from torchvision import models

    options = dict(_OPTIONS.get(name, {}))
    if name.startswith("vit_"):
        options["image_size"] = PIXELS if "14" not in name else 70
    if name.startswith("vgg"):
        options["init_weights"] = False
    model = models.get_model(name, weights=None, num_classes=CLASSES, **options)
    return model, (_pictures(_OTHER_PIXELS.get(name, PIXELS)),)


def _timm(name: str) -> tuple[nn.Module, tuple[Any, ...]]:
    import timm

    lines = FAMILIES.read_text(encoding="utf-8").splitlines()
    _, pixels, given = next(line.split() for line in lines if line.split()[0] == name)
    options = {"img_size": int(pixels)} if given == "img_size" else {}
    return timm.create_model(name, num_classes=CLASSES, **options), (_pictures(int(pixels)),)

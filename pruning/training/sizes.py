"""The samples a model is made for, where nobody says which."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

FRAMES = 16
"""At most, of a video: following one through a network takes gigabytes."""


@dataclass(frozen=True)
class Size:
    """shape: of a sample, without the batch. classes: of its labels; targets: columns of values
    where it has no classes."""

    shape: tuple[int, ...]
    classes: int
    targets: int = 0

    def __str__(self) -> str:
        what = f"{self.targets:,} target{'s' * (self.targets != 1)}"
        what = what if self.targets else f"{self.classes:,} classes"
        return f"{' x '.join(map(str, self.shape))}, {what}"


IMAGENET = Size((3, 224, 224), 1000)
_OURS = {"resnet18_cifar": Size((3, 32, 32), 10), "vgg16_bn_cifar": Size((3, 32, 32), 10)}


def usual_size(name: str) -> Size:
    """Of torchvision's models that of their weights; of our small ones the digits', of the others
    CIFAR-10's; of anybody else's ImageNet's.
    """
    source, _, rest = name.partition(":")
    if not rest:
        return _OURS.get(name, Size((1, 8, 8), 10))
    return _torchvision(rest) if source == "torchvision" else IMAGENET


def _torchvision(name: str) -> Size:
    from torchvision import models

    if name not in models.list_models():
        return IMAGENET
    weights = [w for w in models.get_model_weights(name) if w.meta.get("categories")]
    sizes = [_size(one) for one in weights]
    return min(sizes, key=lambda size: size.shape, default=IMAGENET)


def _size(weights: Any) -> Size:
    """What one set of weights was trained on; their documentation has the length of a video."""
    given = getattr(weights.transforms, "keywords", {})
    crop = given.get("crop_size", IMAGENET.shape[1:])
    high, wide = (crop, crop) if isinstance(crop, int) else crop
    length = re.search(r"clip_len=(\d+)", weights.meta["_docs"])
    frames = (min(FRAMES, int(length[1])),) if length else ()
    return Size((3, *frames, high, wide), len(weights.meta["categories"]))

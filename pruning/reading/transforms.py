"""The transforms of pictures that are read one by one: to one size, changed as the task asks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2

from pruning.errors import InputError
from pruning.foreign import foreign
from pruning.names import import_dotted
from pruning.reading.spec import Augment, Normalize

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
_GREY = {"mean": [0.449], "std": [0.226]}
"""Their means: a grey picture has about as much of each colour."""
_OPAQUE = {"mean": [0.5], "std": [0.5]}
_MARGIN = 0.875
"""ImageNet's trainings judge by the middle of a picture: random parts showed it larger."""


def transforms(
    augment: Augment, channels: int, size: int
) -> tuple[v2.Transform, v2.Transform, Normalize]:
    """That of training pictures, that of all others, and the mean and deviation of both.

    They take [channels, height, width] and give float32 [channels, size, size]. Raises InputError.
    """
    normalize = augment.normalize(channels) or _usual(channels)
    last = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(**normalize)]
    inner = round(size / _MARGIN) if augment.crop == "resized" else size
    middle = [v2.Resize(inner), v2.CenterCrop(size)]
    if augment.transform:
        asked = Asked(augment.transform, (channels, size, size))
        change: list[Any] = [v2.ToDtype(torch.float32, scale=True), asked]
    elif augment.crop == "resized":
        change = [v2.RandomResizedCrop(size)]
    else:
        change = [*middle, *([v2.RandomCrop(size, augment.crop)] if augment.crop else [])]
    change += [v2.RandomHorizontalFlip()] if augment.flip else []
    return v2.Compose([*change, *last]), v2.Compose([*middle, *last]), normalize


def _usual(channels: int) -> Normalize:
    if channels == 1:
        return _GREY
    more = {1: _OPAQUE}.get(channels - 3, {"mean": [], "std": []})
    return {name: IMAGENET[name] + more[name] for name in IMAGENET}


class Asked(torch.nn.Module):
    """A transform of the user's own, which must end with the size that is trained on."""

    def __init__(self, path: str, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.path, self.shape = path, shape
        try:
            found = import_dotted(path)
            with foreign(f"{path!r} cannot be made"):
                self.transform = found() if isinstance(found, type) else found
        except ValueError as error:
            raise InputError(f"task.augment.transform: {error}") from None
        if not callable(self.transform):
            kind = type(self.transform).__name__
            raise InputError(f"task.augment.transform: {path!r} is {kind}, no transform")

    def forward(self, picture: Tensor) -> Tensor:
        """float32 [channels, height, width] to the shape. Raises InputError."""
        try:
            with foreign(f"{self.path!r} fails for a picture of shape {tuple(picture.shape)}"):
                found = self.transform(picture)
        except ValueError as error:
            raise InputError(f"task.augment.transform: {error}") from None
        if not isinstance(found, Tensor) or tuple(found.shape) != self.shape:
            given = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise InputError(
                f"task.augment.transform: {self.path!r} makes {given} of a picture of shape "
                f"{tuple(picture.shape)}; a tensor {self.shape} is needed (task.data.image_size)"
            )
        return found

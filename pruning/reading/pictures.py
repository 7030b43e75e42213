"""Pictures that are read one by one: from a file or its bytes to fractions of the brightest.

All of a set get the same channels: one where all are grey, else three; ``task.data.channels``
decides otherwise. Pictures of 16 bits are fractions of 65535; floats are fractions already or go up
to 255, and what could be either is refused, as is what is no picture.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from pruning.errors import InputError
from pruning.foreign import told
from pruning.reading.places import SPECIAL, is_special

ENTIRELY = 20_000
"""Pictures of a part that are decoded before anything starts; of a larger one so many of them."""

_THREADS = 8
_GREY = {"1", "L", "LA", "La", "I", "F"}
_BYTES_UP_TO = 255.0


@dataclass(frozen=True)
class Picture:
    """Where a picture lies. name: what it is called if it cannot be read. file: a path, or what
    gives its bytes."""

    name: str
    file: Path | Callable[[], bytes]

    def open(self) -> Image.Image:
        """Its head; pixels are read when they are asked for. Raises ValueError."""
        if isinstance(self.file, Path) and is_special(self.file):
            raise ValueError(f"picture {self.name!r} {SPECIAL}")
        try:
            return Image.open(self.file if isinstance(self.file, Path) else io.BytesIO(self.file()))
        except Exception as error:  # Pillow's readers raise many kinds
            raise self.unreadable(error) from None

    def unreadable(self, error: Exception) -> ValueError:
        """Why it cannot be read, in one line."""
        if isinstance(self.file, Path) and not self.file.exists():
            why = "is a link to nothing" if self.file.is_symlink() else "does not exist"
        elif isinstance(self.file, Path) and not os.path.getsize(self.file):
            why = "is empty"
        else:
            why = f"cannot be read ({told(error)})"
        return ValueError(f"picture {self.name!r} {why}")


def is_grey(image: Image.Image) -> bool:
    """Whether it has no colours, by its head alone."""
    if image.mode == "P":
        colours = np.asarray(image.getpalette("RGB") or [0], dtype=np.int64)
        return colours.size % 3 == 0 and bool((colours.reshape(-1, 3).std(1) == 0).all())
    return image.mode in _GREY or image.mode.startswith("I;16")


def channels_of(pictures: Sequence[Picture]) -> int:
    """1 if all are grey, else 3. The first in colour ends the search."""
    for picture in pictures:
        with picture.open() as image:
            if not is_grey(image):
                return 3
    return 1


def brightest_of(pictures: Sequence[Picture]) -> float | None:
    """What pictures of floats are divided by: 1 for fractions, 255 where they go up to that.

    None where the first is none of floats. Raises InputError for what could be either or neither.
    """
    if _mode(pictures[0]) != "F":
        return None
    ranges = [_range(picture) for picture in pictures if _mode(picture) == "F"]
    low, high = min(one for one, _ in ranges), max(one for _, one in ranges)
    if low >= 0 and high <= 1:
        return 1.0
    if low >= 0 and _BYTES_UP_TO / 2 < high <= _BYTES_UP_TO:
        return _BYTES_UP_TO
    raise InputError(
        f"task.data: pictures of floats have values from {low:.4g} to {high:.4g}; fractions (0 to "
        f"1) or values of bytes (0 to 255) are needed, or read them by package.module:callable"
    )


def _mode(picture: Picture) -> str:
    with picture.open() as image:
        return str(image.mode)


def _range(picture: Picture) -> tuple[float, float]:
    with picture.open() as image:
        try:
            values = np.asarray(image)
        except Exception as error:
            raise picture.unreadable(error) from None
    if not np.isfinite(values).all():
        raise ValueError(f"picture {picture.name!r} has values that are not finite")
    return float(values.min()), float(values.max())


def pixels(picture: Picture, channels: int, brightest: float | None = None) -> Tensor:
    """[channels, height, width]: uint8, or float32 fractions of what has more than 8 bits.

    Raises ValueError if it cannot be read, or is in colour where all are to be grey.
    """
    with picture.open() as image:
        try:
            return pixels_of(image, channels, brightest)
        except Exception as error:
            raise picture.unreadable(error) from None


def pixels_of(image: Image.Image, channels: int, brightest: float | None = None) -> Tensor:
    """[channels, height, width] of an open picture, as ``pixels`` gives them."""
    deep = _deep(image, brightest)
    if deep is None:
        array = np.asarray(image.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels]))
        found = torch.from_numpy(array.copy())
        return found.unsqueeze(0) if channels == 1 else found.permute(2, 0, 1).contiguous()
    grey = torch.from_numpy(deep).unsqueeze(0).repeat(min(channels, 3), 1, 1)
    return grey if channels < 4 else torch.cat([grey, torch.ones_like(grey[:1])])


def _deep(image: Image.Image, brightest: float | None) -> np.ndarray[Any, Any] | None:
    """Fractions [height, width] of a grey picture of 16 bits or floats; None of all others."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return np.asarray(image, dtype=np.float32) / 65535
    if image.mode == "I":
        raise ValueError("it has 32 bits a pixel, whose brightest value is not known")
    if image.mode != "F":
        return None
    if brightest is None:
        raise ValueError("it has floats, where others have whole numbers: their scales are unknown")
    return np.asarray(image, dtype=np.float32) / brightest


class Pictures(Dataset[Any]):
    """Pictures with their labels, as ``pixels`` reads them."""

    def __init__(
        self,
        pictures: Sequence[Picture],
        labels: Sequence[Any],
        channels: int,
        brightest: float | None,
    ) -> None:
        self.pictures, self.labels = pictures, labels
        self.channels, self.brightest = channels, brightest

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        return pixels(self.pictures[index], self.channels, self.brightest), self.labels[index]

    def check(self) -> None:
        """Decode them, of very many some from the first to the last. Raises ValueError."""
        chosen = np.unique(np.linspace(0, len(self) - 1, min(len(self), ENTIRELY)).astype(int))
        with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
            for _ in pool.map(self._decode, chosen.tolist()):
                pass

    def _decode(self, index: int) -> None:
        pixels(self.pictures[index], self.channels, self.brightest)


def read_alike(
    parts: Mapping[str, tuple[Sequence[Picture], Sequence[Any]]], channels: int | None
) -> dict[str, Pictures]:
    """The parts of a set, all with the same channels and the same brightest value."""
    everything = [picture for pictures, _ in parts.values() for picture in pictures]
    channels = channels or channels_of(everything)
    brightest = brightest_of(everything)
    return {
        name: Pictures(pictures, labels, channels, brightest)
        for name, (pictures, labels) in parts.items()
    }

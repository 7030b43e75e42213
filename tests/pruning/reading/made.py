"""Files of data as people have them, and what is read of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pruning.errors import InputError
from pruning.training.batches import Batches
from pruning.training.data import Data, load
from pruning.training.task import Augment, DataSpec

RNG = np.random.default_rng(0)


def opened(source: str, augment: Augment | None = None, **settings: Any) -> Data:
    """The data, read anew."""
    spec = DataSpec.parse({"source": source, **settings}, "task.data")
    augmented = (augment or Augment()).model_dump_json()
    return load.__wrapped__(spec.model_dump_json(), augmented, "cpu")


def noted(source: str, **settings: Any) -> tuple[Data, list[str]]:
    """The data, and what is said of how they were read."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        data = opened(source, **settings)
    return data, [str(one.message).removeprefix("task.data: ") for one in seen]


def refusal(source: str, augment: Augment | None = None, check: bool = False, **given: Any) -> str:
    """The one line that says why it is refused."""

    def tried() -> None:
        data = opened(source, augment, **given)
        if check:
            data.check()

    with pytest.raises(InputError) as error:
        tried()
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith("task.")
    return line


def npz(folder: Path, **arrays: Any) -> str:
    np.savez(folder / "a.npz", **arrays)
    return f"npz:{folder / 'a.npz'}"


def bytes_of(*shape: int) -> np.ndarray[Any, Any]:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def cycle(count: int, classes: int = 2) -> np.ndarray[Any, Any]:
    return np.arange(count) % classes


def picture(path: Path, pixels: np.ndarray[Any, Any] | None = None, mode: str = "") -> Path:
    """A picture of these pixels, by default random colours; mode: that it is converted to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(bytes_of(12, 12, 3) if pixels is None else pixels)
    (image.convert(mode) if mode else image).save(path)
    return path


def folders(root: Path, parts: Sequence[str] = ("train", "val"), count: int = 6, **how: Any) -> str:
    """Parts with pictures of two classes, a and b. how: of ``picture``."""
    for part in parts:
        for name in "ab":
            for number in range(count):
                picture(root / part / name / f"{number}.png", **how)
    return f"imagefolder:{root}"


def lengths(data: Data) -> list[int]:
    return [len(part) for part in (data.train, data.validation, data.test)]


def whole(split: Batches) -> tuple[Tensor, Tensor]:
    """All its samples and labels."""
    batches = list(split.in_order(64))
    return torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches])

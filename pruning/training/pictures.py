"""Pictures as torchvision reads them: its own data sets, and folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch.utils.data import Dataset
from torchvision.transforms import v2

from pruning.errors import one_line, unknown
from pruning.training.samples import Arrays, Sets, labels_of, reading_of, samples_of

SMALL = 2**30
"""Bytes up to which a set is held in memory as float32."""

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def torchvision_set(name: str, root: str) -> Arrays | Sets:
    """One of torchvision's sets; held in memory where it is small. Raises ValueError."""
    known = [kind for kind in torchvision.datasets.__all__ if kind[0].isupper()]
    if name not in known:
        raise ValueError(unknown("torchvision data set", name, known))
    make = getattr(torchvision.datasets, name)
    try:
        train, test = _train_and_test(make, root)
    except Exception as error:  # without its files each set fails in its own way
        raise ValueError(
            f"torchvision:{name} cannot be had in {root!r} ({one_line(error)})"
        ) from None
    if hasattr(train, "data") and len(train) * np.prod(train.data.shape[1:]) * 4 <= SMALL:
        name_of_labels = "targets" if hasattr(train, "targets") else "labels"
        parts = [(samples_of(p.data), labels_of(getattr(p, name_of_labels))) for p in (train, test)]
        return Arrays(parts[0], test=parts[1], reading=reading_of(train.data))
    sample = v2.functional.to_image(train[0][0])
    size = min(sample.shape[-2:])
    return _pictures(
        train,
        None,
        test,
        size,
        len(getattr(train, "classes", None) or {label for _, label in train}),
    )


def _train_and_test(make: Callable[..., Any], root: str) -> tuple[Any, Any]:
    try:
        return make(root, train=True, download=True), make(root, train=False, download=True)
    except TypeError:
        return make(root, split="train", download=True), make(root, split="test", download=True)


def imagefolder(path: Path, size: int) -> Sets:
    """A folder of pictures by class: ``train``, and ``val`` or ``test``. Raises ValueError."""
    if not (path / "train").is_dir():
        raise ValueError(f"folder {str(path / 'train')!r} does not exist")
    folder = torchvision.datasets.ImageFolder
    train = folder(str(path / "train"))
    parts = {name: folder(str(path / name)) for name in ("val", "test") if (path / name).is_dir()}
    for name, part in parts.items():
        if part.classes != train.classes:
            raise ValueError(f"{str(path / name)!r} has other classes than 'train'")
    validation, test = (parts.get("val"), parts.get("test"))
    if test is None:  # ImageNet's habit: only train and val; val is the final judge
        validation, test = None, validation
    return _pictures(train, validation, test, size, len(train.classes))


def _pictures(
    train: Dataset[Any],
    validation: Dataset[Any] | None,
    test: Dataset[Any] | None,
    size: int,
    classes: int,
) -> Sets:
    """ImageNet's usual transforms: a random resized crop and flip; a centre crop for judging."""
    last = [
        v2.ToImage(),
        v2.RGB(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(**IMAGENET),
    ]
    augment = v2.Compose([v2.RandomResizedCrop(size), v2.RandomHorizontalFlip(), *last])
    prepare = v2.Compose([v2.Resize(round(size / 0.875)), v2.CenterCrop(size), *last])
    shape = (3, size, size)
    return Sets(train, validation, test, shape, classes, augment, prepare, IMAGENET)

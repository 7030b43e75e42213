"""Parts of pictures with their labels, made into the sets that a training is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from pruning.reading.given import Sets
from pruning.reading.labels import Classes
from pruning.reading.spec import Augment
from pruning.reading.transforms import transforms


def picture_sets(
    parts: Mapping[str, Dataset[Any]],
    channels: int,
    size: int,
    classes: Classes,
    augment: Augment,
    notes: tuple[str, ...],
    check: Callable[[], None],
) -> Sets:
    """parts: train and, where there, val and test, whose items are ([channels, h, w], label)."""
    change, prepare, normalize = transforms(augment, channels, size)
    validation, test = parts.get("val"), parts.get("test")
    if test is None:  # ImageNet's habit: only train and val; val is the final judge
        validation, test = None, validation

    def checked() -> None:
        check()
        picture: Tensor = parts["train"][0][0]
        with torch.random.fork_rng(devices=[]):
            change(picture)

    return Sets(
        parts["train"],
        validation,
        test,
        (channels, size, size),
        len(classes),
        change,
        prepare,
        normalize,
        classes.of,
        classes.names,
        notes,
        checked,
    )

"""Torchvision's own sets: their names in any case, held in memory where they are small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torchvision
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from pruning.errors import InputError, unknown
from pruning.foreign import foreign
from pruning.reading.arrays import Array, array_of, samples_of
from pruning.reading.given import Arrays, Pair, Sets
from pruning.reading.labels import classes_of
from pruning.reading.layout import arranged, layout_of, reading_of
from pruning.reading.parts import SAID, refuse_settings
from pruning.reading.picture_sets import picture_sets
from pruning.reading.pictures import is_grey, pixels_of
from pruning.reading.spec import Augment, DataSpec, Layout
from pruning.reading.torchvision_maker import Maker

SMALL = 2**30
"""Bytes up to which a set is held in memory as float32."""

_LOOKED_AT = 64
"""Pictures from the first to the last that tell whether a set is grey."""


def torchvision_set(name: str, spec: DataSpec, augment: Augment) -> Arrays | Sets:
    """One of torchvision's sets; held in memory where it is small. Raises ValueError."""
    refuse_settings(spec, "layout", "annotations")
    known = {kind.lower(): kind for kind in torchvision.datasets.__all__ if kind[0].isupper()}
    if name.lower() not in known:
        raise ValueError(unknown("torchvision data set", name, set(known.values())))
    name = known[name.lower()]
    parts = Maker(name, getattr(torchvision.datasets, name), spec).parts()
    labels = {
        part: _labels(made, f"torchvision:{name}, {part} part") for part, made in parts.items()
    }
    if all(one is None for one in labels.get("test", [])):  # kept secret, as for contests
        parts.pop("test", None)
        labels.pop("test", None)
    known_names = _names(parts["train"], labels["train"])
    if all(_in_memory(part) for part in parts.values()) and spec.channels is None:
        pairs = {part: _pair(made, labels[part], part) for part, made in parts.items()}
        names = tuple(known_names) if known_names else None
        raw = array_of(parts["train"].data, "train")
        reading = reading_of(raw, _layout(raw, "train"), pairs["train"][0])
        return Arrays(pairs["train"], pairs.get("val"), pairs.get("test"), names, reading=reading)
    said = {SAID[part]: one for part, one in labels.items()}
    _, classes, notes = classes_of(said, known_names, spec.targets == "classes")
    channels = spec.channels or _channels(parts["train"])
    sets = {
        part: Opened(made, channels, spec.channels is None, f"torchvision:{name}, {part}")
        for part, made in parts.items()
    }
    size = min(sets["train"][0][0].shape[-2:])
    looked = [(one, number) for one in sets.values() for number in _some(one)]

    def check() -> None:
        for one, number in looked:
            one[number]

    return picture_sets(sets, channels, size, classes, augment, notes, check)


def _labels(part: Any, where: str) -> list[Any]:
    """The labels of all samples: as they are listed, where those that are opened agree with it."""
    with foreign(f"{where}: its samples cannot be read"):
        for listed in _listed(part, where):
            places = {0, len(part) // 2, len(part) - 1}
            if all(_same(listed[number], part[number][1]) for number in places):
                return listed
        return [part[number][1] for number in range(len(part))]


def _listed(part: Any, where: str) -> Iterator[list[Any]]:
    """What could be the list of its labels, which need not be what samples have as such."""
    for name in ("targets", "labels", "_labels", "_targets"):
        listed = getattr(part, name, None)
        if listed is not None and np.ndim(listed) == 1 and len(listed) == len(part):
            yield list(listed if isinstance(listed, list | tuple) else array_of(listed, where))
    for name in ("samples", "_samples", "imgs"):
        listed = getattr(part, name, None)
        if isinstance(listed, list) and len(listed) == len(part) and len(listed[0]) == 2:
            yield [label for _, label in listed]


def _same(listed: Any, given: Any) -> bool:
    if given is None or listed is None:
        return given is listed
    return bool(np.array_equal(np.asarray(listed), np.asarray(given)))


def _names(part: Any, labels: Sequence[Any]) -> list[str] | None:
    """Its names of classes, if they are about as many (EMNIST's letters have one for none): with
    other targets asked for, they are names of something else."""
    names = getattr(part, "classes", None)
    if not isinstance(names, list | tuple) or len(names) - len(set(labels)) not in (0, 1):
        return None
    return [str(one) for one in names]


def _in_memory(part: Any) -> bool:
    data: Any = getattr(part, "data", None)
    listed: Any = getattr(part, "targets", getattr(part, "labels", None))
    if not hasattr(data, "shape") or np.ndim(listed) != 1:
        return False
    return len(part) * float(np.prod(data.shape[1:])) * 4 <= SMALL


def _pair(part: Any, labels: Sequence[Any], name: str) -> Pair:
    raw = array_of(part.data, name)
    return arranged(samples_of(raw, name), _layout(raw, name), name), labels


def _layout(raw: Array, name: str) -> Layout:
    return layout_of(raw.shape[1:], raw.dtype == np.uint8, name)


class Opened(Dataset[Any]):
    """A set whose pictures are opened by torchvision, as pixels of so many channels."""

    def __init__(self, dataset: Any, channels: int, seen: bool, where: str) -> None:
        self.dataset, self.channels, self.seen, self.where = dataset, channels, seen, where

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        where = f"{self.where}, sample {index}"
        with foreign(f"{where} cannot be read"):
            image, label = self.dataset[index]
        if not isinstance(image, Image.Image):
            raise ValueError(f"{where} is a {type(image).__name__}, no picture")
        if self.seen and self.channels == 1 and not is_grey(image):
            raise InputError(
                f"task.data.channels: missing; {where} is in colour, others are grey "
                f"(allowed: 1, 3)"
            )
        return pixels_of(image, self.channels), label


def _some(part: Any) -> list[int]:
    count = len(part)
    places = np.linspace(0, count - 1, min(count, _LOOKED_AT)).astype(int)
    return [int(one) for one in np.unique(places)]


def _channels(part: Any) -> int:
    with foreign("its pictures cannot be read"):
        images = (part[number][0] for number in _some(part))
        return 1 if all(isinstance(one, Image.Image) and is_grey(one) for one in images) else 3

"""One's own data: what the user's function returns is looked at before anything is trained.

A mapping of arrays is read as a file of them is. Datasets are looked at sample by sample, all of
them where there are few, else some from the first to the last; of all samples that the function can
name the labels of (``targets``), the labels. Whatever of it fails is said in a line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pruning.foreign import ForeignError, contained, foreign, told_where
from pruning.names import call, import_dotted
from pruning.reading.alike import refuse_unlike
from pruning.reading.arrays import Array, array_of, samples_of
from pruning.reading.given import Arrays, Sets
from pruning.reading.labels import Classes, classes_of
from pruning.reading.parts import arrays_of, refuse_settings
from pruning.reading.spec import DataSpec
from pruning.reading.target import Target
from pruning.reading.targets import count_of, kind_of, maps, target_of

LOOKED_AT = 2000
"""Samples of a part that are looked at."""

READ = 10_000_000
"""Samples of a part at most that are read one by one for their labels."""

HELD = 1_000_000_000
"""Samples of a part at most: their numbers are held in memory."""

COMPARED = 64
"""Samples of a part whose scale is compared with that of another."""

PARTS = ("training", "validation", "test")


def own(spec: DataSpec) -> Arrays | Sets:
    """What the function at ``spec.source`` gives. Raises ValueError, one line."""
    refuse_settings(spec, "channels", "annotations")
    load_data = import_dotted(spec.source)
    with foreign(f"{spec.source!r} failed"):
        given = call(load_data, **spec.options)
    try:
        with contained():
            return _read(given, spec)
    except ValueError:
        raise
    except Exception as error:
        raise ForeignError(f"{spec.source!r} cannot be read ({told_where(error)})") from error


def _read(given: Any, spec: DataSpec) -> Arrays | Sets:
    if isinstance(given, Mapping):
        with foreign(f"{spec.source!r} returned a mapping that cannot be read"):
            arrays = {key: given[key] for key in given}
        return arrays_of(arrays, spec.source, spec)
    refuse_settings(spec, "layout")
    if not (isinstance(given, (tuple, list)) and len(given) == 3):
        length = f" of {len(given)}" if isinstance(given, (tuple, list)) else ""
        raise ValueError(
            f"{spec.source!r} returned {type(given).__name__}{length}; a mapping with x_train, "
            f"y_train or three datasets (train, validation, test) are needed"
        )
    if given[0] is None:
        raise ValueError(f"{spec.source!r} has no training part")
    if given[1] is None:
        raise ValueError(f"{spec.source!r} has no validation part; policies are judged on it")
    parts = {
        name: part for name, part in zip(PARTS, given, strict=True) if part is not None
    }  # without a test part one is split off
    with torch.random.fork_rng(devices=[]):  # a sample may draw, and is drawn again when trained on
        return _sets(parts, spec)


def _sets(parts: Mapping[str, Any], spec: DataSpec) -> Sets:
    shapes: dict[tuple[int, ...], str] = {}
    labels: dict[str, Sequence[Any]] = {}
    for name, part in parts.items():
        where = f"{spec.source!r}, {name} part"
        _count(part, where)
        labels[where] = _look(part, where, shapes)
    if len(shapes) > 1:
        (one, first), (other, second) = list(shapes.items())[:2]
        raise ValueError(f"{first} has the shape {one}, {second} {other}; all need the same")
    few = {f"{name} part": _few(part, name) for name, part in parts.items()}
    raw = {name: samples.numpy() for name, samples in few.items()}
    refuse_unlike(raw, {name: tensor_of(samples) for name, samples in few.items()})
    described = _described(labels, parts["training"], len(next(iter(shapes))), spec)
    return Sets(
        parts["training"],
        parts["validation"],
        parts.get("test"),
        next(iter(shapes)),
        augment=tensor_of,
        prepare=tensor_of,
        movable=False,
        **described,
    )


def _described(
    labels: Mapping[str, Sequence[Any]], train: Any, samples: int, spec: DataSpec
) -> dict[str, Any]:
    """What the fields of ``Sets`` say of targets. samples: how many dimensions one has."""
    first = next(iter(labels.values()))[0]
    kind = kind_of(first, spec.targets)
    if kind == "values" or maps([first], 1 + samples):
        label = partial(target_of, kind=kind, unlabelled=spec.unlabelled)
        found = {name: [label(one) for one in part] for name, part in labels.items()}
        shapes = {tuple(torch.as_tensor(one).shape) for part in found.values() for one in part}
        if len(shapes) > 1:
            raise ValueError(f"{spec.source!r} has targets of several shapes: {sorted(shapes)}")
        every = [torch.as_tensor(one) for part in found.values() for one in part]
        count = count_of(every, spec) if kind == "classes" else 0
        return {"classes": count, "label": label, "target": Target(kind, shapes.pop())}
    classes, notes = _classes(labels, train, spec.targets == "classes")
    names = classes.names
    return {"classes": len(classes), "label": classes.of, "class_names": names, "notes": notes}


def _classes(
    labels: Mapping[str, Sequence[Any]], train: Any, sure: bool
) -> tuple[Classes, tuple[str, ...]]:
    """Those that the training part names by its ``classes``, or those of its labels; and notes."""
    named = _said(train, "classes", "the training part")
    names = tuple(map(str, named)) if isinstance(named, (list, tuple)) and named else None
    if names and all(_is_number(one, len(names)) for part in labels.values() for one in part):
        return Classes(np.arange(len(names)), names), ()
    _, classes, notes = classes_of(labels, names, sure)
    return classes, notes


def _is_number(label: Any, count: int) -> bool:
    whole = isinstance(label, (int, np.integer)) or getattr(label, "ndim", 1) == 0
    return whole and float(label) in range(count)


def tensor_of(sample: Any) -> Tensor:
    """A sample as float32; bytes become fractions of 255."""
    found = torch.as_tensor(sample)
    return found.float() / 255 if found.dtype == torch.uint8 else found.float()


def _count(part: Any, where: str) -> int:
    """How many samples it has. Raises ValueError for what is no dataset, or an empty one."""
    if isinstance(part, torch.utils.data.DataLoader):
        raise ValueError(f"{where} is a DataLoader; give the dataset that it loads")
    if not all(callable(getattr(type(part), name, None)) for name in ("__len__", "__getitem__")):
        kind = type(part).__name__
        raise ValueError(f"{where} is {kind}, no dataset: it needs a length, and samples by number")
    with foreign(f"{where}: its length fails"):
        count = len(part)
    if not count:
        raise ValueError(f"{where} is empty: it has no samples")
    if count > HELD:
        raise ValueError(f"{where} has {count:,} samples (allowed: up to {HELD:,})")
    return count


def _said(part: Any, name: str, where: str) -> Any:
    """What a part says of itself, None if it does not."""
    with foreign(f"{where}: its {name!r} cannot be had"):
        return getattr(part, name, None)


def _targets(part: Any, where: str, count: int) -> Array | None:
    """The labels that a part names for all its samples."""
    listed = _said(part, "targets", where)
    with foreign(f"{where}: its 'targets' cannot be read"):
        if listed is None or np.ndim(listed) != 1 or len(listed) != count:
            return None
    return array_of(listed, f"{where}: targets")


def _look(part: Any, where: str, shapes: dict[tuple[int, ...], str]) -> Sequence[Any]:
    """The labels of a part, all that can be had; the shapes of its samples are added to others."""
    count = len(part)
    whole = _targets(part, where, count)
    looked = set(np.linspace(0, count - 1, min(count, LOOKED_AT)).astype(int).tolist())
    named = whole is not None or _said(part, "classes", where) is not None
    if not named and count > READ:
        raise ValueError(
            f"{where} has {count:,} samples, each of which would be read for its label; give the "
            f"dataset 'targets', the labels of all, or 'classes', their names"
        )
    labels = []
    for number in sorted(looked) if named else range(count):
        place = f"{where}, sample {number}"
        sample, label = _item(part, number, place)
        labels.append(label)
        if number in looked:
            shapes.setdefault(_shape(sample, place), place)
    return labels if whole is None else list(whole)


def _few(part: Any, name: str) -> Tensor:
    numbers = np.linspace(0, len(part) - 1, min(len(part), COMPARED)).astype(int).tolist()
    return torch.stack([torch.as_tensor(_item(part, number, name)[0]) for number in numbers])


def _item(part: Any, number: int, where: str) -> tuple[Any, Any]:
    with foreign(f"{where} fails"):
        item = part[number]
    if not (isinstance(item, (tuple, list)) and len(item) == 2):
        raise ValueError(f"{where} is {type(item).__name__}, not a pair (tensor, label)")
    return item[0], item[1]


def _shape(sample: Any, where: str) -> tuple[int, ...]:
    try:
        found = torch.as_tensor(sample)
    except Exception:  # whatever objects of others do
        kind = type(sample).__name__
        raise ValueError(f"{where} is a {kind}, not a tensor") from None
    samples_of(found[None], where)
    return tuple(found.shape)

"""Where samples come from: digits, npz, the user's own code, and what ``pictures`` reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pruning.errors import one_line, unknown
from pruning.names import import_dotted, is_dotted
from pruning.training.known import SOURCE_FORMS
from pruning.training.samples import Arrays, Sets, labels_of, samples_of
from pruning.training.task import DataSpec


def read(spec: DataSpec) -> Arrays | Sets:
    """What a source holds. Raises ValueError or OSError if it cannot be had."""
    kind, _, rest = spec.source.partition(":")
    if spec.source == "digits":
        return _digits()
    if kind == "npz":
        return _npz(Path(rest))
    if kind in ("torchvision", "imagefolder"):
        from pruning.training import pictures  # torchvision takes seconds to import

        if kind == "torchvision":
            return pictures.torchvision_set(rest, spec.root)
        return pictures.imagefolder(Path(rest), spec.image_size)
    if is_dotted(spec.source):
        return _custom(spec)
    raise ValueError(unknown("data", spec.source, SOURCE_FORMS))


def _digits() -> Arrays:
    from sklearn.datasets import load_digits

    digits = load_digits()
    return Arrays((samples_of(digits.images / 16.0), labels_of(digits.target)))


def _npz(path: Path) -> Arrays:
    if not path.is_file():
        raise ValueError(f"file {str(path)!r} does not exist")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # numpy and zipfile raise many kinds
        raise ValueError(
            f"{str(path)!r} is no npz file of plain arrays ({one_line(error)})"
        ) from None
    return _from_mapping(arrays, str(path))


def _from_mapping(arrays: Mapping[str, Any], where: str) -> Arrays:
    """Keras's names: x_train, y_train and, where there, x_val, y_val, x_test, y_test; or x, y."""
    keys = set(arrays.keys())

    def part(suffix: str) -> tuple[Tensor, Tensor] | None:
        if not {f"x{suffix}", f"y{suffix}"} <= keys:
            return None
        return samples_of(arrays[f"x{suffix}"]), labels_of(arrays[f"y{suffix}"])

    train = part("_train") or part("")
    if train is None:
        raise ValueError(f"{where} has {sorted(keys)}; x_train and y_train (or x and y) are needed")
    return Arrays(train, part("_val"), part("_test"))


def _custom(spec: DataSpec) -> Arrays | Sets:
    load_data = import_dotted(spec.source)
    try:
        given = load_data(**spec.options)
    except Exception as error:  # the user's code may fail in any way
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise ValueError(f"{spec.source!r} failed ({reason})") from None
    if isinstance(given, Mapping):
        return _from_mapping(given, spec.source)
    if not (isinstance(given, tuple) and len(given) == 3):
        raise ValueError(
            f"{spec.source!r} returned {type(given).__name__}; a mapping with x_train, y_train or "
            f"three datasets (train, validation, test) are needed"
        )
    train, validation, test = given
    if validation is None:
        raise ValueError(f"{spec.source!r} has no validation part; policies are judged on it")
    try:
        sample = torch.as_tensor(train[0][0])
    except (TypeError, ValueError, RuntimeError):
        kind = type(train[0][0]).__name__
        raise ValueError(f"{spec.source!r} gives a {kind} as a sample, not a tensor") from None
    named = getattr(train, "classes", None)
    labels = () if named else (int(train[index][1]) for index in range(len(train)))
    classes = len(named) if named else 1 + max(labels)
    return Sets(
        train, validation, test, tuple(sample.shape), classes, torch.as_tensor, torch.as_tensor
    )

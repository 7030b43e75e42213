"""Data: where samples come from, and how they are split.

A small set becomes one tensor per split on the device; a large one stays a dataset on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor
from torch.utils.data import Dataset, Subset
from torchvision.transforms import v2

from pruning.errors import InputError, unknown
from pruning.names import import_dotted, is_dotted
from pruning.training.batches import Batches, DatasetBatches, TensorBatches
from pruning.training.randomness import generator
from pruning.training.task import Augment, DataSpec

_SMALL = 2**30
"""Bytes up to which a set is held in memory as float32."""


@dataclass(frozen=True)
class Data:
    """Three splits, the shape of a sample and the number of classes."""

    train: Batches
    validation: Batches
    test: Batches
    shape: tuple[int, ...]
    classes: int


@dataclass(frozen=True)
class _Arrays:
    """Samples [n, ...] and labels [n], with the parts the source has of its own."""

    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor] | None = None
    test: tuple[Tensor, Tensor] | None = None


@dataclass(frozen=True)
class _Sets:
    """Datasets with the parts the source has of its own, and the transforms of a sample."""

    train: Dataset[Any]
    validation: Dataset[Any] | None
    test: Dataset[Any] | None
    shape: tuple[int, ...]
    classes: int
    augment: Callable[[Any], Tensor]
    prepare: Callable[[Any], Tensor]


@lru_cache(maxsize=2)
def load(spec_json: str, augment_json: str, device: str) -> Data:
    """The data of a task on a device, kept for the next trial of this process.

    The arguments are the JSON of a DataSpec and of an Augment. Raises InputError.
    """
    spec = DataSpec.model_validate_json(spec_json)
    augment = Augment.model_validate_json(augment_json)
    try:
        source = _read(spec)
    except (ValueError, OSError) as error:
        raise InputError(f"task.data: {_line(error)}") from None
    if isinstance(source, _Sets):
        if augment != Augment():
            raise InputError(
                f"task.augment: {spec.source!r} is read sample by sample with transforms of its own"
            )
        return _from_sets(source, spec)
    return _from_arrays(source, spec, augment, torch.device(device))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _read(spec: DataSpec) -> _Arrays | _Sets:
    kind, _, rest = spec.source.partition(":")
    if spec.source == "digits":
        return _digits()
    if kind == "npz":
        return _npz(Path(rest))
    if kind == "torchvision":
        return _torchvision(rest, spec.root)
    if kind == "imagefolder":
        return _imagefolder(Path(rest), spec.image_size)
    if is_dotted(spec.source):
        return _custom(spec)
    names = {"digits", "npz:PATH", "torchvision:NAME", "imagefolder:PATH", "package.module:load"}
    raise ValueError(unknown("data", spec.source, names))


def _digits() -> _Arrays:
    from sklearn.datasets import load_digits

    digits = load_digits()
    return _Arrays((_samples(digits.images / 16.0), _labels(digits.target)))


def _npz(path: Path) -> _Arrays:
    if not path.is_file():
        raise ValueError(f"file {str(path)!r} does not exist")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # numpy and zipfile raise many kinds
        raise ValueError(f"{str(path)!r} is no npz file of plain arrays ({_line(error)})") from None
    return _from_mapping(arrays, str(path))


def _from_mapping(arrays: Mapping[str, Any], where: str) -> _Arrays:
    """Keras's names: x_train, y_train and, where there, x_val, y_val, x_test, y_test; or x, y."""
    keys = set(arrays.keys())

    def part(suffix: str) -> tuple[Tensor, Tensor] | None:
        if not {f"x{suffix}", f"y{suffix}"} <= keys:
            return None
        return _samples(arrays[f"x{suffix}"]), _labels(arrays[f"y{suffix}"])

    train = part("_train") or part("")
    if train is None:
        raise ValueError(f"{where} has {sorted(keys)}; x_train and y_train (or x and y) are needed")
    return _Arrays(train, part("_val"), part("_test"))


def _samples(values: Any) -> Tensor:
    """float32 [n, features] or [n, channels, height, width]; bytes become fractions."""
    array = values if isinstance(values, Tensor) else torch.from_numpy(np.ascontiguousarray(values))
    scaled = array.float() / 255 if array.dtype == torch.uint8 else array.float()
    if scaled.ndim == 3:
        return scaled.unsqueeze(1)
    if scaled.ndim == 4 and scaled.shape[-1] in (1, 3) and scaled.shape[1] not in (1, 3):
        return scaled.permute(0, 3, 1, 2).contiguous()
    return scaled


def _labels(values: Any) -> Tensor:
    array = values if isinstance(values, Tensor) else torch.from_numpy(np.asarray(values))
    return array.long().flatten()


def _torchvision(name: str, root: str) -> _Arrays | _Sets:
    known = [kind for kind in torchvision.datasets.__all__ if kind[0].isupper()]
    if name not in known:
        raise ValueError(unknown("torchvision data set", name, known))
    make = getattr(torchvision.datasets, name)
    try:
        train, test = _train_and_test(make, root)
    except Exception as error:  # without its files each set fails in its own way
        raise ValueError(f"torchvision:{name} cannot be had in {root!r} ({_line(error)})") from None
    if hasattr(train, "data") and len(train) * np.prod(train.data.shape[1:]) * 4 <= _SMALL:
        name_of_labels = "targets" if hasattr(train, "targets") else "labels"
        parts = [(_samples(p.data), _labels(getattr(p, name_of_labels))) for p in (train, test)]
        return _Arrays(parts[0], test=parts[1])
    sample = v2.functional.to_image(train[0][0])
    size = min(sample.shape[-2:])
    return _pictures(train, None, test, size, len({label for _, label in train}))


def _train_and_test(make: Callable[..., Any], root: str) -> tuple[Any, Any]:
    try:
        return make(root, train=True, download=True), make(root, train=False, download=True)
    except TypeError:
        return make(root, split="train", download=True), make(root, split="test", download=True)


def _imagefolder(path: Path, size: int) -> _Sets:
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
) -> _Sets:
    """ImageNet's usual transforms: a random resized crop and flip; a centre crop for judging."""
    last = [
        v2.ToImage(),
        v2.RGB(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
    augment = v2.Compose([v2.RandomResizedCrop(size), v2.RandomHorizontalFlip(), *last])
    prepare = v2.Compose([v2.Resize(round(size / 0.875)), v2.CenterCrop(size), *last])
    return _Sets(train, validation, test, (3, size, size), classes, augment, prepare)


def _custom(spec: DataSpec) -> _Arrays | _Sets:
    load_data = import_dotted(spec.source)
    try:
        given = load_data(**spec.options)
    except Exception as error:  # the user's code may fail in any way
        reason = f"{type(error).__name__}: {_line(error)}"
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
    classes = 1 + max(int(train[index][1]) for index in range(len(train)))
    return _Sets(
        train, validation, test, tuple(sample.shape), classes, torch.as_tensor, torch.as_tensor
    )


def _split(count: int, share: float, *names: int | str) -> tuple[Tensor, Tensor]:
    """Indices of the rest and of ``share`` of ``count`` samples, drawn from the stream of names."""
    order = torch.randperm(count, generator=generator(*names))
    part = round(share * count)
    return order[part:].sort().values, order[:part].sort().values


def _limited(count: int, spec: DataSpec) -> Tensor:
    """Indices of the samples to train on, a random choice of all classes if there is a limit."""
    limit = spec.train_limit or count
    order = torch.randperm(count, generator=generator(spec.split_seed, "train_limit"))
    return order[:limit].sort().values


def _need_validation(spec: DataSpec, count: int) -> None:
    part = round(spec.validation * count)
    if part < 1:
        raise InputError(
            f"task.data.validation: {spec.validation} leaves no validation part; policies and the "
            f"search are judged on it (allowed: a share above 0 that is at least one sample)"
        )
    if part >= count:
        raise InputError(
            f"task.data.validation: {spec.validation} of {count} samples leaves none to train on"
        )


def _classes(arrays: _Arrays, source: str) -> int:
    """The number of classes in all parts. Raises InputError for parts that cannot be."""
    parts = [part for part in (arrays.train, arrays.validation, arrays.test) if part is not None]
    for x, y in parts:
        if len(x) != len(y) or not len(x):
            raise InputError(f"task.data: {source!r} has {len(x)} samples and {len(y)} labels")
        if int(y.min()) < 0:
            raise InputError(f"task.data: {source!r} has label {int(y.min())} (allowed: from 0)")
    return 1 + max(int(y.max()) for _, y in parts)


def _from_arrays(arrays: _Arrays, spec: DataSpec, augment: Augment, device: torch.device) -> Data:
    (x, y), validation, test = arrays.train, arrays.validation, arrays.test
    classes = _classes(arrays, spec.source)
    if augment != Augment() and x.ndim != 4:
        raise InputError(f"task.augment: samples of shape {tuple(x.shape[1:])} are not pictures")
    if test is None:
        rest, part = _split(len(x), spec.test, spec.split_seed, "test")
        if not len(part):
            raise InputError(f"task.data.test: {spec.test} leaves no test part (allowed: above 0)")
        test, (x, y) = (x[part], y[part]), (x[rest], y[rest])
    if validation is None:
        _need_validation(spec, len(x))
        rest, part = _split(len(x), spec.validation, spec.split_seed, "validation")
        validation, (x, y) = (x[part], y[part]), (x[rest], y[rest])
    chosen = _limited(len(x), spec)
    x, y = x[chosen], y[chosen]
    dims = (0, 2, 3) if x.ndim == 4 else (0,)
    mean, deviation = x.mean(dims, keepdim=True), x.std(dims, keepdim=True).clamp_min(1e-3)
    deviation = deviation if x.ndim == 4 else torch.ones_like(deviation) * x.std().clamp_min(1e-3)

    def ready(part: tuple[Tensor, Tensor], change: Augment) -> TensorBatches:
        samples, labels = part
        return TensorBatches(
            ((samples - mean) / deviation).to(device), labels.to(device), change, device
        )

    return Data(
        ready((x, y), augment),
        ready(validation, Augment()),
        ready(test, Augment()),
        tuple(x.shape[1:]),
        classes,
    )


def _from_sets(sets: _Sets, spec: DataSpec) -> Data:
    train, validation, test = sets.train, sets.validation, sets.test
    chosen = torch.arange(len(train))  # type: ignore[arg-type]
    if test is None:
        rest, part = _split(len(chosen), spec.test, spec.split_seed, "test")
        test, chosen = Subset(train, part.tolist()), chosen[rest]
    if validation is None:
        _need_validation(spec, len(chosen))
        rest, part = _split(len(chosen), spec.validation, spec.split_seed, "validation")
        validation, chosen = Subset(train, chosen[part].tolist()), chosen[rest]
    chosen = chosen[_limited(len(chosen), spec)]
    return Data(
        DatasetBatches(Subset(train, chosen.tolist()), sets.augment, spec.workers),
        DatasetBatches(validation, sets.prepare, spec.workers),
        DatasetBatches(test, sets.prepare, spec.workers),
        sets.shape,
        sets.classes,
    )

"""Data: a source's samples in three splits.

A small set becomes one tensor per split on the device; a large one stays a dataset on disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.utils.data import Subset

from pruning.errors import InputError, one_line
from pruning.preprocessing import Preprocessing
from pruning.randomness import generator
from pruning.training.batches import Batches, DatasetBatches, TensorBatches
from pruning.training.samples import Arrays, Sets
from pruning.training.sources import read
from pruning.training.task import Augment, DataSpec


@dataclass(frozen=True)
class Data:
    """Three splits, the shape of a sample and the number of classes.

    preprocessing: what samples went through, from what the source gives; from fractions of the
    right size where pictures have transforms of their own.
    """

    train: Batches
    validation: Batches
    test: Batches
    shape: tuple[int, ...]
    classes: int
    preprocessing: Preprocessing

    @property
    def normalize(self) -> dict[str, list[float]] | None:
        """Mean and standard deviation that samples were given, a channel or feature each."""
        known = self.preprocessing
        return {"mean": list(known.mean), "std": list(known.std)} if known.mean else None


@lru_cache(maxsize=2)
def load(spec_json: str, augment_json: str, device: str) -> Data:
    """The data of a task on a device, kept for the next trial of this process.

    The arguments are the JSON of a DataSpec and of an Augment. Raises InputError.
    """
    spec = DataSpec.model_validate_json(spec_json)
    augment = Augment.model_validate_json(augment_json)
    try:
        source = read(spec)
    except (ValueError, OSError) as error:
        raise InputError(f"task.data: {one_line(error)}") from None
    if isinstance(source, Sets):
        if augment != Augment():
            raise InputError(
                f"task.augment: {spec.source!r} is read sample by sample with transforms of its own"
            )
        return _from_sets(source, spec)
    return _from_arrays(source, spec, augment, torch.device(device))


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


def _classes(arrays: Arrays, source: str) -> int:
    """The number of classes in all parts. Raises InputError for parts that cannot be."""
    parts = [part for part in (arrays.train, arrays.validation, arrays.test) if part is not None]
    for x, y in parts:
        if len(x) != len(y) or not len(x):
            raise InputError(f"task.data: {source!r} has {len(x)} samples and {len(y)} labels")
        if int(y.min()) < 0:
            raise InputError(f"task.data: {source!r} has label {int(y.min())} (allowed: from 0)")
    return 1 + max(int(y.max()) for _, y in parts)


def _from_arrays(arrays: Arrays, spec: DataSpec, augment: Augment, device: torch.device) -> Data:
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
        (arrays.reading or _as_given(x.shape[1:])).normalizing(
            mean.flatten().tolist(), deviation.flatten().tolist()
        ),
    )


def _as_given(shape: tuple[int, ...]) -> Preprocessing:
    return Preprocessing(given=tuple(shape), shape=tuple(shape))


def _from_sets(sets: Sets, spec: DataSpec) -> Data:
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
        _as_given(sets.shape).normalizing(**(sets.normalize or {})),
    )

"""Data: a source's samples in three splits.

A small set becomes one tensor per split on the device; a large one stays a dataset on disk.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Subset

from pruning.errors import InputError, one_line
from pruning.foreign import ExitError, contained
from pruning.preprocessing import Preprocessing
from pruning.randomness import generator
from pruning.reading.given import Arrays, Pair, Sets
from pruning.reading.labels import Classes
from pruning.reading.sources import read
from pruning.reading.spec import Augment, DataSpec
from pruning.reading.target import CLASSES, Target
from pruning.reading.targets import targets_of
from pruning.training.batches import Batches, DatasetBatches, TensorBatches


@dataclass(frozen=True)
class Data:
    """Three splits, the shape of a sample and the number of classes.

    classes: 0 where targets are values. target: what a network is to give for a sample.
    preprocessing: what samples went through, from what the source gives; from fractions of the
    right size where pictures have transforms of their own. class_names: of the classes in their
    order, where they are more than their numbers. check: looks at all samples as far as that can be
    afforded, before anything is trained; raises InputError.
    """

    train: Batches
    validation: Batches
    test: Batches
    shape: tuple[int, ...]
    classes: int
    preprocessing: Preprocessing
    class_names: tuple[str, ...] | None = None
    check: Callable[[], None] = lambda: None
    target: Target = CLASSES

    @property
    def normalize(self) -> dict[str, list[float]] | None:
        """Mean and standard deviation that samples were given, a channel or feature each."""
        known = self.preprocessing
        return {"mean": list(known.mean), "std": list(known.std)} if known.mean else None

    @property
    def outputs(self) -> int:
        """How many outputs a network has: classes, or columns of values."""
        return self.target.shape[0] if self.target.kind == "values" else self.classes


@lru_cache(maxsize=2)
def load(spec_json: str, augment_json: str, device: str) -> Data:
    """The data of a task on a device, kept for the next trial of this process.

    The arguments are the JSON of a DataSpec and of an Augment. What the user is to know of how they
    were read is a warning each. Raises InputError.
    """
    spec = DataSpec.model_validate_json(spec_json)
    augment = Augment.model_validate_json(augment_json)
    with _in_the_field():
        source = read(spec, augment)
        if isinstance(source, Sets):
            return _from_sets(source, spec, augment)
        return _from_arrays(source, spec, augment, torch.device(device))


@contextmanager
def _in_the_field() -> Iterator[None]:
    """What is wrong with the data is said under the name of its field, were it that it exits."""
    try:
        with contained():
            yield
    except InputError:
        raise
    except (ValueError, OSError, ExitError) as error:
        raise InputError(f"task.data: {one_line(error)}") from None


def _say(notes: Iterable[str]) -> None:
    for note in notes:
        warnings.warn(f"task.data: {note}", stacklevel=3)


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


def _labelled(arrays: Arrays, spec: DataSpec) -> tuple[dict[str, Pair], Classes]:
    """Each part with its targets, and the classes."""
    parts = arrays.parts()
    with _in_the_field():
        for name, (x, y) in parts.items():
            count = len(y) if np.ndim(y) else "one value in place of"
            if len(x) != count:
                raise ValueError(
                    f"{spec.source!r} has {len(x)} samples and {count} labels ({name} part)"
                )
        named = {f"the {name} part": part for name, part in parts.items()}
        labels, classes, notes = targets_of(named, arrays.names, spec)
    _say((*arrays.notes, *notes))
    return {name: (x, labels[f"the {name} part"]) for name, (x, _) in parts.items()}, classes


def _from_arrays(arrays: Arrays, spec: DataSpec, augment: Augment, device: torch.device) -> Data:
    parts, classes = _labelled(arrays, spec)
    x, y = parts["training"]
    validation, test = parts.get("validation"), parts.get("test")
    _refuse_augment(augment, x, y)
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
    mean, deviation = _scale(x, augment)

    def ready(part: Pair, change: Augment) -> TensorBatches:
        samples, labels = part
        return TensorBatches(
            ((samples - mean) / deviation).to(device), labels.to(device), change, device
        )

    return Data(
        ready((x, y), augment),
        ready(validation, Augment()),
        ready(test, Augment()),
        tuple(x.shape[1:]),
        len(classes),
        (arrays.reading or _as_given(x.shape[1:])).normalizing(
            mean.flatten().tolist(), deviation.flatten().tolist()
        ),
        classes.names,
        target=Target.of(y),
    )


def _refuse_augment(augment: Augment, x: Tensor, y: Tensor) -> None:
    """Raises InputError for changes that samples held in memory cannot be given."""
    if (augment.crop or augment.flip) and y.ndim > 2:
        raise InputError("task.augment: pictures would move, and what is said of their pixels not")
    if augment != Augment() and x.ndim != 4:
        raise InputError(f"task.augment: samples of shape {tuple(x.shape[1:])} are not pictures")
    for field, asked in (("crop", augment.crop == "resized"), ("transform", augment.transform)):
        if asked:
            raise InputError(
                f"task.augment.{field}: {getattr(augment, field)!r} is for pictures that are read "
                f"one by one; these are held in memory (allowed: crop in pixels, flip, mean, std)"
            )


def _scale(x: Tensor, augment: Augment) -> tuple[Tensor, Tensor]:
    """Mean and deviation that samples are given: a channel, or feature, each.

    Those of features are taken in double precision, and one that never changes is left as it is.
    """
    if x.ndim == 2:
        changes = x.amax(0, keepdim=True) > x.amin(0, keepdim=True)
        spread = x.double().std(0, keepdim=True).float()
        fine = changes & (spread > 0)
        return x.double().mean(0, keepdim=True).float(), torch.where(fine, spread, 1.0)
    dims = (0, *range(2, x.ndim))
    given = augment.normalize(x.shape[1])
    if given:
        shape = (1, -1, *(1 for _ in dims[1:]))
        return torch.tensor(given["mean"]).view(shape), torch.tensor(given["std"]).view(shape)
    return x.mean(dims, keepdim=True), x.std(dims, keepdim=True).clamp_min(1e-3)


def _as_given(shape: tuple[int, ...]) -> Preprocessing:
    return Preprocessing(given=tuple(shape), shape=tuple(shape))


def _from_sets(sets: Sets, spec: DataSpec, augment: Augment) -> Data:
    if augment != Augment() and not sets.movable:
        raise InputError(
            f"task.augment: {spec.source!r} is read sample by sample with transforms of its own"
        )
    _say(sets.notes)
    train, validation, test = sets.train, sets.validation, sets.test
    chosen = torch.arange(len(train))  # type: ignore[arg-type]
    if test is None:
        rest, part = _split(len(chosen), spec.test, spec.split_seed, "test")
        if not len(part):
            raise InputError(f"task.data.test: {spec.test} leaves no test part (allowed: above 0)")
        test, chosen = Subset(train, part.tolist()), chosen[rest]
    if validation is None:
        _need_validation(spec, len(chosen))
        rest, part = _split(len(chosen), spec.validation, spec.split_seed, "validation")
        validation, chosen = Subset(train, chosen[part].tolist()), chosen[rest]
    chosen = chosen[_limited(len(chosen), spec)]
    batches = partial(DatasetBatches, workers=spec.workers, label=sets.label)

    def check() -> None:
        with _in_the_field():
            sets.check()

    return Data(
        batches(Subset(train, chosen.tolist()), sets.augment),
        batches(validation, sets.prepare),
        batches(test, sets.prepare),
        sets.shape,
        sets.classes,
        _as_given(sets.shape).normalizing(**(sets.normalize or {})),
        sets.class_names,
        check,
        sets.target,
    )

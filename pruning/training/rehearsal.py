"""One step of a training, and a snapshot of it: what would fail every trial fails beforehand."""

from __future__ import annotations

import itertools

import torch

from pruning.errors import InputError
from pruning.randomness import global_stream
from pruning.structure.copies import first_line
from pruning.structure.units import UntraceableError
from pruning.training import snapshot
from pruning.training.loop import Training
from pruning.training.task import Task


def rehearse(task: Task, seed: int) -> None:
    """Train a step on two samples, and go on from a snapshot of it.

    An optimizer that is none of ours trains one more, to see that it keeps all of its state where
    snapshots look for it. Raises InputError, one line.
    """
    try:
        task.schedule.check(task.epochs, task.optimizer.lr)
    except ValueError as error:
        raise InputError(f"task.schedule: {error}") from None
    try:
        training = Training(task, seed)
    except UntraceableError as error:
        raise InputError(f"task.model: {error}") from None
    except InputError:
        raise
    except ValueError as error:  # an optimizer that no network can lose units under
        raise InputError(f"task.optimizer: {error}") from None
    training.begin()
    _step(training)
    again = _resumed(training)
    if task.optimizer.own_code:
        for one in (training, again):
            _step(one)
        if _differ(training, again):
            raise InputError(
                f"task.optimizer: {task.optimizer.name!r} keeps state where a snapshot does not "
                "find it; a training that is resumed would differ"
            )


def _step(training: Training) -> None:
    sample = training.pruner.network.sample
    assert sample is not None
    training.model.train()
    [(x, y)] = itertools.islice(sample.batches(), 1)
    try:
        with global_stream(training.device, training.seed, "rehearsal"):
            loss = sample.loss(training.model, (x[:2], y[:2]))
            loss.backward()  # type: ignore[no-untyped-call]
    except Exception as error:  # a user's model may fail in any way
        raise InputError(f"task.model: its first step fails ({first_line(error)})") from None
    try:
        training.step_optimizers()
    except Exception as error:  # so may an optimizer
        name = training.task.optimizer.name
        raise InputError(f"task.optimizer: {name!r} fails ({first_line(error)})") from None


def _resumed(training: Training) -> Training:
    records = training.pruner.records
    try:
        data = snapshot.take(training)
        again = snapshot.resume(data, training.task, training.seed, records)
    except Exception as error:  # a module's own extra state may fail in any way
        raise InputError(
            f"task.model: a snapshot of it cannot be taken and restored ({first_line(error)})"
        ) from None
    if different := _differ(training, again):
        raise InputError(f"task.model: {different} is not the same after a snapshot is restored")
    return again


def _bits(training: Training) -> dict[str, torch.Tensor]:
    state = training.model.state_dict()
    return {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}


def _differ(one: Training, other: Training) -> str | None:
    """The name of a tensor that has other bits in it; None if all are the same."""
    there = _bits(other)
    for name, value in _bits(one).items():
        if not torch.equal(value.nan_to_num(), there[name].nan_to_num()):
            return name
    return None

"""A step trained, and a snapshot restored, before a sweep stands on them."""

from __future__ import annotations

import itertools

import torch

from pruning.errors import InputError
from pruning.foreign import ForeignError, contained, foreign, told
from pruning.randomness import global_stream
from pruning.structure.units import UntraceableError
from pruning.training import snapshot
from pruning.training.data import Data
from pruning.training.first_step import try_outputs, try_step
from pruning.training.loop import Training, open_data, open_model
from pruning.training.objective_trial import try_objective
from pruning.training.task import Task


def rehearse(task: Task, seed: int) -> Training:
    """Make a step, and go on from a snapshot of it; the training, on the CPU.

    An optimizer that is none of ours trains one more, to see that it keeps all of its state where
    snapshots look for it. Raises InputError, one line.
    """
    training = _opened(task, seed, open_data(task, torch.device("cpu")))
    training.begin()
    again = _resumed(training)
    if task.optimizer.own_code:
        try:
            with foreign(f"{task.optimizer.name!r} cannot make a second step"):
                for one in (training, again):
                    _step(one)
        except ValueError as error:
            raise InputError(f"task.optimizer: {error}") from None
        if _differ(training, again):
            raise InputError(
                f"task.optimizer: {task.optimizer.name!r} keeps state where a snapshot does not "
                "find it; a training that is resumed would differ"
            )
    return training


def _opened(task: Task, seed: int, data: Data) -> Training:
    """A training that has made a step, and undone it. Raises InputError."""
    try:
        try:
            with foreign(f"model: {task.model.name!r} cannot be traced"):
                training = Training(task, seed)
        except (UntraceableError, ForeignError):
            try_outputs(task, data, open_model(task, data, seed))  # which may have a plainer reason
            raise
        batch = try_outputs(task, data, training.model)
        try_objective(task, data, training.model)
        try_step(training, batch)
        return training
    except UntraceableError as error:
        raise InputError(f"task.model: {error}") from None
    except ValueError as error:
        raise InputError(f"task.{str(error).removeprefix('task.')}") from None


def _step(training: Training) -> None:
    sample = training.pruner.network.sample
    assert sample is not None
    training.model.train()
    [batch] = itertools.islice(sample.batches(), 1)
    with global_stream(training.device, training.seed, "rehearsal"):
        loss = sample.loss(training.model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
    training.step_optimizers()


def _resumed(training: Training) -> Training:
    records = training.pruner.records
    try:
        with contained():
            data = snapshot.take(training)
            again = snapshot.resume(data, training.task, training.seed, records)
    except snapshot.OptimizerStateError as error:
        name = training.task.optimizer.name
        raise InputError(f"task.optimizer: no snapshot of {name!r} can be taken: {error}") from None
    except Exception as error:  # a module's own extra state may fail in any way
        raise InputError(
            f"task.model: a snapshot of it cannot be taken and restored ({told(error)})"
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

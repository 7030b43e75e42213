"""A step trained, and a snapshot restored, before a sweep stands on them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn

from pruning.errors import InputError
from pruning.foreign import ForeignError, foreign
from pruning.randomness import generator, global_stream
from pruning.saliency import Probe
from pruning.structure.units import UntraceableError
from pruning.training import models, snapshot
from pruning.training.first_step import FEW, try_outputs, try_step, try_task_outputs
from pruning.training.loop import Training, open_data, open_model
from pruning.training.models import Shape
from pruning.training.objective_trial import try_objective
from pruning.training.task import ModelSpec, Task
from pruning.training.twice import try_twice


def rehearse(task: Task, seed: int) -> Training:
    """Make a step, and go on from a snapshot of it; the training, on the CPU.

    An optimizer that is none of ours trains one more, to see that it keeps all of its state where
    snapshots look for it. Raises InputError, one line.
    """
    try:
        training = opened(task, seed)
    except UntraceableError as error:
        raise InputError(f"task.model: {error}") from None
    with walled(task.model.name):
        training.begin()
    try_snapshot(training)
    return training


def opened(task: Task, seed: int, probes: Sequence[Probe] = ()) -> Training:
    """A training that has made a step, and undone it.

    Raises InputError, one line; of which UntraceableError, if nothing of the network can go.
    """
    with walled(task.model.name):
        data, name = open_data(task, torch.device("cpu")), task.model.name
        if not models.is_known(name):
            try_twice(name, partial(open_model, task, data, seed), data.shape)
        try:
            with foreign(f"task.model: {name!r} cannot be traced"):
                training = Training(task, seed, probes)
        except (UntraceableError, ForeignError):
            try_task_outputs(task, data, open_model(task, data, seed))  # which may be plainer
            raise
        except InputError as error:  # a Pruner knows of no task
            raise InputError(f"task.{str(error).removeprefix('task.')}") from None
        batch = try_task_outputs(task, data, training.model)
        try_objective(task, data, training.model)
        try_step(training, batch)
        return training


@contextmanager
def walled(name: str) -> Iterator[None]:
    """Whatever fails is an InputError: the network of that name may be a user's code."""
    try:
        with foreign(f"task.model: {name!r} fails when it is tried"):
            yield
    except ForeignError as error:
        raise InputError(str(error)) from None


def tried_model(spec: ModelSpec, shape: Shape, classes: int) -> nn.Module:
    """A network for which there are no data, tried on noise if it is a user's own.

    Raises InputError or ForeignError, one line.
    """
    build = partial(models.build, spec.name, spec.options, shape, classes, output=None)
    model = build()
    if not models.is_known(spec.name):
        try_twice(spec.name, build, shape)
        noise = torch.randn(FEW, *shape, generator=generator("rehearsal"))
        try_outputs(spec.name, model, noise, noise)
    return model


def try_snapshot(training: Training) -> None:
    """Raise InputError if the training is another one after a snapshot of it is restored."""
    with walled(training.task.model.name):
        again = _resumed(training)
        if training.task.optimizer.own_code:
            for one in (training, again):
                _step(one)
            if _differ(training, again):
                raise InputError(
                    f"task.optimizer: {training.task.optimizer.name!r} keeps state where a "
                    "snapshot does not find it; a training that is resumed would differ"
                )


def _step(training: Training) -> None:
    sample = training.pruner.network.sample
    assert sample is not None
    with foreign(f"task.optimizer: {training.task.optimizer.name!r} fails in a second step"):
        training.model.train()
        [batch] = itertools.islice(sample.batches(), 1)
        with global_stream(training.device, training.seed, "rehearsal"):
            loss = sample.loss(training.model, batch)
            loss.backward()  # type: ignore[no-untyped-call]
        training.step_optimizers()


def _resumed(training: Training) -> Training:
    records = training.pruner.records
    with foreign("task.model: a snapshot of it cannot be taken and restored"):
        try:
            data = snapshot.take(training)
            again = snapshot.resume(data, training.task, training.seed, records)
        except snapshot.OptimizerStateError as error:
            name = training.task.optimizer.name
            raise InputError(
                f"task.optimizer: no snapshot of {name!r} can be taken: {error}"
            ) from None
        if different := _differ(training, again):
            raise InputError(
                f"task.model: {different} is not the same after a snapshot is restored"
            )
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

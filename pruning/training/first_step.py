"""One step of a training, tried before a sweep stands on it: what it cannot do, no epoch can."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from pruning.errors import InputError
from pruning.foreign import foreign
from pruning.structure.aside import untouched
from pruning.training.batches import Batch
from pruning.training.data import Data
from pruning.training.loop import Training
from pruning.training.outputs import main_output
from pruning.training.task import Task

FEW = 4
"""Samples of the step: enough for batch norm, and not too many for a large network on a CPU."""

_ANY_SIZE = "a network is given batches of any size"


def first(batches: Iterable[Batch]) -> Batch:
    """The first of them. Raises ForeignError, one line, if its samples cannot be read."""
    with foreign("task.data: samples cannot be read"):
        return next(iter(batches))


def try_task_outputs(task: Task, data: Data, model: nn.Module) -> Batch:
    """``try_outputs`` of the task's own samples; some to learn."""
    samples, _ = first(data.validation.in_order(FEW))
    batch = first(data.train.shuffled(min(FEW, task.batch_size), 0, 0))
    try_outputs(task.model.name, model, samples, batch[0])
    return batch


def try_outputs(model_name: str, model: nn.Module, samples: Tensor, learned_from: Tensor) -> None:
    """See what a network on the CPU gives for a few samples in either mode.

    It is left as it was. Raises InputError or ForeignError, one line that begins with the field of
    the task, where it fails, or its outputs are no finite numbers, have another shape while it
    trains, or depend on no parameter.
    """
    name = f"task.model: {model_name!r}"
    with untouched(model):
        with torch.no_grad():
            judged = _outputs(model.eval(), f"{name} in evaluation", (samples[:1], samples))
        learned = _outputs(model.train(), f"{name} in training", (learned_from,))
    shapes = [_shape(outputs[-1]) for outputs in (learned, judged)]
    if shapes[0] != shapes[1]:
        raise InputError(f"{name} gives {shapes[0]} in training, and {shapes[1]} in evaluation")
    if not learned[0].requires_grad:
        raise InputError(f"{name} gives an output that depends on no parameter: it is detached")


def try_step(training: Training, batch: Batch) -> None:
    """Learn from a batch, a forward and a backward pass and a step.

    The network is left as it was, its optimizer is not. Raises as ``try_outputs`` does,
    where loss or gradients are no finite numbers, or the optimizer cannot make the step.
    """
    task, name = training.task, f"task.model: {training.task.model.name!r}"
    sample = training.pruner.network.sample
    assert sample is not None
    with untouched(training.model):
        training.model.train()
        with foreign(f"{name} fails in a step of training"):
            loss = sample.loss(training.model, batch)
            loss.backward()  # type: ignore[no-untyped-call]
        if not loss.isfinite():
            raise InputError(f"{name} has a loss of {float(loss)} before it is trained")
        named = training.model.named_parameters()
        for where, gradient in ((where, p.grad) for where, p in named if p.grad is not None):
            if not gradient.isfinite().all():
                raise InputError(f"{name} has a gradient that is no finite number, of {where!r}")
        _try_optimizer(training, task)


def _try_optimizer(training: Training, task: Task) -> None:
    """A step at the first rate of the schedule, which has rates to the end."""
    with foreign(f"task.schedule: {task.schedule.name!r} has no rates"):
        task.schedule.check(task.epochs, task.optimizer.lr)
    with foreign(f"task.optimizer: {task.optimizer.name!r} cannot make a step"):
        training.step_optimizers()


def _outputs(model: nn.Module, what: str, batches: Sequence[Tensor]) -> list[Tensor]:
    found = []
    for samples in batches:
        count = len(samples)
        with foreign(f"{what} fails for a batch of {count}", _ANY_SIZE):
            output = main_output(model(samples))
        if output.shape[:1] != (count,):
            raise InputError(f"{what} gives {tuple(output.shape)} for a batch of {count}")
        if not samples.isfinite().all():
            raise InputError(
                "task.data: samples are not finite once they are scaled (values too large for "
                "float32, or a transform of one's own)"
            )
        if output.isnan().any():
            raise InputError(f"{what} gives outputs that are no numbers (nan)")
        if not output.isfinite().all():
            raise InputError(f"{what} gives outputs that are infinite (inf)")
        found.append(output)
    return found


def _shape(output: Tensor) -> str:
    return f"[{', '.join(map(str, ('batch', *output.shape[1:])))}]"

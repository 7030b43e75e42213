"""A loss and metrics tried on a few samples, before a training stands on them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pruning.errors import InputError
from pruning.structure.aside import untouched
from pruning.training.batches import Batch, TensorBatches
from pruning.training.data import Data
from pruning.training.objective import Objective, scalar
from pruning.training.outputs import main_output
from pruning.training.task import Task

JUDGED = 8
"""So many validation samples a metric is tried on."""


def try_objective(task: Task, data: Data, model: nn.Module) -> None:
    """Raise InputError if targets, loss or a metric will not do. The model is left as it was.

    What is ours and of classes needs no trial.
    """
    if task.loss.name == "bce_with_logits":
        _try_labels(data)
    own = [spec.short for spec in task.judged_by if not spec.ours]
    if not task.loss.own and not own:
        return
    objective = Objective.of(task, data, torch.device("cpu"))
    with untouched(model):
        if task.loss.own:
            _try_loss(task.loss.name, objective, model.train(), next(data.train.shuffled(2, 0, 0)))
        _try_metrics(objective, model.eval(), next(iter(data.validation.in_order(JUDGED))))


def _try_labels(data: Data) -> None:
    for part in (data.train, data.validation, data.test):
        if isinstance(part, TensorBatches) and (part.y.min() < 0 or part.y.max() > 1):
            low, high = float(part.y.min()), float(part.y.max())
            raise InputError(
                f"task.loss: bce_with_logits takes targets from 0 to 1; the data has "
                f"{low:g} to {high:g}"
            )


def _try_loss(name: str, objective: Objective, model: nn.Module, batch: Batch) -> None:
    x, y = batch
    try:
        loss = objective.loss(model(x), y)
    except Exception as error:  # one's own code may fail in any way
        raise InputError(f"task.loss: {name!r} fails on two samples: {_reason(error)}") from None
    why = _not_a_loss(loss)
    if why:
        raise InputError(f"task.loss: {name!r} {why}; a finite scalar with a gradient is needed")
    try:
        loss.backward()  # type: ignore[no-untyped-call]
        objective.step(model(x), y)
    except Exception as error:
        raise InputError(f"task.loss: {name!r} fails on two samples: {_reason(error)}") from None


def _not_a_loss(loss: object) -> str:
    if not isinstance(loss, Tensor):
        return f"gives {type(loss).__name__}"
    if loss.ndim:
        return f"gives a tensor of shape {tuple(loss.shape)}"
    if not loss.requires_grad:
        return "gives a loss that depends on no weight"
    value = float(loss.detach())
    return "" if math.isfinite(value) else f"gives {value} on two samples"


def _try_metrics(objective: Objective, model: nn.Module, batch: Batch) -> None:
    x, y = batch
    with torch.no_grad():
        output = main_output(model(x))
    for name, stream in objective.streams().items():
        try:
            stream.update(output, y)
            value = stream.compute()
        except Exception as error:
            told = f"task.metrics: {name} fails on {len(x)} samples: {_reason(error)}"
            raise InputError(told) from None
        scalar(name, value)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"

"""Trying things out on a network that trains, and leaving it as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Loss = Callable[[nn.Module, Any], Tensor]
"""From a model and a batch to its mean loss, a scalar with a gradient."""


@dataclass(frozen=True)
class Sample:
    """A few batches to measure on beside training, the same every time.

    batches: called, gives them anew. loss: of a model on one of them.
    """

    batches: Callable[[], Iterable[Any]]
    loss: Loss


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Gradients, weights, buffers, modes and random states are as before afterwards.

    Inside, gradients are None to begin with. Weights must be changed in place only.
    """
    modes = [(module, module.training) for module in model.modules()]
    parameters = list(model.parameters())
    gradients = [parameter.grad for parameter in parameters]
    kept = [tensor.detach().clone() for tensor in (*parameters, *model.buffers())]
    devices = {tensor.device for tensor in parameters if tensor.device.type == "cuda"}
    for parameter in parameters:
        parameter.grad = None
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        with torch.no_grad():
            for tensor, before in zip((*parameters, *model.buffers()), kept, strict=True):
                tensor.copy_(before)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        for module, training in modes:
            module.training = training

"""What of a network runs in training, and not in evaluation, and whether it trains."""

from __future__ import annotations

from collections.abc import Container, Iterator, Set
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from pruning.structure.copies import copy_model, tensors_in
from pruning.structure.dry import dry_run
from pruning.structure.reasons import DIVERGING, Reason, untrained


@contextmanager
def reached(model: nn.Module) -> Iterator[set[str]]:
    """The names of the modules that forward passes in here have reached so far."""
    called: set[str] = set()
    hooks = [
        module.register_forward_pre_hook(lambda *_, name=name: called.add(name))
        for name, module in model.named_modules()
    ]
    try:
        yield called
    finally:
        for hook in hooks:
            hook.remove()


def training_only(model: nn.Module, args: tuple[Any, ...], evaluated: Set[str]) -> list[str]:
    """Names of layers with weights that a forward pass reaches in training mode alone.

    A model whose forward pass in training mode fails on these arguments counts as having none.

    evaluated: names of the modules that one in evaluation mode reaches.
    """
    layers = {
        name
        for name, module in model.named_modules()
        if any(True for _ in module.parameters(recurse=False))
        # an attention's, which reads its weights and never calls it
        and not isinstance(module, NonDynamicallyQuantizableLinear)
    }
    silent = layers - evaluated
    if not silent:
        return []
    try:
        # two samples: a batch norm in training wants more than one value
        return sorted(silent & dry_run(model, args, _trained, 2))
    except Exception:  # a user's model may fail in any way
        return []


def _trained(model: nn.Module, args: tuple[Any, ...]) -> set[str]:
    with reached(model.train()) as called:
        model(*args)
    return called


def training_fault(model: nn.Module, args: tuple[Any, ...], names: Container[str]) -> Reason | None:
    """What goes wrong in a forward and a backward pass in training mode.

    No optimizer steps: what it does to a parameter depends on no other one's size. Buffers stay as
    they are.

    names: of the parameters that get gradients.
    """
    trained = copy_model(model, lambda t: t).train()
    for buffer in trained.buffers():
        buffer.data = buffer.clone()
    parameters = [p for name, p in trained.named_parameters() if name in names]
    for parameter in parameters:
        parameter.requires_grad_(True)
    try:
        outputs = [t for t in tensors_in(trained(*args)) if t.requires_grad]
        torch.autograd.backward([_loss(t) for t in outputs])
    except Exception as error:  # a user's model may fail in any way
        return untrained(error, _where(error, trained))
    gradients = (p.grad for p in parameters if p.grad is not None)
    finite = all(bool(t.isfinite().all()) for t in (*outputs, *gradients))
    return None if finite else DIVERGING


def _loss(output: Tensor) -> Tensor:
    return output.abs().square().mean()


def _where(error: Exception, model: nn.Module) -> str:
    """The innermost module in whose code an error arose; empty if that is none of the model's."""
    names = {id(module): name for name, module in model.named_modules()}
    found, trace = "", error.__traceback__
    while trace:
        code, values = trace.tb_frame.f_code, trace.tb_frame.f_locals
        owner = values.get(code.co_varnames[0]) if code.co_argcount else None
        found = names.get(id(owner), found)
        trace = trace.tb_next
    return found

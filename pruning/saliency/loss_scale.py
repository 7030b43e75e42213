"""Gradients of a scaled loss, measured as if it had no scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler, OptState
from torch.optim import Optimizer

from pruning.structure.optimizers import with_inner


class LossScale:
    """What a GradScaler multiplied the loss with, taken out again where something is measured.

    scaler: of the loop, None where it has none. It is only looked at. Whether gradients carry its
    scale depends on the optimizer: they do until ``scaler.unscale_(optimizer)``.
    """

    def __init__(self, scaler: GradScaler | None, optimizers: Sequence[Optimizer]) -> None:
        self._scaler = scaler if scaler is not None and scaler.is_enabled() else None
        self._optimizers = optimizers

    def out_of(self, gradient: Tensor) -> Tensor:
        """The gradient without the scale; it must carry it."""
        if self._scaler is None:
            return gradient
        return gradient / self._scaler.scale(torch.ones((), device=gradient.device))

    @contextmanager
    def taken_out(self, model: nn.Module) -> Iterator[None]:
        """No parameter's gradient carries the scale in here; afterwards all are as before."""
        scaled = list(self._scaled(model)) if self._scaler else []
        try:
            for parameter, gradient in scaled:
                parameter.grad = self.out_of(gradient).to(gradient.dtype)
            yield
        finally:
            for parameter, gradient in scaled:
                parameter.grad = gradient

    def _scaled(self, model: nn.Module) -> Iterator[tuple[nn.Parameter, Tensor]]:
        clean = {id(p) for one in self._optimizers if self._done(one) for p in _held(one)}
        for parameter in model.parameters():
            if parameter.grad is not None and id(parameter) not in clean:
                yield parameter, parameter.grad

    def _done(self, optimizer: Optimizer) -> bool:
        """Whether ``unscale_`` was called for this step."""
        states = self._scaler._per_optimizer_states if self._scaler else {}
        found = [states[id(one)] for one in with_inner(optimizer) if id(one) in states]
        return any(state["stage"] is not OptState.READY for state in found)


def _held(optimizer: Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]

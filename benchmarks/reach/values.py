"""Copies of a network with values of which none hides a fault."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, a shared one once."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors in what a network takes or returns."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from tensors_in(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from tensors_in(getattr(value, field.name))


def copied(model: nn.Module) -> nn.Module:
    """A copy; tensors of the last forward pass that modules keep are detached in it."""
    memo: dict[int, Any] = {}
    for module in model.modules():
        for value in vars(module).values():
            for tensor in tensors_in(value):
                if tensor.grad_fn is not None:
                    memo[id(tensor)] = tensor.detach()
    return copy.deepcopy(model, memo)


def scrambled(
    model: nn.Module, args: tuple[Any, ...], dtype: torch.dtype
) -> tuple[nn.Module, tuple[Any, ...]]:
    """A copy with random weights, whose activations are of order one, and inputs of its precision.

    A fresh network hides faults: zeros let nothing through, equal statistics fit in any order.
    Statistics of batch norms come from one batch, and are moved then. Raises what the copy raises.
    """
    rng = torch.Generator().manual_seed(7)
    twin = copied(model).to(dtype)
    given = _cast(args, dtype)
    with torch.no_grad():
        for name, parameter in twin.named_parameters():
            if parameter.is_floating_point():
                parameter.copy_(_drawn(name, parameter, rng))
        _settle(twin, given, rng)
        twin(*given)
    return twin, given


def _drawn(name: str, old: Tensor, rng: torch.Generator) -> Tensor:
    if old.numel() == max(old.shape, default=1):
        if name.endswith("bias"):
            return 0.2 * torch.randn(old.shape, generator=rng, dtype=old.dtype)
        return 0.5 + torch.rand(old.shape, generator=rng, dtype=old.dtype)
    read = old[0].numel() if len(old) > 1 else 1
    drawn: Tensor = torch.randn(old.shape, generator=rng, dtype=old.dtype)
    return drawn.mul_((1.5 / read) ** 0.5)


def _settle(model: nn.Module, args: tuple[Any, ...], rng: torch.Generator) -> None:
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_var is not None]
    for norm in norms:
        norm.momentum, norm.training = 1.0, True
    if norms:
        model.eval()
        for norm in norms:
            norm.train()
        model(*args)
        model.eval()
    for norm in norms:
        mean, var = norm.running_mean, norm.running_var
        assert mean is not None
        assert var is not None
        var.clamp_(min=1e-2)
        mean.add_(0.3 * var.sqrt() * torch.randn(mean.shape, generator=rng, dtype=mean.dtype))
        var.mul_(0.7 + 0.6 * torch.rand(var.shape, generator=rng, dtype=var.dtype))
    model.eval()


def _cast(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, dict):
        return {key: _cast(item, dtype) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_cast(item, dtype) for item in value)
    return value

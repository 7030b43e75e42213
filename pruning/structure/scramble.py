"""Random weights and statistics under which nothing hides, and activations stay of order one.

Fresh networks hide mistakes: a zero head or a zero-gamma block lets nothing through, and equal
statistics look alike in any order. Freely drawn weights hide them too: where activations grow from
layer to layer, rounding grows with them, until it cannot be told from a fault. So one batch goes
through the network, each layer is scaled to what comes out of it, and each batch norm takes its
statistics from what goes in, then moves them a little.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from pruning.structure.copies import begin_anew, copy_model


def scrambled_copy(model: nn.Module, args: tuple[Any, ...], dtype: torch.dtype) -> nn.Module:
    """A copy on the CPU in eval mode with weights from a generator of its own.

    Raises whatever the forward pass on `args` does.
    """
    drawn = {id(p) for p in model.parameters() if p.is_floating_point()}

    def moved(t: Tensor) -> Tensor:
        wanted = dtype if t.is_floating_point() else t.dtype
        if id(t) in drawn:
            return torch.empty_like(t, device="cpu", dtype=wanted)
        return t.to("cpu", wanted, copy=True)

    twin = copy_model(model, moved)
    scramble(twin, args, seed=0)
    return twin


@torch.no_grad()
def scramble(
    model: nn.Module, args: tuple[Any, ...], seed: int, names: Container[str] | None = None
) -> None:
    """Draw weights anew, then scale their layers and set statistics by one pass on `args`.

    names: of the parameters to draw, all if None. They and buffers get storage of their own, so
    that copies which share it are not changed.
    """
    rng = torch.Generator().manual_seed(seed)
    drawn = [p for name, p in model.named_parameters() if names is None or name in names]
    for p in drawn:
        p.data = _drawn(p, rng)
    for b in model.buffers():
        b.data = b.detach().clone()
    ids = {id(p) for p in drawn}
    hooks = []
    for module in model.modules():
        if isinstance(module, _NormBase):
            hook = module.register_forward_pre_hook(lambda m, x: _take_statistics(m, x, rng))
            hooks.append(hook)
        elif isinstance(module, (_ConvNd, nn.Linear)) and ids.issuperset(
            map(id, module.parameters(recurse=False))
        ):
            hooks.append(module.register_forward_hook(_scale))
    try:
        model(*args)
    finally:
        for hook in hooks:
            hook.remove()
    begin_anew(model)


def _drawn(p: Tensor, rng: torch.Generator) -> Tensor:
    if not p.is_floating_point():
        return p.detach().clone()
    new = torch.empty_like(p)
    if p.dim() < 2:
        return new.uniform_(0.5, 1.5, generator=rng)
    bound = (6 * p.shape[0] / max(p.numel(), 1)) ** 0.5
    return new.uniform_(-bound, bound, generator=rng)


def _scale(module: nn.Module, given: object, out: object) -> object:
    """Divide a layer by the size of its outputs."""
    if not isinstance(out, Tensor) or not out.is_floating_point():
        return out
    size = float(out.square().mean().sqrt())
    if not 0 < size < float("inf"):
        return out
    for p in module.parameters(recurse=False):
        p.div_(size)
    return out / size


def _take_statistics(norm: nn.Module, given: tuple[Any, ...], rng: torch.Generator) -> None:
    mean, var = norm._buffers.get("running_mean"), norm._buffers.get("running_var")
    if mean is None or var is None or not given or given[0].shape[1:2] != mean.shape:
        return
    x = given[0]
    rest = [dim for dim in range(x.dim()) if dim != 1]
    # mixed with the others': divided by the spread of a dead channel, anything would grow
    found = x.var(rest, correction=0)
    spread = (found + found.mean()) / 2 + 1e-3
    var.copy_(spread * _between(0.5, 1.5, var, rng))
    mean.copy_(x.mean(rest) + spread.sqrt() * _between(-0.5, 0.5, mean, rng))


def _between(low: float, high: float, like: Tensor, rng: torch.Generator) -> Tensor:
    return torch.empty_like(like).uniform_(low, high, generator=rng)

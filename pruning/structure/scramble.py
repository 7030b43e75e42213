"""Random weights and statistics under which nothing hides, and activations stay of order one.

Fresh networks hide mistakes: a zero head or a zero-gamma block lets nothing through, and equal
statistics look alike in any order. Freely drawn weights hide them too: where activations grow from
layer to layer, rounding grows with them, until it cannot be told from a fault. So one batch goes
through the network, each layer is scaled to what comes out of it, and each batch norm takes its
statistics from what goes in, then moves them a little.
"""

from __future__ import annotations

from collections.abc import Container
from functools import partial
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
    twin = drawn_copy(model, dtype)
    settle(twin, args, seed=0)
    return twin


def drawn_copy(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy on the CPU in eval mode with weights drawn anew, that are not scaled yet."""
    numbers = _Numbers(0)

    def moved(t: Tensor) -> Tensor:
        return t.to("cpu", dtype if t.is_floating_point() else t.dtype, copy=True)

    def drawn(t: Tensor) -> Tensor:
        return _drawn(t, numbers, dtype) if t.is_floating_point() else moved(t)

    return copy_model(model, moved, drawn)


def scramble(model: nn.Module, args: tuple[Any, ...], seed: int, names: Container[str]) -> None:
    """Draw some weights of a copy anew, and settle it.

    names: of the parameters to draw. They and buffers get storage of their own, so that copies
    which share it are not changed.
    """
    numbers = _Numbers(seed)
    for name, p in model.named_parameters():
        if name in names:
            p.data = _drawn(p, numbers, p.dtype) if p.is_floating_point() else p.detach().clone()
    for b in model.buffers():
        b.data = b.detach().clone()
    settle(model, args, seed, names)


@torch.no_grad()
def settle(
    model: nn.Module, args: tuple[Any, ...], seed: int, names: Container[str] | None = None
) -> None:
    """Scale layers and set statistics by one pass on `args`.

    names: of the parameters that may be scaled, all if None.
    """
    begin_anew(model)
    ids = {id(p) for name, p in model.named_parameters() if names is None or name in names}
    numbers = _Numbers(seed)
    hooks = []
    for module in model.modules():
        if isinstance(module, _NormBase):
            hook = module.register_forward_pre_hook(partial(_take_statistics, numbers))
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


class _Numbers:
    """Numbers between -1 and 1, drawn once and read round and round.

    To draw each anew took a tenth of the time of a trace. They are so many, a prime number, that no
    two channels of a layer get the same, but in one of more channels than that.
    """

    def __init__(self, seed: int) -> None:
        rng = torch.Generator().manual_seed(seed)
        self._drawn = torch.empty(65_537, dtype=torch.float64).uniform_(-1, 1, generator=rng)
        self._next = 0

    def fill(self, new: Tensor, middle: float, bound: float) -> Tensor:
        """Put the next ones, from `middle - bound` to `middle + bound`, into a dense tensor."""
        flat = new.as_strided((new.numel(),), (1,))
        while len(flat):
            part = self._drawn[self._next : self._next + len(flat)]
            torch.mul(part, bound, out=flat[: len(part)])
            flat, self._next = flat[len(part) :], (self._next + len(part)) % len(self._drawn)
        return new.add_(middle) if middle else new


def _drawn(p: Tensor, numbers: _Numbers, dtype: torch.dtype) -> Tensor:
    new = torch.empty_like(p, device="cpu", dtype=dtype)
    if p.dim() < 2:
        return numbers.fill(new, 1, 0.5)
    return numbers.fill(new, 0, (6 * p.shape[0] / max(p.numel(), 1)) ** 0.5)


def _scale(module: nn.Module, given: object, out: object) -> object:
    """Divide a layer by the size of its outputs."""
    if not isinstance(out, Tensor) or not out.is_floating_point():
        return out
    size = float(torch.linalg.vector_norm(out)) / max(out.numel(), 1) ** 0.5
    if not 0 < size < float("inf"):
        return out
    for p in module.parameters(recurse=False):
        p.div_(size)
    return out / size


def _take_statistics(numbers: _Numbers, norm: nn.Module, given: tuple[Any, ...]) -> None:
    mean, var = norm._buffers.get("running_mean"), norm._buffers.get("running_var")
    if mean is None or var is None or not given or given[0].shape[1:2] != mean.shape:
        return
    x = given[0]
    found, middle = torch.var_mean(x, [dim for dim in range(x.dim()) if dim != 1], correction=0)
    # mixed with the others': divided by the spread of a dead channel, anything would grow
    spread = (found + found.mean()) / 2 + 1e-3
    var.copy_(spread * numbers.fill(torch.empty_like(var), 1, 0.5))
    mean.copy_(middle + spread.sqrt() * numbers.fill(torch.empty_like(mean), 0, 0.5))
